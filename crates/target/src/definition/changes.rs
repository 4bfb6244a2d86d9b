//! How what has changed in a system is asked for.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    paging::Paging,
    request::Request,
    value::{DurationText, duration_ms},
};

/// How what has changed since a moment is asked for, page by page.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// The way of asking.
    pub kind: ChangesKind,
    /// The request for the first page. `{{payload.since}}` is the moment to begin at, `{{payload.page}}` the most records of an answer.
    /// What else it can say depends on `paging`.
    pub request: Request,
    /// How the next page is asked for.
    #[serde(default)]
    pub paging: Paging,
    /// In which order the records come. `paging: {kind: keyset}` has an order of its own, moment and id.
    pub order: Option<Order>,
    /// The most pages that one walk through the changes may have.
    #[serde(default = "max_pages")]
    pub max_pages: u32,
    /// Where the list of records stands.
    #[serde(default = "root")]
    pub items: String,
    /// Where a record's own id stands.
    pub id: String,
    /// What a record's own id is.
    #[serde(default)]
    pub ids: Ids,
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

/// In which order records come. It decides how far a system was read when a page is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// In no order that can be relied on: nothing but the end of the walk says how far the system was read.
    #[default]
    Any,
    /// By the moment of the last change, the earliest first: each page says how far. An answer in another order is refused.
    Modified,
}

/// What a record's own id is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ids {
    /// A whole number.
    #[default]
    Number,
    /// A text; a number counts as one.
    Text,
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

fn max_pages() -> u32 {
    100_000
}
