//! What the answer to a question for changes says.

use delivery::Answer;
use http::{HeaderMap, Uri, header::DATE};
use serde_json::Value;

use super::{Change, Feed, Place, RecordId, moment};
use crate::{
    classify::{Classifier, lost},
    definition::Ids,
};

/// The longest id, in bytes: it is kept, and named in messages.
const LONGEST_ID: usize = 1024;

/// How a question that says If-Modified-Since can be answered where nothing was.
const NOT_MODIFIED: u16 = 304;

/// An answer with records, and with what one goes on by.
#[derive(Debug)]
pub(crate) struct Reply {
    /// What was asked.
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) json: Value,
    pub(super) changes: Vec<Change>,
    /// The system's own time, in microseconds since 1970, where it tells it.
    pub(super) date_us: Option<i64>,
}

impl Feed {
    /// What the answer says. Records without a moment or an id are none: to go on past them would lose some.
    pub(crate) fn read(
        &self,
        classifier: &Classifier,
        uri: Uri,
        (status, headers, body): (u16, HeaderMap, &[u8]),
    ) -> Result<Reply, Answer> {
        if status == NOT_MODIFIED {
            let date_us = date_us(&headers);
            return Ok(Reply { uri, headers, json: Value::Null, changes: Vec::new(), date_us });
        }
        if !(200..300).contains(&status) {
            return Err(classifier.classify(status, &headers, body));
        }
        let json: Value = serde_json::from_slice(body).map_err(|_| lost("the answer is not JSON"))?;
        if classifier.is_error(&json) {
            return Err(classifier.classify(status, &headers, body));
        }
        let items = match self.items.get(&json).map(Value::as_array) {
            Some(Some(items)) => items.as_slice(),
            None if self.empty.as_ref().is_some_and(|path| path.get(&json).is_some()) => &[],
            _ => return Err(lost(&format!("the answer has no list at `{}`", self.items))),
        };
        let changes = items.iter().map(|record| self.change(record)).collect::<Result<_, _>>();
        let changes = changes.map_err(|what: String| lost(&what))?;
        let date_us = date_us(&headers);
        Ok(Reply { uri, headers, json, changes, date_us })
    }

    fn change(&self, record: &Value) -> Result<Change, String> {
        let id = match self.ids {
            Ids::Number => self.id.get(record).and_then(Value::as_i64).map(RecordId::Number),
            Ids::Text => self
                .id
                .text(record)
                .filter(|id| (1..=LONGEST_ID).contains(&id.len()))
                .map(|id| RecordId::Text(id.into())),
        };
        let id = id.ok_or_else(|| match self.ids {
            Ids::Number => format!("a record has no whole number at `{}`; `ids: text` takes texts", self.id),
            Ids::Text => format!("a record has no text of up to 1 KiB at `{}`", self.id),
        })?;
        let modified_us = self.modified.get(record).and_then(|moment| moment::read(self.format, moment));
        let modified_us =
            modified_us.ok_or_else(|| format!("record {id} has no moment at `{}`", self.modified))?;
        Ok(Change { place: Place { modified_us, id }, record: record.clone() })
    }
}

fn date_us(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?.trim()).ok()?;
    let since = date.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    since.as_micros().try_into().ok()
}
