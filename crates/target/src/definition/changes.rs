//! How what has changed in a system is asked for.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    request::Request,
    value::{DurationText, duration_ms},
};

/// How what has changed since a moment is asked for, page by page.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// The way of asking.
    pub kind: ChangesKind,
    /// The request. Its payload is where to begin: `{{payload.since}}` the moment of the last record that was taken,
    /// `{{payload.after}}` its id, `{{payload.page}}` the most records of an answer. The answer must be in the order of moment and id, and begin behind both.
    pub request: Request,
    /// Where the list of records stands.
    #[serde(default = "root")]
    pub items: String,
    /// Where a record's own id stands: a whole number.
    pub id: String,
    /// Where the moment of its last change stands.
    pub modified: String,
    /// How the system writes a moment.
    #[serde(default)]
    pub format: TimeFormat,
    /// How far back every round begins, for changes that are committed later than the moment that they bear, for example `1m`.
    #[serde(deserialize_with = "duration_ms", rename = "overlap")]
    #[schemars(with = "DurationText")]
    pub overlap_ms: u64,
    /// The most records of an answer.
    pub page: u32,
}

/// The ways of asking for changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangesKind {
    /// By the moment of the last change, which every record bears.
    ModifiedSince,
}

/// How a system writes a moment in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// `2026-11-22T10:00:00.25Z`. A text without an offset is in UTC.
    #[default]
    Rfc3339,
    /// A map of `year`, `month`, `day`, `hour`, `minute`, `second`, `microsecond`: `{{payload.since.year}}` and so on.
    Parts,
    /// Milliseconds since 1970.
    EpochMs,
}

fn root() -> String {
    "$".to_owned()
}
