//! Canonical JSON to an Avro datum, with every problem found in one pass.

use serde_json::{Map, Value};

use crate::{
    invalid::{Path, Problems, code},
    scalar::{self, DecimalError},
    shape::{Check, Field, Shape},
    wire,
};

/// The longest string of an event, in bytes.
pub const MAX_TEXT: usize = 8 * 1024;
/// The most items of an array.
pub const MAX_ITEMS: usize = 5_000;
/// The most entries of a map, such as `extensions`.
pub const MAX_ENTRIES: usize = 100;
/// The longest key of a map, in bytes.
pub const MAX_ENTRY_KEY: usize = 128;
/// The longest id, in bytes: that of a record key.
const MAX_ID: usize = event::RecordKey::MAX_ENTITY;

/// Appends `value` to `out`. Once a problem was added, the bytes are of no use.
///
/// The walk follows the contract, not the value, so that a value cannot make it deeper than the contract is.
pub(crate) fn encode(
    shape: &Shape,
    value: &Value,
    path: &Path<'_>,
    out: &mut Vec<u8>,
    problems: &mut Problems,
) {
    match (shape, value) {
        (Shape::Optional(_), Value::Null) => wire::put_long(out, 0),
        (Shape::Optional(inner), value) => {
            wire::put_long(out, 1);
            encode(inner, value, path, out, problems);
        }
        (Shape::Record(fields), Value::Object(object)) => record(fields, object, path, out, problems),
        (Shape::Array { items, min }, Value::Array(values)) => {
            array(items, *min, values, path, out, problems)
        }
        (Shape::Map, Value::Object(object)) => map(object, path, out, problems),
        (Shape::Text(check), Value::String(text)) => {
            check_text(*check, text, path, problems);
            wire::put_bytes(out, text.as_bytes());
        }
        (Shape::Enum(symbols), Value::String(text)) => symbol(symbols, text, path, out, problems),
        (Shape::Bool, Value::Bool(value)) => out.push(u8::from(*value)),
        (Shape::Int | Shape::Long, Value::Number(number)) => match number.as_i64() {
            Some(n) if matches!(shape, Shape::Long) || i32::try_from(n).is_ok() => wire::put_long(out, n),
            _ => problems.add(path, code::MISTYPED, || format!("must be {}, not {number}", wanted(shape))),
        },
        (Shape::Decimal { .. } | Shape::Uuid | Shape::Date | Shape::Instant, _) => {
            logical(shape, value, path, out, problems);
        }
        _ => mistyped(shape, value, path, problems),
    }
}

fn record(
    fields: &[Field],
    object: &Map<String, Value>,
    path: &Path<'_>,
    out: &mut Vec<u8>,
    problems: &mut Problems,
) {
    let mut found = 0;
    for field in fields {
        let path = path.field(&field.name);
        let value = object.get(&field.name);
        found += usize::from(value.is_some());
        match (value, &field.default) {
            // null in place of a field that has a default says the same as its absence
            (None | Some(Value::Null), Some(default)) => out.extend_from_slice(default),
            (Some(value), _) => encode(&field.shape, value, &path, out, problems),
            (None, None) => problems
                .add(&path, code::MISSING, || format!("is missing; it must be {}", wanted(&field.shape))),
        }
    }
    if found < object.len() {
        unknown_fields(fields, object, path, problems);
    }
}

fn unknown_fields(fields: &[Field], object: &Map<String, Value>, path: &Path<'_>, problems: &mut Problems) {
    for name in object.keys().filter(|name| fields.iter().all(|f| f.name != **name)) {
        problems.add(&path.field(name), code::UNKNOWN_FIELD, || {
            match nearest(name, fields.iter().map(|f| f.name.as_str())) {
                Some(near) => format!("is not a field of the contract; did you mean `{near}`?"),
                None => "is not a field of the contract; a tenant's own fields go to `extensions`".to_owned(),
            }
        });
    }
}

/// The candidate that `name` was probably meant to be.
fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    if name.len() > 64 {
        return None;
    }
    candidates
        .map(|c| (strsim::jaro_winkler(&name.to_lowercase(), &c.to_lowercase()), c))
        .filter(|(score, _)| *score > 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

fn array(
    items: &Shape,
    min: usize,
    values: &[Value],
    path: &Path<'_>,
    out: &mut Vec<u8>,
    problems: &mut Problems,
) {
    if values.len() < min {
        problems.add(path, code::TOO_FEW, || format!("must have {min} item or more"));
    }
    if values.len() > MAX_ITEMS {
        return problems.add(path, code::TOO_LONG, || {
            format!("must have {MAX_ITEMS} items at most, not {}", values.len())
        });
    }
    if !values.is_empty() {
        wire::put_count(out, values.len());
        for (i, value) in values.iter().enumerate() {
            encode(items, value, &path.item(i), out, problems);
        }
    }
    wire::put_long(out, 0);
}

fn map(object: &Map<String, Value>, path: &Path<'_>, out: &mut Vec<u8>, problems: &mut Problems) {
    if object.len() > MAX_ENTRIES {
        return problems.add(path, code::TOO_LONG, || {
            format!("must have {MAX_ENTRIES} entries at most, not {}", object.len())
        });
    }
    if !object.is_empty() {
        wire::put_count(out, object.len());
    }
    for (key, value) in object {
        let path = path.field(key);
        check_entry_key(key, &path, problems);
        wire::put_bytes(out, key.as_bytes());
        encode(&Shape::Text(Check::None), value, &path, out, problems);
    }
    wire::put_long(out, 0);
}

pub(crate) fn check_entry_key(key: &str, path: &Path<'_>, problems: &mut Problems) {
    if !(1..=MAX_ENTRY_KEY).contains(&key.len()) || key.chars().any(char::is_control) {
        problems.add(path, code::ID, || {
            format!("a name must have 1 to {MAX_ENTRY_KEY} bytes and no control characters")
        });
    }
}

pub(crate) fn check_text(check: Check, text: &str, path: &Path<'_>, problems: &mut Problems) {
    let letters = |count| text.len() == count && text.bytes().all(|b| b.is_ascii_uppercase());
    let must = |what: &str| format!("must be {what}, not `{}`", shown(text));
    match check {
        Check::None if text.len() <= MAX_TEXT => {}
        Check::None => {
            problems.add(path, code::TOO_LONG, || {
                format!("must have {MAX_TEXT} bytes at most, not {}", text.len())
            });
        }
        Check::Currency if letters(3) => {}
        Check::Currency => problems
            .add(path, code::CODE_LIST, || must("an ISO 4217 currency of 3 upper-case letters, such as EUR")),
        Check::Country if letters(2) => {}
        Check::Country => problems
            .add(path, code::CODE_LIST, || must("an ISO 3166-1 country of 2 upper-case letters, such as DE")),
        Check::Unit if is_unit(text) => {}
        Check::Unit => problems
            .add(path, code::CODE_LIST, || must("a UN/ECE Recommendation 20 unit, such as PCE, KGM or HUR")),
        Check::Id if (1..=MAX_ID).contains(&text.len()) && !text.chars().any(char::is_control) => {}
        Check::Id => problems
            .add(path, code::ID, || format!("must have 1 to {MAX_ID} bytes and no control characters")),
    }
}

fn is_unit(text: &str) -> bool {
    (2..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn symbol(symbols: &[String], text: &str, path: &Path<'_>, out: &mut Vec<u8>, problems: &mut Problems) {
    match symbols.iter().position(|s| s == text) {
        Some(index) => wire::put_count(out, index),
        None => problems.add(path, code::SYMBOL, || {
            format!("must be one of {}, not `{}`", symbols.join(", "), shown(text))
        }),
    }
}

/// Types that are strings in JSON and numbers in Avro.
fn logical(shape: &Shape, value: &Value, path: &Path<'_>, out: &mut Vec<u8>, problems: &mut Problems) {
    match (shape, value) {
        (Shape::Decimal { precision, scale }, Value::String(_) | Value::Number(_)) => {
            let parsed = match value {
                Value::Number(number) => scalar::decimal_of_number(number, *precision, *scale),
                _ => scalar::parse_decimal(value.as_str().unwrap_or_default(), *precision, *scale),
            };
            match parsed {
                Ok(unscaled) => wire::put_decimal(out, unscaled),
                Err(error) => problems.add(path, code::DECIMAL, || bad_decimal(error, *precision, *scale)),
            }
        }
        (Shape::Date, Value::String(text)) => match scalar::parse_date(text) {
            Some(days) => wire::put_long(out, i64::from(days)),
            None => {
                problems.add(path, code::DATE, || format!("must be {}, not `{}`", wanted(shape), shown(text)))
            }
        },
        (Shape::Instant, Value::String(text)) => match scalar::parse_instant(text) {
            Some(micros) => wire::put_long(out, micros),
            None => problems
                .add(path, code::INSTANT, || format!("must be {}, not `{}`", wanted(shape), shown(text))),
        },
        (Shape::Uuid, Value::String(text)) => match uuid::Uuid::try_parse(text) {
            Ok(id) => put_uuid(out, id),
            Err(_) => {
                problems.add(path, code::UUID, || format!("must be {}, not `{}`", wanted(shape), shown(text)))
            }
        },
        _ => mistyped(shape, value, path, problems),
    }
}

pub(crate) fn put_uuid(out: &mut Vec<u8>, id: uuid::Uuid) {
    wire::put_bytes(out, id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).as_bytes());
}

fn bad_decimal(error: DecimalError, precision: u32, scale: u32) -> String {
    match error {
        DecimalError::Syntax => "must be a decimal number without exponent, such as \"119.00\"".to_owned(),
        DecimalError::Scale => format!("must have {scale} digits at most behind the point"),
        DecimalError::Precision => format!("must have {} digits at most before the point", precision - scale),
        DecimalError::Inexact => "has too many digits for a JSON number: give it as a string".to_owned(),
    }
}

fn mistyped(shape: &Shape, value: &Value, path: &Path<'_>, problems: &mut Problems) {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    problems.add(path, code::MISTYPED, || format!("must be {}, not {got}", wanted(shape)));
}

fn wanted(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "a boolean",
        Shape::Int => "an integer of 32 bits",
        Shape::Long => "an integer of 64 bits",
        Shape::Text(_) | Shape::Enum(_) => "a string",
        Shape::Uuid => "a UUID",
        Shape::Decimal { .. } => "a decimal number in a string, such as \"119.00\"",
        Shape::Date => "a date, YYYY-MM-DD",
        Shape::Instant => "an instant of RFC 3339, such as 2026-11-22T10:00:00Z",
        Shape::Array { .. } => "an array",
        Shape::Map | Shape::Record(_) => "an object",
        Shape::Optional(inner) => wanted(inner),
    }
}

/// The start of a text from outside, fit for a message.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
