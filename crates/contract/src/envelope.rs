//! The envelope between struct and Avro. The order of fields is that of schemas/common/Envelope.avsc; a test holds
//! the bytes against that schema.

use std::collections::BTreeMap;

use event::{Envelope, EventId};
use serde_json::Value;

use crate::{
    DecodeError,
    decode::{self, Cells},
    encode::{self, MAX_ENTRIES},
    invalid::{Path, Problems, code},
    resolve::Fields,
    scalar,
    shape::Check,
    wire::{self, Datum},
};

/// Appends the envelope.
pub(crate) fn put(out: &mut Vec<u8>, envelope: &Envelope) {
    encode::put_uuid(out, envelope.event_id.0);
    wire::put_bytes(out, envelope.tenant.as_str().as_bytes());
    put_event_type(out, envelope.event_type);
    wire::put_bytes(out, envelope.entity.as_bytes());
    wire::put_bytes(out, envelope.source.as_bytes());
    wire::put_long(out, envelope.source_version);
    wire::put_long(out, envelope.occurred_at);
    wire::put_long(out, envelope.received_at);
    wire::put_optional(out, envelope.correlation_id.as_deref());
    wire::put_optional(out, envelope.causation_id.as_deref());
    wire::put_optional(out, envelope.traceparent.as_deref());
    wire::put_long(out, i64::from(envelope.schema_version));
    if !envelope.extensions.is_empty() {
        wire::put_count(out, envelope.extensions.len());
    }
    for (name, value) in &envelope.extensions {
        wire::put_bytes(out, name.as_bytes());
        wire::put_bytes(out, value.as_bytes());
    }
    wire::put_long(out, 0);
}

/// `object.verb`, without a string in between.
pub(crate) fn put_event_type(out: &mut Vec<u8>, event_type: event::EventType) {
    let (object, verb) = (event_type.object().name(), event_type.verb());
    wire::put_count(out, object.len() + 1 + verb.len());
    out.extend_from_slice(object.as_bytes());
    out.push(b'.');
    out.extend_from_slice(verb.as_bytes());
}

/// Checks what the types of the envelope leave open. Paths are those of the canonical event.
pub(crate) fn check(envelope: &Envelope, problems: &mut Problems) {
    encode::check_text(Check::Id, &envelope.entity, &Path::root("data").field("id"), problems);
    encode::check_text(Check::Id, &envelope.source, &Path::root("source"), problems);
    for (name, at) in [("occurred_at", envelope.occurred_at), ("received_at", envelope.received_at)] {
        if !scalar::is_instant(at) {
            problems
                .add(&Path::root(name), code::INSTANT, || "must lie in the years 0001 to 9999".to_owned());
        }
    }
    let texts = [
        ("correlation_id", &envelope.correlation_id),
        ("causation_id", &envelope.causation_id),
        ("traceparent", &envelope.traceparent),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            encode::check_text(Check::Id, text, &Path::root(name), problems);
        }
    }
    check_extensions(envelope, problems);
}

fn check_extensions(envelope: &Envelope, problems: &mut Problems) {
    let root = Path::root("extensions");
    if envelope.extensions.len() > MAX_ENTRIES {
        problems.add(&root, code::TOO_LONG, || format!("must have {MAX_ENTRIES} entries at most"));
    }
    for (name, value) in &envelope.extensions {
        let path = root.field(name);
        encode::check_entry_key(name, &path, problems);
        encode::check_text(Check::None, value, &path, problems);
    }
}

/// Reads the envelope.
pub(crate) fn read(fields: &Fields, datum: &mut Datum<'_>) -> Result<Envelope, DecodeError> {
    let mut cells = decode::cells(fields, datum)?;
    Ok(Envelope {
        event_id: event_id(&mut cells)?,
        tenant: cells.parsed("tenant")?,
        event_type: cells.parsed("event_type")?,
        entity: cells.text("entity")?,
        source: cells.text("source")?,
        source_version: cells.number("source_version")?,
        occurred_at: cells.number("occurred_at")?,
        received_at: cells.number("received_at")?,
        correlation_id: cells.optional_text("correlation_id"),
        causation_id: cells.optional_text("causation_id"),
        traceparent: cells.optional_text("traceparent"),
        schema_version: cells.number("schema_version")?,
        extensions: extensions(cells.take("extensions")),
    })
}

pub(crate) fn event_id(cells: &mut Cells<'_>) -> Result<EventId, DecodeError> {
    Ok(EventId(cells.parsed("event_id")?))
}

fn extensions(value: Option<Value>) -> BTreeMap<String, String> {
    let Some(Value::Object(object)) = value else { return BTreeMap::new() };
    object
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::String(value) => Some((name, value)),
            _ => None,
        })
        .collect()
}
