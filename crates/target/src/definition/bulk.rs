//! How many documents are written in one request.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Condition, Request,
    value::{OneOrMany, one_or_many},
};

/// How many documents are written in one request, each with an answer of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// The most of them in a request.
    pub max_items: u32,
    /// The most bytes of a request's body.
    pub max_bytes: Option<u32>,
    /// The request; `{{items}}` in its body stands for the list of them.
    pub request: Request,
    /// What each of them is in that list; absent means the payload.
    pub item: Option<Value>,
    /// In the place of a list: each is a request of its own in a multipart body.
    pub parts: Option<Parts>,
    /// The statuses of an answer that says of each what became of it.
    pub ok: Vec<u16>,
    /// Whether one that fails undoes the others.
    #[serde(default)]
    pub kind: BulkKind,
    /// What the system counts where it counts requests over time.
    #[serde(default)]
    pub counts_as: CountsAs,
    /// What an answer names an item by, as the request has named it, such as `{{key}}`; absent: answers stand in the order of the
    /// items.
    pub named: Option<String>,
    /// The lists of answers to items. Empty only with `parts`, or with `kind: atomic`: then an answer that is ok is so for all.
    #[serde(default)]
    pub answers: Vec<ItemAnswers>,
}

/// Requests as the parts of a multipart body, such as `$batch` of OData. With `kind: atomic` all are in one change set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// The request of one; absent means the write's own.
    pub request: Option<Request>,
    /// Where the document's own id stands in the answer to one, `$.id` or `header.OData-EntityId`; absent means where the write says.
    pub id: Option<String>,
    /// How its address is written.
    #[serde(default)]
    pub address: PartAddress,
    /// Whether each stands in a change set of its own, with `kind: partial`: OData before version 4 takes nothing else that writes.
    #[serde(default)]
    pub change_sets: bool,
    /// What the system does behind one that failed, with `kind: partial`.
    #[serde(default)]
    pub after_error: AfterError,
}

/// How the address of a part is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartAddress {
    /// With scheme and host.
    #[default]
    Whole,
    /// From the host on, which stands in a header of its own.
    Path,
    /// From the folder of the batch's own address on.
    Relative,
}

/// What a system does with the parts behind one that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterError {
    /// It goes on. One without an answer is unknown.
    #[default]
    GoesOn,
    /// It carries them out in order, and none behind the first that failed: these are not applied.
    Stops,
}

/// Whether items stand and fall together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkKind {
    /// Each is applied or not.
    #[default]
    Partial,
    /// All are applied, or none is.
    Atomic,
}

/// What counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountsAs {
    /// The request.
    #[default]
    Call,
    /// Each item.
    Items,
}

/// A list of answers to items. Its paths lead into one of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemAnswers {
    /// Where the list stands in the body; `$` is the body itself.
    pub at: String,
    /// Where one says which item it answers, with `named`.
    pub name: Option<String>,
    /// Which of them say that the item is applied: true for all, false for none, or a condition.
    #[serde(default)]
    pub applied: AppliedWhen,
    /// The status that the error rules see of one that is not applied: a number, or where it stands; absent means the answer's own.
    pub status: Option<ItemStatus>,
    /// Where its error code stands; absent means where the connector's errors say.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub code: Vec<String>,
    /// Where its error text stands.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub message: Vec<String>,
    /// Where the document's own id stands.
    pub id: Option<String>,
}

/// When an item is applied.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AppliedWhen {
    /// Always, or never.
    Always(bool),
    /// When this holds.
    If(Condition),
}

impl Default for AppliedWhen {
    fn default() -> Self {
        Self::Always(true)
    }
}

/// The status of an item.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ItemStatus {
    /// Always this one.
    Is(u16),
    /// Where it stands.
    At(String),
}
