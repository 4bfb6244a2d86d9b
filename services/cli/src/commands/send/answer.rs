//! What an answer of the gateway means for the batch that was sent.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

/// The gateway's answer: an acceptance, or a problem document (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    /// The events that the brokers have.
    pub accepted: Vec<serde::de::IgnoredAny>,
    /// The stable code.
    pub code: String,
    /// What is special about this occurrence.
    pub detail: String,
    errors: Vec<FieldError>,
    results: Vec<ItemResult>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FieldError {
    index: usize,
    path: String,
    code: String,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ItemResult {
    index: usize,
    accepted: bool,
    code: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// When to come back.
    pub retry_after: Option<Duration>,
    /// The body.
    pub document: Document,
}

/// What to do about the batch.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// All of it is on the topics.
    Accepted,
    /// These events are refused for good, each for these reasons; the others are to be sent again.
    Drop(BTreeMap<usize, Vec<String>>),
    /// The batch cannot be taken as it is; its halves, or its one event, may say why.
    Split {
        /// Whether it has too many events, so that later batches should have fewer.
        too_many: bool,
    },
    /// The same again, later.
    Wait,
    /// No batch of this sender will be taken.
    Refused,
}

/// Verdicts of the brokers that may be another one later; see `kafka::ProduceError`.
const PASSING: [&str; 3] = ["TOP-0101", "TOP-0102", "TOP-0105"];

impl Answer {
    /// What the answer to a batch of `events` events means.
    pub fn verdict(&self, events: usize) -> Verdict {
        match self.status {
            202 if self.document.accepted.len() == events => Verdict::Accepted,
            408 | 429 | 500 | 502 | 503 | 504 => Verdict::Wait,
            400 | 403 | 413 | 422 => self.refusal(events),
            _ => Verdict::Refused,
        }
    }

    fn refusal(&self, events: usize) -> Verdict {
        let mut dropped: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for error in &self.document.errors {
            let reason = format!("{}: {} ({})", error.path, error.message, error.code);
            dropped.entry(error.index).or_default().push(reason);
        }
        for result in &self.document.results {
            if !result.accepted && !PASSING.contains(&result.code.as_str()) {
                let reason = format!("{} ({})", self.document.detail, result.code);
                dropped.entry(result.index).or_default().push(reason);
            }
        }
        dropped.retain(|index, _| *index < events);
        let code = self.document.code.as_str();
        match self.status {
            _ if !dropped.is_empty() => Verdict::Drop(dropped),
            // Another key's tenant, a body that is not as announced: one event can be the reason.
            403 if code != "GTW-0002" => Verdict::Refused,
            _ => Verdict::Split { too_many: code == "GTW-0009" },
        }
    }

    /// Why the only event of a batch is refused.
    pub fn words_of_one(&self) -> String {
        format!("{} ({})", self.document.detail, self.document.code)
    }

    /// The answer in a few words.
    pub fn words(&self) -> String {
        match (self.document.code.as_str(), self.document.detail.as_str()) {
            ("", _) => format!("status {}", self.status),
            (code, detail) => format!("{code}: {detail}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: u16, body: Value) -> Answer {
        Answer { status, retry_after: None, document: serde_json::from_value(body).unwrap() }
    }

    #[test]
    fn accepted_is_only_what_names_every_event() {
        let body = json!({"accepted": [{"event_id": "a"}, {"event_id": "b"}]});
        assert_eq!(answer(202, body.clone()).verdict(2), Verdict::Accepted);
        assert_eq!(answer(202, body).verdict(3), Verdict::Refused);
        assert_eq!(answer(200, json!({})).verdict(0), Verdict::Refused, "a proxy's page");
    }

    #[test]
    fn single_events_are_dropped_by_their_index() {
        let error =
            |index| json!({"index": index, "path": "data.id", "code": "GTW-0101", "message": "missing"});
        let body = json!({"code": "GTW-0008", "errors": [error(1), error(1), error(7)]});
        let Verdict::Drop(dropped) = answer(422, body).verdict(2) else { panic!() };
        assert_eq!(dropped[&1], ["data.id: missing (GTW-0101)", "data.id: missing (GTW-0101)"]);
        assert_eq!(dropped.len(), 1, "index 7 is not of this batch");

        let result =
            |index, code: &str| json!({"index": index, "accepted": false, "event_id": "x", "code": code});
        let good = json!({"index": 2, "accepted": true, "event_id": "y"});
        let body = json!({"code": "GTW-0013", "detail": "too large", "results": [result(0, "TOP-0103"), result(1, "TOP-0101"), good]});
        let Verdict::Drop(dropped) = answer(413, body).verdict(3) else { panic!() };
        assert_eq!(dropped, BTreeMap::from([(0, vec!["too large (TOP-0103)".to_owned()])]));
    }

    #[test]
    fn a_batch_that_does_not_fit_is_split_and_a_wrong_key_ends_it() {
        assert_eq!(answer(413, json!({"code": "GTW-0009"})).verdict(9), Verdict::Split { too_many: true });
        assert_eq!(answer(413, json!({"code": "GTW-0004"})).verdict(9), Verdict::Split { too_many: false });
        assert_eq!(answer(403, json!({"code": "GTW-0002"})).verdict(9), Verdict::Split { too_many: false });
        // 507: the brokers refuse, until a person acts.
        for status in [401, 403, 404, 405, 415, 421, 507] {
            assert_eq!(answer(status, json!({})).verdict(1), Verdict::Refused, "{status}");
        }
        for status in [408, 429, 500, 503] {
            assert_eq!(answer(status, json!({})).verdict(1), Verdict::Wait, "{status}");
        }
    }
}
