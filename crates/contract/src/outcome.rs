//! Outcome events: what became of an event on one route. Field order is that of schemas/outcome.v1.avsc; a test
//! holds the bytes against that schema.

use std::{fmt, str::FromStr};

use event::{EventId, EventType, TenantId};

use crate::{
    DecodeError, Target, WriterSchema, decode,
    encode::put_uuid,
    envelope,
    scalar::is_instant,
    wire::{self, Datum},
};

/// What became of an event on one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The event.
    pub event_id: EventId,
    /// Whose event it is.
    pub tenant: TenantId,
    /// What happened.
    pub event_type: EventType,
    /// The source's key of the entity.
    pub entity: String,
    /// The route's name.
    pub route: String,
    /// The name of the connection that it was posted to.
    pub connection: String,
    /// 0 for live traffic, one more for each forced replay.
    pub generation: u16,
    /// What became of it.
    pub status: OutcomeStatus,
    /// The target's id of the document that the event became.
    pub target_document_id: Option<String>,
    /// Stable code of the reason.
    pub error_code: Option<String>,
    /// The reason in words.
    pub detail: Option<String>,
    /// Requests sent to the target.
    pub attempts: u32,
    /// The source's version of the entity.
    pub source_version: i64,
    /// When it happened at the source, microseconds since 1970-01-01 UTC.
    pub occurred_at: i64,
    /// When the gateway accepted it, microseconds since 1970-01-01 UTC.
    pub accepted_at: i64,
    /// When the first request was sent, microseconds since 1970-01-01 UTC.
    pub first_attempt_at: Option<i64>,
    /// When the outcome became known, microseconds since 1970-01-01 UTC.
    pub settled_at: i64,
}

/// The outcomes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeStatus {
    /// The target has it.
    Committed,
    /// The target refuses it for good; it is in the dead-letter queue.
    Rejected,
    /// A newer version was there first; it was not sent.
    Superseded,
    /// Unknown whether the target has it.
    InDoubt,
}

impl OutcomeStatus {
    /// Every status, in the order of the schema's symbols.
    pub const ALL: [Self; 4] = [Self::Committed, Self::Rejected, Self::Superseded, Self::InDoubt];

    /// The symbol in the schema.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Committed => "COMMITTED",
            Self::Rejected => "REJECTED",
            Self::Superseded => "SUPERSEDED",
            Self::InDoubt => "IN_DOUBT",
        }
    }

    const fn position(self) -> i64 {
        match self {
            Self::Committed => 0,
            Self::Rejected => 1,
            Self::Superseded => 2,
            Self::InDoubt => 3,
        }
    }
}

impl fmt::Display for OutcomeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

impl FromStr for OutcomeStatus {
    type Err = String;

    fn from_str(symbol: &str) -> Result<Self, String> {
        let status = Self::ALL.into_iter().find(|s| s.symbol() == symbol);
        status.ok_or_else(|| format!("`{symbol}` is not an outcome status"))
    }
}

/// A record value, in the Confluent wire format.
pub fn encode_outcome(schema_id: u32, outcome: &Outcome) -> Vec<u8> {
    let mut out = wire::header(schema_id, 256);
    put_uuid(&mut out, outcome.event_id.0);
    wire::put_bytes(&mut out, outcome.tenant.as_str().as_bytes());
    envelope::put_event_type(&mut out, outcome.event_type);
    for text in [&outcome.entity, &outcome.route, &outcome.connection] {
        wire::put_bytes(&mut out, text.as_bytes());
    }
    wire::put_long(&mut out, i64::from(outcome.generation));
    wire::put_long(&mut out, outcome.status.position());
    for text in [&outcome.target_document_id, &outcome.error_code, &outcome.detail] {
        wire::put_optional(&mut out, text.as_deref());
    }
    wire::put_long(&mut out, i64::from(outcome.attempts.min(i32::MAX.cast_unsigned())));
    wire::put_long(&mut out, outcome.source_version);
    wire::put_long(&mut out, outcome.occurred_at);
    wire::put_long(&mut out, outcome.accepted_at);
    wire::put_long(&mut out, i64::from(outcome.first_attempt_at.is_some()));
    if let Some(at) = outcome.first_attempt_at {
        wire::put_long(&mut out, at);
    }
    wire::put_long(&mut out, outcome.settled_at);
    debug_assert!(
        is_instant(outcome.occurred_at) && is_instant(outcome.settled_at),
        "instants come from checked events"
    );
    out
}

/// Reads an outcome from the datum behind the header of its record value.
///
/// # Errors
/// [`DecodeError`] if the schema is not that of outcomes or the bytes do not fit it.
pub fn decode_outcome(schema: &WriterSchema, datum: &[u8]) -> Result<Outcome, DecodeError> {
    let Target::Outcome(fields) = &schema.target else { return Err(schema.foreign("an outcome")) };
    let mut datum = Datum(datum);
    let mut cells = decode::cells(fields, &mut datum)?;
    datum.end()?;
    Ok(Outcome {
        event_id: envelope::event_id(&mut cells)?,
        tenant: cells.parsed("tenant")?,
        event_type: cells.parsed("event_type")?,
        entity: cells.text("entity")?,
        route: cells.text("route")?,
        connection: cells.text("connection")?,
        generation: cells.number("generation")?,
        status: cells.parsed("status")?,
        target_document_id: cells.optional_text("target_document_id"),
        error_code: cells.optional_text("error_code"),
        detail: cells.optional_text("detail"),
        attempts: cells.number("attempts")?,
        source_version: cells.number("source_version")?,
        occurred_at: cells.number("occurred_at")?,
        accepted_at: cells.number("accepted_at")?,
        first_attempt_at: cells.optional_number("first_attempt_at"),
        settled_at: cells.number("settled_at")?,
    })
}
