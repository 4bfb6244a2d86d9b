//! Placeholders of a definition: `{{name}}` and `{{name|filter}}`, filled in for each posting.

mod body;
mod filter;
mod text;

use std::collections::BTreeMap;

use serde_json::Value;

pub(crate) use self::{
    body::{Body, Json, form},
    filter::{Filter, RESERVED},
    text::Text,
};
use crate::{path::JsonPath, posting::Posting};

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The source's id of the entity.
    Reference,
    /// The target's own id of the document.
    Id,
    /// The version of the document that a look has found.
    Version,
    /// The idempotency key.
    Key,
    /// The event's id.
    EventId,
    /// The source's version of the entity.
    SourceVersion,
    /// The payload, or what stands in it at a path.
    Payload(JsonPath),
    /// What the system said when we signed in.
    Captured(Box<str>),
    /// The items of a request for several.
    Items,
    /// The element of a list that a step is made for, or what stands in it at a path.
    Each(JsonPath),
    /// The id of the job that a write has become.
    Job,
    /// The id of the part of a job that has the result.
    Task,
}

/// What placeholders are filled with.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) posting: &'a Posting,
    /// The payload as JSON, with its references resolved. Null where a request does not need it.
    pub(crate) payload: &'a Value,
    pub(crate) id: Option<&'a Value>,
    pub(crate) version: Option<&'a str>,
    /// Sets the keys of a step apart from that of the write.
    pub(crate) step: Option<&'a str>,
    pub(crate) captured: &'a BTreeMap<String, String>,
    /// Of a request for several.
    pub(crate) items: Option<&'a Value>,
    /// Of a step for each element of a list.
    pub(crate) each: Option<&'a Value>,
    pub(crate) job: Option<&'a str>,
    pub(crate) task: Option<&'a str>,
}

impl<'a> Scope<'a> {
    /// Names of a posting before anything is known of its document.
    pub(crate) fn of(
        posting: &'a Posting,
        payload: &'a Value,
        captured: &'a BTreeMap<String, String>,
    ) -> Self {
        Self {
            posting,
            payload,
            id: None,
            version: None,
            step: None,
            captured,
            items: None,
            each: None,
            job: None,
            task: None,
        }
    }
}

/// A placeholder that nothing is known for: its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) String);

impl Name {
    /// Reads what stands between the braces, but for the filters. Names of the connection are not among them: they are
    /// filled in when the definition is compiled.
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "ref" => Self::Reference,
            "id" => Self::Id,
            "version" => Self::Version,
            "key" => Self::Key,
            "items" => Self::Items,
            "job" => Self::Job,
            "task" => Self::Task,
            "event.id" => Self::EventId,
            "event.source_version" => Self::SourceVersion,
            _ => match text.split_once('.') {
                None if text == "payload" => Self::Payload(JsonPath::root()),
                Some(("payload", path)) => {
                    let path = JsonPath::parse(&format!("$.{path}"));
                    Self::Payload(path.ok_or_else(|| format!("`{text}` is no path"))?)
                }
                None if text == "each" => Self::Each(JsonPath::root()),
                Some(("each", path)) => {
                    let path = JsonPath::parse(&format!("$.{path}"));
                    Self::Each(path.ok_or_else(|| format!("`{text}` is no path"))?)
                }
                _ => match text.strip_prefix("auth.captured.") {
                    Some(name) if !name.is_empty() => Self::Captured(name.into()),
                    _ => return Err(unknown(text)),
                },
            },
        })
    }

    /// The value, typed.
    fn value(&self, scope: &Scope<'_>) -> Result<Value, Missing> {
        let missing = |name: &str| Missing(name.to_owned());
        let posting = scope.posting;
        Ok(match self {
            Self::Reference => Value::from(posting.reference()),
            Self::Id => scope.id.cloned().ok_or_else(|| missing("id"))?,
            Self::Version => scope.version.map(Value::from).ok_or_else(|| missing("version"))?,
            Self::Items => scope.items.cloned().ok_or_else(|| missing("items"))?,
            Self::Job => scope.job.map(Value::from).ok_or_else(|| missing("job"))?,
            Self::Task => scope.task.map(Value::from).ok_or_else(|| missing("task"))?,
            Self::Key => Value::from(posting.idempotency_key(scope.step)),
            Self::EventId => Value::from(posting.key().event.to_string()),
            Self::SourceVersion => Value::from(posting.source_version()),
            Self::Payload(path) => {
                path.get(scope.payload).cloned().ok_or_else(|| missing(&format!("payload{path}")))?
            }
            Self::Each(path) => {
                let element = scope.each.and_then(|each| path.get(each));
                element.cloned().ok_or_else(|| missing(&format!("each{path}")))?
            }
            Self::Captured(name) => scope
                .captured
                .get(&**name)
                .map(|v| Value::from(v.as_str()))
                .ok_or_else(|| missing(&format!("auth.captured.{name}")))?,
        })
    }
}

fn unknown(name: &str) -> String {
    format!(
        "`{{{{{name}}}}}` stands for nothing; there are path, ref, id, version, key, event.id, event.source_version, \
         payload, payload.<path>, each, each.<path>, conn.<value>, auth.captured.<value>"
    )
}

/// A value as text: a string without its quotes.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
