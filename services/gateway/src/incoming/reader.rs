//! Reads the fields of one JSON object and collects what is wrong with them.

use chrono::DateTime;
use serde_json::{Map, Value};

use crate::problem::{FieldError, field_codes};

/// The longest identifier, in bytes. The event's id is derived from such texts, so they cannot be cut.
const MAX_TEXT: usize = 255;

/// What is wrong with one event. Its index is set by whoever knows it.
pub type Wrong = Vec<FieldError>;

/// The fields of one event.
pub(super) struct Reader<'a> {
    fields: &'a Map<String, Value>,
    pub wrong: Wrong,
}

impl<'a> Reader<'a> {
    pub fn new(fields: &'a Map<String, Value>) -> Self {
        Self { fields, wrong: Wrong::new() }
    }

    pub fn refuse(&mut self, path: impl Into<String>, code: &str, message: impl Into<String>) {
        self.wrong.push(FieldError {
            index: 0,
            path: path.into(),
            code: code.into(),
            message: message.into(),
        });
    }

    /// The field, where it is present and not null.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub fn require(&mut self, name: &str) -> Option<&'a Value> {
        let value = self.get(name);
        if value.is_none() {
            self.refuse(name, field_codes::MISSING, format!("`{name}` is required"));
        }
        value
    }

    /// A short text without control characters; they could blur where one part of an id ends and the next begins.
    pub fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.get(name)?;
        let Some(text) = value.as_str() else {
            self.mistyped(name, "a string", value);
            return None;
        };
        if (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control) {
            return Some(text);
        }
        self.refuse(
            name,
            field_codes::VALUE,
            format!("`{name}` must have 1 to {MAX_TEXT} bytes and no control characters"),
        );
        None
    }

    pub fn required_text(&mut self, name: &str) -> Option<&'a str> {
        self.require(name)?;
        self.text(name)
    }

    /// A whole number from 0; as JSON number, or as text of digits (CloudEvents in binary mode has only text).
    pub fn version(&mut self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|n| *n >= 0) {
            return Some(number);
        }
        self.refuse(
            name,
            if value.is_number() { field_codes::VALUE } else { field_codes::TYPE },
            format!("`{name}` must be a whole number from 0 to {}", i64::MAX),
        );
        None
    }

    /// An RFC 3339 instant, as microseconds since 1970-01-01 UTC.
    pub fn required_instant(&mut self, name: &str) -> Option<i64> {
        let text = self.required_text(name)?;
        match DateTime::parse_from_rfc3339(text) {
            Ok(instant) => Some(instant.timestamp_micros()),
            Err(_) => {
                let message = format!(
                    "`{name}` must be an instant of RFC 3339, such as 2026-11-22T10:00:00Z, not `{text}`"
                );
                self.refuse(name, field_codes::VALUE, message);
                None
            }
        }
    }

    pub fn mistyped(&mut self, path: &str, expected: &str, found: &Value) {
        let message = format!("`{path}` must be {expected}, not {}", kind(found));
        self.refuse(path, field_codes::TYPE, message);
    }

    /// Refuses every field that is not one of `known`.
    pub fn refuse_others(&mut self, known: &[&str]) {
        for name in self.fields.keys().filter(|name| !known.contains(&name.as_str())) {
            let distance = |k: &&&str| strsim::osa_distance(name, k);
            let nearest = known.iter().min_by_key(distance).filter(|k| distance(k) <= 2);
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            let hint = match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            self.refuse(
                shown.clone(),
                field_codes::UNKNOWN,
                format!("`{shown}` is not a field of an event; {hint}"),
            );
        }
    }
}

/// What JSON calls a value's type, with its article.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
