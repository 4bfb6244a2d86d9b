//! The cases beside a definition, `connectors/<system>/tests`: what goes out for a payload (`requests.yaml`, `bulk.yaml`), what the
//! system's answers mean (`answers.yaml`), and how it is read for changes (`changes.yaml`). Nobody is asked, so they hold a definition against what somebody has read about its system.

mod answer;
mod bulk;
mod changes;
mod parts;
mod request;

use std::{collections::BTreeMap, fs, io, path::Path};

use delivery::{Answer, OnUnknown};
use event::{EventId, PostingKey, RouteId};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::{
    answer::{AnswerCase, LeftCase},
    bulk::{BulkAnswer, BulkCase},
    changes::{ChangesCase, PageCase},
    parts::SentPart,
    request::RequestCase,
};
use crate::{
    Account, ClassChoice, Connector, Endpoint, Meaning, Preview,
    definition::{Field, FieldKind},
};

/// Why cases cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// Their file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// Their file has another form; the source names line and column.
    #[error("it is no list of cases")]
    Form(#[source] Box<serde_saphyr::Error>),
}

/// One case of a file.
pub trait Case: DeserializeOwned {
    /// The file that has such cases.
    const FILE: &'static str;

    /// Its name.
    fn name(&self) -> &str;

    /// Runs it.
    ///
    /// # Errors
    /// What is different from what the case says.
    fn run(&self, connector: &Connector) -> Result<(), String>;
}

/// The cases of one kind in a folder; none if it has no such file.
///
/// # Errors
/// The file cannot be read, or has another form.
pub fn read<C: Case>(folder: &Path) -> Result<Vec<C>, CaseError> {
    match fs::read_to_string(folder.join(C::FILE)) {
        Ok(yaml) => serde_saphyr::from_str(&yaml).map_err(|source| CaseError::Form(Box::new(source))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(CaseError::Unreadable(error)),
    }
}

/// What an answer means.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Means {
    /// The class of the rule that decides.
    pub class: Option<String>,
    /// `applied`, `not_applied`, `unknown`; of a look `found`, `absent`, `several`; of a write that was taken as a job `job`; of a question
    /// about one `running`, `done`, `failed`, `unread`.
    pub outcome: String,
    /// Our stable code; absent means that nobody looks at it.
    pub code: Option<String>,
    /// How long the target asks us to wait, in seconds.
    pub wait_s: Option<f64>,
}

impl Means {
    fn of(meaning: Meaning) -> Self {
        let plain = |outcome: &str| Self { class: None, outcome: outcome.into(), code: None, wait_s: None };
        let with = |reason: delivery::Reason, outcome: &str, after_ms: Option<u64>| Self {
            class: json!(reason.class).as_str().map(str::to_owned),
            outcome: outcome.into(),
            code: Some(reason.code.to_string()),
            wait_s: after_ms.map(|ms| ms as f64 / 1_000.0),
        };
        match meaning {
            Meaning::Found(_) => plain("found"),
            Meaning::Absent => plain("absent"),
            Meaning::Several => plain("several"),
            Meaning::Job(Some(_)) => plain("job"),
            Meaning::Job(None) => plain("unknown"),
            Meaning::Running => plain("running"),
            Meaning::Done => plain("done"),
            Meaning::Failed => plain("failed"),
            Meaning::Unread => plain("unread"),
            Meaning::Answer(Answer::Applied { .. }) => plain("applied"),
            Meaning::Answer(Answer::Unknown(reason)) => with(reason, "unknown", None),
            Meaning::Answer(Answer::Replayed(reason)) => with(reason, "replayed", None),
            Meaning::Answer(Answer::Again { reason, after_ms, .. }) => with(reason, "not_applied", after_ms),
            Meaning::Answer(Answer::Refused(reason)) => with(reason, "not_applied", None),
            // never of one request
            Meaning::Answer(Answer::Unfinished { reason, after_ms, .. }) => {
                with(reason, "unfinished", after_ms)
            }
            Meaning::Answer(Answer::Stuck(reason)) => with(reason, "stuck", None),
        }
    }
}

/// A request that goes out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Method and address.
    pub send: String,
    /// Those of its headers that are looked at; what is secret shows as `***`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON, or a text; absent means that nobody looks at it.
    pub body: Option<Value>,
}

impl Sent {
    /// All of what goes out, held against it.
    fn is(&self, sent: &Preview) -> Result<(), String> {
        if sent.send != self.send {
            return Err(format!("it sends {}, and not {}", sent.send, self.send));
        }
        self.fits(sent)
    }

    /// Headers and body of what goes out, held against it.
    fn fits(&self, sent: &Preview) -> Result<(), String> {
        for (name, value) in &self.headers {
            let found = sent.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            let found = found.map(|(_, value)| value);
            if found != Some(value) {
                return Err(format!("{}: header `{name}` is {found:?}, and not {value:?}", sent.request));
            }
        }
        let differs = match &self.body {
            None => false,
            Some(Value::String(text)) => sent.body != *text,
            Some(json) => serde_json::from_str::<Value>(&sent.body).ok().as_ref() != Some(json),
        };
        match &self.body {
            Some(expected) if differs => {
                Err(format!("{}: the body is {}, and not {expected}", sent.request, sent.body))
            }
            _ => Ok(()),
        }
    }
}

/// Headers as they stand in a case.
fn headers(of: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in of {
        let wrong = || format!("`{name}: {value}` is no header");
        let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name, value) = parsed.ok_or_else(wrong)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// A body as it stands in a case: JSON, or a text that is sent as it is.
fn text(body: &Value) -> String {
    body.as_str().map_or_else(|| body.to_string(), str::to_owned)
}

/// The key of the posting that has this number.
fn key(number: u128) -> PostingKey {
    PostingKey { event: EventId(Uuid::from_u128(number)), route: RouteId(1), generation: 0 }
}

/// The endpoint of an object on a connection that gives `conn`, and stand-ins for what else is needed.
///
/// # Errors
/// The connector has no such object, or its connection gives what it does not take.
pub fn endpoint(
    connector: &Connector,
    object: &str,
    class: Option<ClassChoice>,
    conn: &BTreeMap<String, String>,
) -> Result<Endpoint, String> {
    let value = |(name, field): (&String, &Field)| {
        let given = conn.get(name).cloned();
        let value = given.or_else(|| field.default.is_none().then(|| stand_in(name, field.kind)));
        Some((name.clone(), value?))
    };
    let fields = connector.connection.iter().filter(|(_, field)| field.kind != FieldKind::Secret);
    let values = fields.filter_map(value).collect();
    let account = Account {
        base_url: connector.base_url.is_none().then_some("https://system.example"),
        class,
        on_unknown: OnUnknown::Park,
        auth: None,
        values: &values,
    };
    Endpoint::new(connector, object, &account).map_err(|error| format!("{object}: {error}"))
}

fn stand_in(name: &str, kind: FieldKind) -> String {
    let name = name.replace('_', "-");
    match kind {
        FieldKind::Integer => "1".to_owned(),
        FieldKind::Url => format!("https://a-{name}.example"),
        FieldKind::String | FieldKind::Secret => format!("a-{name}"),
    }
}

#[cfg(test)]
mod tests;
