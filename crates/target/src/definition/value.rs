//! How single values stand in a definition.

use delivery::ErrorClass;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// One value or a list of them, as it stands in the file.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

/// A duration as it stands in the file.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$", "examples" = ["250ms", "5s", "24h"]))]
#[allow(dead_code)] // stands for its schema only
pub(super) struct DurationText(String);

/// The classes of errors; their type belongs to the delivery engine, which knows no schema.
pub(super) fn error_class(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ErrorClass::ALL})
}

/// One value or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<Vec<T>, D::Error> {
    Ok(match OneOrMany::deserialize(input)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// A duration such as `24h`, in milliseconds.
pub(super) fn duration_ms<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    let text = String::deserialize(input)?;
    parse_duration(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no duration, write for example 24h")))
}

/// Milliseconds of `250ms`, `5s`, `15m`, `24h`, `30d`.
pub(crate) fn parse_duration(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    UNITS.iter().find_map(|(unit, ms)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*ms))
}
