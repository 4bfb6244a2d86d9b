//! An event before its object is checked.

use std::collections::BTreeMap;

use event::{Envelope, EventId, EventType, TenantId};
use serde_json::{Map, Value};

use super::{
    content,
    reader::{Reader, Wrong, kind},
};
use crate::problem::field_codes;

const FIELDS: [&str; 11] = [
    "type",
    "source",
    "source_version",
    "occurred_at",
    "id",
    "correlation_id",
    "causation_id",
    "traceparent",
    "extensions",
    "data",
    "tenant",
];
/// The most extensions of one event, and the longest value of one, in bytes.
const MAX_EXTENSIONS: usize = 32;
const MAX_EXTENSION: usize = 1024;
/// What the contracts are versioned as; the topics' names end in it.
const SCHEMA_VERSION: i32 = 1;

/// The facts of an event as its source gave them, borrowed from the request. [`Draft::data`] is not checked yet.
#[derive(Debug)]
pub struct Draft<'a> {
    /// What happened.
    pub event_type: EventType,
    /// The system that says so.
    pub source: &'a str,
    /// The source's own id of the event.
    pub id: Option<&'a str>,
    /// The source's version of the entity.
    pub source_version: Option<i64>,
    /// When it happened, microseconds since 1970-01-01 UTC.
    pub occurred_at: i64,
    /// The business process it belongs to.
    pub correlation_id: Option<&'a str>,
    /// What caused it.
    pub causation_id: Option<&'a str>,
    /// W3C trace context.
    pub traceparent: Option<&'a str>,
    /// The tenant's own fields.
    pub extensions: BTreeMap<String, String>,
    /// The tenant that the event names, if it names one.
    pub tenant: Option<&'a str>,
    /// The canonical object.
    pub data: &'a Map<String, Value>,
    /// The same, as a value.
    pub object: &'a Value,
}

impl<'a> Draft<'a> {
    /// Reads the canonical event JSON, see docs/naming.md.
    ///
    /// # Errors
    /// Everything that is wrong outside of `data`.
    pub fn read(value: &'a Value, default_source: Option<&'a str>) -> Result<Self, Wrong> {
        let mut reader = Reader::new(object(value)?);
        reader.refuse_others(&FIELDS);
        let event_type = event_type(&mut reader);
        let source = match default_source {
            Some(default) if reader.get("source").is_none() => Some(default),
            _ => reader.required_text("source"),
        };
        let (id, source_version) = (reader.text("id"), reader.version("source_version"));
        let occurred_at = reader.required_instant("occurred_at");
        let (correlation_id, causation_id) = (reader.text("correlation_id"), reader.text("causation_id"));
        let traceparent = traceparent(&mut reader);
        let tenant = reader.text("tenant");
        let extensions = extensions(&mut reader);
        let data = data(&mut reader);
        match (event_type, source, occurred_at, data) {
            (Some(event_type), Some(source), Some(occurred_at), Some((object, data)))
                if reader.wrong.is_empty() =>
            {
                Ok(Self {
                    event_type,
                    source,
                    id,
                    source_version,
                    occurred_at,
                    correlation_id,
                    causation_id,
                    traceparent,
                    extensions,
                    tenant,
                    data,
                    object,
                })
            }
            _ => Err(reader.wrong),
        }
    }

    /// The source's key of the entity, where the object has one that is a text; the contract says if it has not.
    pub fn entity(&self) -> &'a str {
        self.data.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// Deterministic, so that a resend is the same event. An instant is no version: two changes may share one, so what they
    /// say tells them apart.
    fn event_id(&self, tenant: &TenantId, entity: &str, version: i64) -> EventId {
        let (source, event_type) = (self.source, self.event_type);
        match (self.id, self.source_version) {
            (Some(id), _) => EventId::from_source_id(tenant, source, id),
            (None, Some(_)) => EventId::derive(tenant, source, event_type, entity, version),
            (None, None) => {
                let content = content::digest(self.object);
                EventId::derive_from_content(tenant, source, event_type, entity, version, &content)
            }
        }
    }

    /// The event's envelope for `tenant`, received at `received_at` (microseconds since 1970-01-01 UTC).
    pub fn envelope(self, tenant: &TenantId, received_at: i64) -> Envelope {
        let entity = self.entity();
        let source_version = self.source_version.unwrap_or(self.occurred_at);
        let event_id = self.event_id(tenant, entity, source_version);
        Envelope {
            event_id,
            tenant: tenant.clone(),
            event_type: self.event_type,
            entity: entity.to_owned(),
            source: self.source.to_owned(),
            source_version,
            occurred_at: self.occurred_at,
            received_at,
            correlation_id: self.correlation_id.map(str::to_owned),
            causation_id: self.causation_id.map(str::to_owned),
            traceparent: self.traceparent.map(str::to_owned),
            schema_version: SCHEMA_VERSION,
            extensions: self.extensions,
        }
    }
}

/// The type and the object of an event whose other fields are wrong, so that the object's errors can be told as well.
pub fn salvage(value: &Value) -> Option<(EventType, &Value)> {
    let fields = value.as_object()?;
    let event_type = fields.get("type")?.as_str()?.parse().ok()?;
    Some((event_type, fields.get("data").filter(|data| data.is_object())?))
}

pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, Wrong> {
    value.as_object().ok_or_else(|| {
        let empty = Map::new();
        let mut reader = Reader::new(&empty);
        reader.refuse("", field_codes::TYPE, format!("an event must be an object, not {}", kind(value)));
        reader.wrong
    })
}

pub(super) fn event_type(reader: &mut Reader<'_>) -> Option<EventType> {
    match reader.required_text("type")?.parse::<EventType>() {
        Ok(event_type) => Some(event_type),
        Err(error) => {
            reader.refuse("type", field_codes::EVENT_TYPE, error.to_string());
            None
        }
    }
}

pub(super) fn data<'a>(reader: &mut Reader<'a>) -> Option<(&'a Value, &'a Map<String, Value>)> {
    let value = reader.require("data")?;
    match value.as_object() {
        Some(data) => Some((value, data)),
        None => {
            reader.mistyped("data", "an object", value);
            None
        }
    }
}

pub(super) fn traceparent<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    let text = reader.text("traceparent")?;
    if is_traceparent(text) {
        return Some(text);
    }
    reader.refuse("traceparent", field_codes::VALUE, "`traceparent` is not of the form of W3C Trace Context");
    None
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, lower case.
pub fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let lengths = [2, 32, 16, 2];
    let parts: Vec<_> = text.split('-').collect();
    parts.len() == 4 && parts.iter().zip(lengths).all(|(part, length)| part.len() == length && hex(part))
}

fn extensions(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let Some(value) = reader.get("extensions") else { return BTreeMap::new() };
    let Some(fields) = value.as_object() else {
        reader.mistyped("extensions", "an object of strings", value);
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        if let Some(text) = value.as_str() {
            extension(reader, &mut all, "extensions.", name, text.to_owned());
        } else {
            reader.mistyped(&format!("extensions.{name}"), "a string", value);
        }
    }
    all
}

/// Adds one extension, within the limits.
pub(super) fn extension(
    reader: &mut Reader<'_>,
    all: &mut BTreeMap<String, String>,
    prefix: &str,
    name: &str,
    value: String,
) {
    if all.len() >= MAX_EXTENSIONS {
        let message = format!("an event may have at most {MAX_EXTENSIONS} extensions");
        reader.refuse(format!("{prefix}{name}"), field_codes::VALUE, message);
    } else if name.is_empty() || name.len() > 64 || value.len() > MAX_EXTENSION {
        let message =
            format!("an extension's name may have 1 to 64 bytes, its value at most {MAX_EXTENSION}");
        let shown: String = name.chars().take(64).collect();
        reader.refuse(format!("{prefix}{shown}"), field_codes::VALUE, message);
    } else {
        all.insert(name.to_owned(), value);
    }
}
