//! How what has changed in a system is asked for.

use std::collections::BTreeMap;

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
    /// What stands in an answer that has no records and leaves out their list.
    pub empty: Option<String>,
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
    /// What the program that makes events of records gets as `.with`: texts, and what the connection gives, `{{conn.<value>}}`. For what
    /// is true of every record and stands in none.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
    /// Where records are what the system's webhooks bring, the webhook's program makes events of them; these are the headers, in
    /// small letters, that it is told came with each.
    pub webhook: Option<BTreeMap<String, String>>,
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

/// How a moment is written in a request, in UTC; what the form has no place for is cut off. A moment that a record bears as a text is
/// read in each of the forms that are texts, with an offset such as `+02:00` or `+0000` or without one (then it is UTC), and as
/// `/Date(1795600000000)/`, which counts milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// `2026-11-22T10:00:00.250000Z`.
    #[default]
    Rfc3339,
    /// `2026-11-22T10:00:00.250Z`.
    Rfc3339Ms,
    /// `2026-11-22T10:00:00Z`.
    Rfc3339S,
    /// `2026-11-22T10:00:00`.
    Plain,
    /// `2026-11-22 10:00:00`.
    Sql,
    /// A map of `year`, `month`, `day`, `hour`, `minute`, `second`, `microsecond`: `{{payload.since.year}}` and so on.
    Parts,
    /// Milliseconds since 1970; a number in a record is one too.
    EpochMs,
    /// Seconds since 1970; a number in a record is one too.
    EpochS,
}

fn root() -> String {
    "$".to_owned()
}

fn max_pages() -> u32 {
    100_000
}
