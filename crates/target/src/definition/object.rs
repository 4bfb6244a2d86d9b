//! The objects of a system, and what can be done with them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::ClassChoice;

use super::{
    bulk::Bulk,
    changes::Changes,
    each::Each,
    fields::PayloadField,
    job::Job,
    request::Request,
    value::{DurationText, OneOrMany, duration_ms, one_or_many},
};

/// One object of the system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(from = "ObjectFile")]
#[schemars(with = "ObjectFile")]
pub struct Object {
    /// Its path below the base URL.
    pub path: String,
    /// What the system can do with it, where that is not what the connector says.
    pub class: Option<ClassChoice>,
    /// How our reference must look there.
    pub reference: Reference,
    /// How it is found by our reference.
    pub lookup: Option<Lookup>,
    /// How it is asked for what has changed in it, where it is a source.
    pub changes: Option<Changes>,
    /// The fields that its payload can have. Absent: nobody knows.
    pub fields: Option<BTreeMap<String, PayloadField>>,
    /// Names that other fields of it may have, which each account makes for itself; `*` stands for anything.
    pub other_fields: Vec<String>,
    /// What a route does with it that names no operation.
    pub operation: Operation,
    /// What else can be done with it: `object: invoice.void` of a route names one.
    pub operations: BTreeMap<String, Operation>,
}

/// An object as it stands in the file: its own operation lies flat beside the rest.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ObjectFile {
    #[serde(default)]
    path: String,
    /// What the system can do with it, and with each operation that does not say so itself; absent: the connector's.
    class: Option<ClassChoice>,
    #[serde(default)]
    reference: Reference,
    lookup: Option<Lookup>,
    changes: Option<Changes>,
    fields: Option<BTreeMap<String, PayloadField>>,
    #[serde(default)]
    other_fields: Vec<String>,
    create: Option<Write>,
    upsert: Option<Write>,
    keyed: Option<Write>,
    update: Option<Write>,
    #[serde(default)]
    lookup_first: LookupFirst,
    #[serde(default)]
    then: Vec<Step>,
    #[serde(default)]
    operations: BTreeMap<String, Operation>,
}

impl From<ObjectFile> for Object {
    fn from(file: ObjectFile) -> Self {
        let ObjectFile {
            path,
            class,
            reference,
            lookup,
            changes,
            fields,
            other_fields,
            create,
            upsert,
            keyed,
            update,
            lookup_first,
            then,
            operations,
        } = file;
        let operation = Operation { class: None, create, upsert, keyed, update, lookup_first, then };
        Self { path, class, reference, lookup, changes, fields, other_fields, operation, operations }
    }
}

/// How a reference must look.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The target's field that holds it; for readers of the definition.
    pub field: Option<String>,
    /// The most characters.
    pub max_len: Option<usize>,
    /// The characters that it may have besides letters and digits; absent means any.
    pub chars: Option<String>,
}

/// What is done with an object: a write, then further steps.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// What the system can do here, where that is not what the object says.
    pub class: Option<ClassChoice>,
    /// How a new one is written.
    pub create: Option<Write>,
    /// How it is written by our reference, new or not.
    pub upsert: Option<Write>,
    /// How it is written with an idempotency key.
    pub keyed: Option<Write>,
    /// How one that was found is changed.
    pub update: Option<Write>,
    /// Whether to look before the first attempt too, and change what is there.
    #[serde(default)]
    pub lookup_first: LookupFirst,
    /// What follows the write, in order. A crash in between goes on at the first step that is not done.
    #[serde(default)]
    pub then: Vec<Step>,
}

/// When an operation begins with a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LookupFirst {
    /// Only after an attempt whose outcome is unknown: the first one of ours cannot be there yet.
    #[default]
    OnRetry,
    /// Always.
    Always,
}

/// How a document is written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The request.
    pub request: Request,
    /// The statuses that say it is written.
    pub ok: Vec<u16>,
    /// Where the document's own id stands: `$.id` in the body, or `header.Location` (its last segment).
    pub id: Option<String>,
    /// What to do with a document that says something else; absent means `overwrite` for an upsert, else `verify`.
    pub on_existing: Option<OnExisting>,
    /// How it is followed where the system takes it as a job.
    pub job: Option<Job>,
    /// Of an `update`: paths of the payload that it leaves as they were written when the document was made. For readers, and for the
    /// tests of base mappings; a path leaves out the indexes of lists.
    #[serde(default)]
    pub kept: Vec<String>,
    /// How many are written in one request, where a connection wants that.
    pub bulk: Option<Bulk>,
}

/// A step after the write, with its own check.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name, for messages.
    pub name: String,
    /// The request; `{{id}}` is the document's own id.
    pub request: Request,
    /// The statuses that say it is done.
    pub ok: Vec<u16>,
    /// How a look tells that it was done. A step with `each` has none.
    pub done: Option<Condition>,
    /// For which list of the payload it is made, once for each element.
    pub each: Option<Each>,
}

/// A condition on what a look found.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Where.
    pub path: String,
    /// What stands there; one of several. Absent: anything but null, false, 0, and what is empty.
    #[serde(default, rename = "is", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Value>")]
    pub is: Vec<Value>,
}

/// How a document is found by our reference.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The request.
    pub request: Request,
    /// The status that says that it is there, or, with `items`, that the search was made.
    #[serde(default = "ok")]
    pub found: u16,
    /// The status that says it is not.
    pub absent: Option<u16>,
    /// The status that says that there are several.
    pub several: Option<u16>,
    /// Where the list of what was found stands: none, or null, means absent, more than one several. `id`, `version` and
    /// `document` are paths into its only item. An object there is that item.
    pub items: Option<String>,
    /// What stands in the answer to a search that found nothing, if `items` does not.
    pub empty: Option<String>,
    /// Where the document's own id stands.
    pub id: String,
    /// Where its version stands: a path, or `header.ETag`.
    pub version: Option<String>,
    /// Where the body says how many there are.
    pub copies: Option<String>,
    /// Where the body holds what was written.
    #[serde(default = "whole")]
    pub document: String,
    /// What must be the same as in the payload for the document to be ours and as it should be.
    #[serde(default)]
    pub compare: Compare,
    /// Paths of the payload that `compare` knowingly leaves out, where the document is not written over: what differs in them only is
    /// not noticed. For readers, and for the tests of base mappings; a path leaves out the indexes of lists.
    #[serde(default)]
    pub unread: Vec<String>,
    /// Whether a write shows at once.
    #[serde(default)]
    pub consistency: Consistency,
    /// With `consistency: eventual`: how long a write may take to show, for example `5s`.
    #[serde(default, deserialize_with = "duration_ms", rename = "lag")]
    #[schemars(with = "DurationText")]
    pub lag_ms: u64,
}

pub(super) fn ok() -> u16 {
    200
}

fn whole() -> String {
    "$".to_owned()
}

/// What is compared.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Compare {
    /// All or nothing.
    Word(CompareWord),
    /// Path in the payload → path in the document.
    Fields(BTreeMap<String, String>),
}

impl Default for Compare {
    fn default() -> Self {
        Self::Word(CompareWord::Payload)
    }
}

/// What is compared, by a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompareWord {
    /// The whole payload: everything that was sent stands there.
    Payload,
    /// Nothing: nobody else writes under our reference.
    Exists,
}

/// Whether a write shows in a look-up at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// At once.
    #[default]
    Strong,
    /// After a while.
    Eventual,
}

/// What to do when a look-up finds a document that says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExisting {
    /// Touch nothing: the posting is in doubt.
    Verify,
    /// Write over it, as long as it is as the look has found it: the `update` names its `{{version}}`.
    PatchIfUnchanged,
    /// Write over it.
    Overwrite,
    /// Leave it: that it exists is enough.
    Skip,
}
