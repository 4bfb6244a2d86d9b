//! The envelope that every event carries, whatever its object.

use std::collections::BTreeMap;

use crate::{EventId, EventType, TenantId};

/// The facts about an event that do not depend on its object. schemas/common/Envelope.avsc is its Avro form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Deterministic identity, see [`EventId::derive`].
    pub event_id: EventId,
    /// Whose event it is.
    pub tenant: TenantId,
    /// What happened.
    pub event_type: EventType,
    /// The source's key of the entity that it happened to.
    pub entity: String,
    /// The system that says so, such as `shop-eu` or `stripe`.
    pub source: String,
    /// The source's version of the entity; it grows with every change. Unit: whatever the source counts in.
    pub source_version: i64,
    /// When it happened at the source, microseconds since 1970-01-01 UTC.
    pub occurred_at: i64,
    /// When the gateway accepted it, microseconds since 1970-01-01 UTC.
    pub received_at: i64,
    /// The business process that the event belongs to.
    pub correlation_id: Option<String>,
    /// The event or command that caused this one.
    pub causation_id: Option<String>,
    /// W3C trace context, <https://www.w3.org/TR/trace-context/#traceparent-header>.
    pub traceparent: Option<String>,
    /// The major version of the object's contract.
    pub schema_version: i32,
    /// A tenant's own fields, by name.
    pub extensions: BTreeMap<String, String>,
}
