//! The requests of an account one by one, if it was told to keep them: what came, when, and what became of it.

use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{account::Reply, collection::Collection, write::Write};

/// Rows an account keeps; bounds its memory.
const MAX_ROWS: usize = 1_000_000;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Nothing yet.
    Pending,
    /// Applied, and the client was told so.
    Applied,
    /// Applied, with the connection closed instead of an answer.
    AppliedUnanswered,
    /// Not applied, and the client was told so.
    Refused,
    /// Answered from the stored answer of its idempotency key.
    Replayed,
    /// Not applied, with the connection closed instead of an answer.
    Unanswered,
    /// A look-up that found the document.
    Found,
    /// A look-up that found nothing.
    Absent,
}

impl Fate {
    pub(crate) fn of(applied: bool, reply: &Reply) -> Self {
        match (applied, reply) {
            (true, Reply::Answer { .. }) => Self::Applied,
            (true, Reply::HangUp) => Self::AppliedUnanswered,
            (false, Reply::Answer { .. }) => Self::Refused,
            (false, Reply::HangUp) => Self::Unanswered,
        }
    }

    /// Whether the request itself changed the account.
    pub fn is_effect(self) -> bool {
        matches!(self, Self::Applied | Self::AppliedUnanswered)
    }
}

/// A write, or a look-up by external id, that was let in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestRow {
    /// 1, 2, …, in the order they came; pass it as `after` to go on behind this row.
    pub position: usize,
    /// When it came, microseconds since 1970-01-01 UTC.
    pub at: i64,
    /// When it came to its end, microseconds since 1970-01-01 UTC.
    pub ended_at: Option<i64>,
    /// What became of it.
    pub fate: Fate,
    /// The collection.
    pub collection: Collection,
    /// The source's id of the document.
    pub external_id: String,
    /// `X-Counterfoil-Event-Id`.
    pub event_id: Option<String>,
    /// `X-Counterfoil-Source-Version`.
    pub source_version: Option<u64>,
    /// `Idempotency-Key`.
    pub key: Option<String>,
    /// The body of a write, as it came.
    pub data: Option<Box<RawValue>>,
}

/// `GET /admin/accounts/{account}/requests`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestPage {
    /// The rows.
    pub requests: Vec<RequestRow>,
    /// The `after` of the next page; absent on the last one.
    pub next: Option<usize>,
    /// Requests that the full log has no row for.
    pub missed: u64,
}

#[derive(Default)]
pub(crate) struct Log {
    rows: Vec<RequestRow>,
    missed: u64,
}

impl Log {
    /// Notes a write; its index, unless the log is full.
    pub(crate) fn write(&mut self, write: &Write) -> Option<usize> {
        let text = |value: &Option<std::sync::Arc<str>>| value.as_deref().map(str::to_owned);
        self.push(RequestRow {
            position: 0,
            at: micros(),
            ended_at: None,
            fate: Fate::Pending,
            collection: write.collection,
            external_id: write.external_id.to_string(),
            event_id: text(&write.event_id),
            source_version: write.source_version,
            key: text(&write.key),
            data: Some(write.data.clone()),
        })
    }

    /// Notes a look-up and what it found.
    pub(crate) fn look(&mut self, collection: Collection, external_id: &str, found: bool) {
        let at = micros();
        self.push(RequestRow {
            position: 0,
            at,
            ended_at: Some(at),
            fate: if found { Fate::Found } else { Fate::Absent },
            collection,
            external_id: external_id.to_owned(),
            event_id: None,
            source_version: None,
            key: None,
            data: None,
        });
    }

    /// Notes what became of a request.
    pub(crate) fn ended(&mut self, index: Option<usize>, fate: Fate) {
        if let Some(row) = index.and_then(|index| self.rows.get_mut(index)) {
            (row.fate, row.ended_at) = (fate, Some(micros()));
        }
    }

    /// Up to `limit` rows after position `after`.
    pub(crate) fn page(&self, after: usize, limit: usize) -> RequestPage {
        let requests: Vec<_> = self.rows.iter().skip(after).take(limit).cloned().collect();
        let next = requests.last().map(|row| row.position).filter(|_| requests.len() == limit);
        RequestPage { requests, next, missed: self.missed }
    }

    fn push(&mut self, row: RequestRow) -> Option<usize> {
        if self.rows.len() >= MAX_ROWS {
            self.missed += 1;
            return None;
        }
        let index = self.rows.len();
        self.rows.push(RequestRow { position: index + 1, ..row });
        Some(index)
    }
}

fn micros() -> i64 {
    Utc::now().timestamp_micros()
}
