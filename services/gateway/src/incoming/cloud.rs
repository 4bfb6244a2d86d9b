//! CloudEvents 1.0: structured events, and binary mode turned into one.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use super::{
    Draft,
    draft::{data, event_type, extension, object, traceparent},
    reader::{Reader, Wrong},
};
use crate::problem::field_codes;

/// Attributes with a meaning here; every other one is an extension of the tenant's.
const OURS: [&str; 13] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "datacontenttype",
    "dataschema",
    "data",
    "sourceversion",
    "correlationid",
    "causationid",
    "traceparent",
];

impl<'a> Draft<'a> {
    /// Reads a structured CloudEvent. `type` is the event type, `subject` (if there) must be the entity, and the extension
    /// attributes `sourceversion`, `correlationid`, `causationid` and `traceparent` are the envelope's fields.
    ///
    /// # Errors
    /// Everything that is wrong outside of `data`.
    pub fn read_cloud(value: &'a Value) -> Result<Self, Wrong> {
        let fields = object(value)?;
        let mut reader = Reader::new(fields);
        check_version(&mut reader);
        let event_type = event_type(&mut reader);
        let (source, id) = (reader.required_text("source"), reader.required_text("id"));
        let occurred_at = reader.required_instant("time");
        let source_version = reader.version("sourceversion");
        let (correlation_id, causation_id) = (reader.text("correlationid"), reader.text("causationid"));
        let traceparent = traceparent(&mut reader);
        check_content(&mut reader);
        let tenant = reader.text("tenant");
        let extensions = extensions(&mut reader, fields);
        let data = data(&mut reader);
        check_subject(&mut reader, data.map(|(_, data)| data));
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
}

fn check_version(reader: &mut Reader<'_>) {
    match reader.required_text("specversion") {
        None | Some("1.0") => {}
        Some(other) => {
            let message = format!("CloudEvents `{other}` is not read here, only `1.0`");
            reader.refuse("specversion", field_codes::VALUE, message);
        }
    }
}

fn check_content(reader: &mut Reader<'_>) {
    if let Some(content) = reader.text("datacontenttype")
        && !content.to_ascii_lowercase().starts_with("application/json")
    {
        reader.refuse("datacontenttype", field_codes::VALUE, "`data` must be application/json");
    }
    if reader.get("data_base64").is_some() {
        reader.refuse("data_base64", field_codes::UNKNOWN, "`data` must be given as JSON, not as base64");
    }
}

fn check_subject(reader: &mut Reader<'_>, data: Option<&Map<String, Value>>) {
    let entity = data.and_then(|data| data.get("id")).and_then(Value::as_str);
    if let (Some(subject), Some(entity)) = (reader.text("subject"), entity)
        && subject != entity
    {
        let message = format!("`subject` is `{subject}`, but the object's id is `{entity}`");
        reader.refuse("subject", field_codes::DISAGREE, message);
    }
}

fn extensions(reader: &mut Reader<'_>, fields: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let is_ours = |name: &str| OURS.contains(&name) || name == "tenant" || name == "data_base64";
    for (name, value) in fields.iter().filter(|(name, value)| !is_ours(name) && !value.is_null()) {
        match value {
            Value::String(text) => extension(reader, &mut all, "", name, text.clone()),
            Value::Number(_) | Value::Bool(_) => extension(reader, &mut all, "", name, value.to_string()),
            other => reader.mistyped(name, "a string, a number or a boolean", other),
        }
    }
    all
}

/// A structured CloudEvent of a request in binary mode: attributes in `ce-` headers, `data` in the body.
///
/// # Errors
/// The name of a header that is not UTF-8 once percent-decoded.
pub fn binary_event(headers: &HeaderMap, data: Value) -> Result<Value, String> {
    let mut fields = Map::new();
    for (name, value) in headers {
        if let Some(attribute) = name.as_str().strip_prefix("ce-") {
            let text = decode(value.as_bytes()).ok_or_else(|| name.to_string())?;
            fields.insert(attribute.to_owned(), Value::String(text));
        }
    }
    fields.insert("data".to_owned(), data);
    Ok(Value::Object(fields))
}

/// The HTTP binding percent-encodes what a header cannot carry.
fn decode(bytes: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let escape = if first == b'%' { tail.get(..2).and_then(|hex| hex::decode(hex).ok()) } else { None };
        match escape {
            Some(byte) => {
                decoded.extend(byte);
                rest = &tail[2..];
            }
            None => {
                decoded.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(decoded).ok()
}
