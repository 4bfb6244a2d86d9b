//! What has changed in a system: how it is asked for, and what the answer says.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, SecondsFormat, Timelike as _, Utc};
use delivery::Answer;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::{
    call::Call,
    classify::{Classifier, lost},
    definition::{Changes, ChangesKind, TimeFormat},
    finder::json_path,
    path::JsonPath,
};

/// The most records that can be asked for at once.
const MOST: u32 = 1_000;

/// Where to go on: behind the record of this moment and id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Microseconds since 1970-01-01 UTC.
    pub modified_us: i64,
    /// The system's own id of the record.
    pub id: i64,
}

/// A record that has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where it stands among the others.
    pub place: Place,
    /// The record, as the system gave it.
    pub record: Value,
}

/// How changes are asked for, compiled.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) call: Call,
    items: JsonPath,
    id: JsonPath,
    modified: JsonPath,
    format: TimeFormat,
    overlap_us: i64,
    page: u32,
}

impl Feed {
    pub(crate) fn compile(changes: &Changes, call: Call) -> Result<Self, String> {
        let ChangesKind::ModifiedSince = changes.kind;
        if !(1..=MOST).contains(&changes.page) {
            return Err(format!("`changes` has `page: {}`, it can be 1 to {MOST}", changes.page));
        }
        Ok(Self {
            call,
            items: json_path(&changes.items)?,
            id: json_path(&changes.id)?,
            modified: json_path(&changes.modified)?,
            format: changes.format,
            overlap_us: i64::try_from(changes.overlap_ms).unwrap_or(i64::MAX).saturating_mul(1_000),
            page: changes.page,
        })
    }

    pub(crate) fn overlap_us(&self) -> i64 {
        self.overlap_us
    }

    /// What the request's placeholders stand for.
    pub(crate) fn payload(&self, place: Place) -> Value {
        json!({"since": written(self.format, place.modified_us), "after": place.id, "page": self.page})
    }

    /// What the answer says. Records without a moment or an id, or in another order than asked for, are none: to go on past
    /// them would lose some.
    pub(crate) fn read(
        &self,
        classifier: &Classifier,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Vec<Change>, Answer> {
        if !(200..300).contains(&status) {
            return Err(classifier.classify(status, headers, body));
        }
        let json: Value = serde_json::from_slice(body).map_err(|_| lost("the answer is not JSON"))?;
        if classifier.is_error(&json) {
            return Err(classifier.classify(status, headers, body));
        }
        let items = self.items.get(&json).and_then(Value::as_array);
        let items = items.ok_or_else(|| lost(&format!("the answer has no list at `{}`", self.items)))?;
        let changes: Vec<Change> = items
            .iter()
            .map(|record| self.change(record))
            .collect::<Result<_, _>>()
            .map_err(|what| lost(&what))?;
        match changes.windows(2).find(|pair| pair[0].place >= pair[1].place) {
            Some(pair) => {
                Err(lost(&format!("record {} stands before {}", pair[0].place.id, pair[1].place.id)))
            }
            None => Ok(changes),
        }
    }

    fn change(&self, record: &Value) -> Result<Change, String> {
        let id = self.id.get(record).and_then(Value::as_i64);
        let id = id.ok_or_else(|| format!("a record has no whole number at `{}`", self.id))?;
        let modified_us = self.modified.get(record).and_then(|moment| read(self.format, moment));
        let modified_us =
            modified_us.ok_or_else(|| format!("record {id} has no moment at `{}`", self.modified))?;
        Ok(Change { place: Place { modified_us, id }, record: record.clone() })
    }
}

fn written(format: TimeFormat, micros: i64) -> Value {
    let at = DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    match format {
        TimeFormat::Rfc3339 => at.to_rfc3339_opts(SecondsFormat::Micros, true).into(),
        TimeFormat::EpochMs => at.timestamp_millis().into(),
        TimeFormat::Parts => json!({
            "year": at.year(), "month": at.month(), "day": at.day(), "hour": at.hour(), "minute": at.minute(),
            "second": at.second(), "microsecond": at.timestamp_subsec_micros(),
        }),
    }
}

fn read(format: TimeFormat, moment: &Value) -> Option<i64> {
    match format {
        TimeFormat::EpochMs => moment.as_i64()?.checked_mul(1_000),
        TimeFormat::Rfc3339 => {
            let text = moment.as_str()?;
            let naive = || text.parse::<NaiveDateTime>().ok().map(|naive| naive.and_utc());
            let at = DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()).or_else(naive)?;
            Some(at.timestamp_micros())
        }
        TimeFormat::Parts => {
            let part = |name: &str| moment.get(name)?.as_u64()?.try_into().ok();
            let day = NaiveDate::from_ymd_opt(
                moment.get("year")?.as_i64()?.try_into().ok()?,
                part("month")?,
                part("day")?,
            )?;
            let or_0 = |name: &str| part(name).unwrap_or(0);
            let at =
                day.and_hms_micro_opt(or_0("hour"), or_0("minute"), or_0("second"), or_0("microsecond"))?;
            Some(at.and_utc().timestamp_micros())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_moment_is_written_as_it_is_read() {
        const AT: i64 = 1_795_600_000_123_456;
        for format in [TimeFormat::Rfc3339, TimeFormat::Parts] {
            assert_eq!(read(format, &written(format, AT)), Some(AT), "{format:?}");
        }
        assert_eq!(read(TimeFormat::EpochMs, &written(TimeFormat::EpochMs, AT)), Some(AT / 1_000 * 1_000));
        let day = json!({"__class__": "datetime", "year": 2026, "month": 11, "day": 26, "hour": 9});
        let text = json!("2026-11-26T09:00:00");
        assert_eq!(read(TimeFormat::Parts, &day), read(TimeFormat::Rfc3339, &text));
        for odd in
            [json!(null), json!("yesterday"), json!({"year": 2026, "month": 13, "day": 1}), json!(true)]
        {
            for format in [TimeFormat::Rfc3339, TimeFormat::Parts, TimeFormat::EpochMs] {
                assert_eq!(read(format, &odd), None, "{format:?} {odd}");
            }
        }
    }
}
