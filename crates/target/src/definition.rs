//! Connector definitions as they stand in connectors/*.yaml.

use std::collections::BTreeMap;

use delivery::ErrorClass;
use event::ObjectKind;
use serde::{Deserialize, Deserializer};

/// What is wrong with a connector definition.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The file is not a definition; the source names line and column.
    #[error("connector definition `{name}` cannot be read")]
    Yaml {
        /// The connector.
        name: String,
        /// What the parser said.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A value does not fit.
    #[error("connector `{name}`: {what}")]
    Value {
        /// The connector.
        name: String,
        /// Which value, and what would fit.
        what: String,
    },
}

impl DefinitionError {
    /// The stable code, see docs/errors.
    pub const fn code(&self) -> &'static str {
        "CFG-0211"
    }
}

/// A connector: how one kind of system is written, read and understood.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// Its name, as connections use it.
    pub connector: String,
    /// Counts the changes to the definition.
    pub revision: u32,
    /// What the system can do, unless a connection says otherwise.
    pub class: super::ClassChoice,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How a request proves whose it is.
    #[serde(default)]
    pub auth: Auth,
    /// The idempotency key.
    pub key: Option<Key>,
    /// The header that carries the event id, for whoever looks into the target's log.
    pub event_id: Option<HeaderName>,
    /// The header that carries the source version.
    pub source_version: Option<HeaderName>,
    /// What answers mean.
    pub errors: Errors,
    /// The objects of the system.
    pub objects: BTreeMap<ObjectKind, Object>,
}

/// How a request proves whose it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// By a fixed secret of the connection.
    StaticToken {
        /// The header that carries it.
        header: String,
        /// What stands before it.
        #[serde(default)]
        prefix: String,
    },
}

/// The idempotency key of a system that honours one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Where it stands.
    pub place: KeyPlace,
    /// The name of the header.
    pub name: String,
    /// How long the system remembers it, for example `24h`.
    #[serde(deserialize_with = "duration_ms", rename = "window")]
    pub window_ms: u64,
}

/// Where an idempotency key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// In a header.
    Header,
}

/// The name of a header.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderName {
    /// The name.
    pub header: String,
}

/// What answers mean that are not simply ok.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Where the body says the error's code.
    pub code_path: Option<String>,
    /// Where the body says the error's text.
    pub message_path: Option<String>,
    /// In order; the first that matches decides.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it matches.
    pub when: When,
    /// What kind of trouble it is.
    pub class: ErrorClass,
    /// Whether the posting was applied.
    pub outcome: RuleOutcome,
    /// How long to wait: `header.<Name>` in seconds.
    pub wait: Option<String>,
}

/// What a rule matches: all that is given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The HTTP status, or several.
    #[serde(default, deserialize_with = "one_or_many")]
    pub status: Vec<u16>,
    /// The error's code, or several.
    #[serde(default, deserialize_with = "one_or_many")]
    pub code: Vec<String>,
}

/// Whether a posting was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// It was not, for certain.
    NotApplied,
    /// It was.
    Applied,
    /// Nobody knows.
    Unknown,
}

/// One object of the system.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Its path below the connection's base URL.
    pub path: String,
    /// How it is found by our reference.
    pub lookup: Option<Lookup>,
    /// How a new one is written.
    pub create: Option<Write>,
    /// How it is written by our reference.
    pub upsert: Option<Write>,
    /// How it is written with an idempotency key.
    pub keyed: Option<Write>,
}

/// How a document is found by our reference.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// Method and path; `{{path}}` and `{{ref}}` are filled in.
    pub request: String,
    /// The status that says it is there.
    pub found: u16,
    /// The status that says it is not.
    pub absent: u16,
    /// Where the body says the document's own id.
    pub id: String,
    /// Where the body says how many there are.
    pub copies: Option<String>,
    /// Where the body holds what was written.
    pub document: String,
    /// Whether a write shows at once.
    #[serde(default)]
    pub consistency: Consistency,
    /// With `consistency: eventual`: how long a write may take to show, for example `5s`.
    #[serde(default, deserialize_with = "duration_ms", rename = "lag")]
    pub lag_ms: u64,
}

/// Whether a write shows in a look-up at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// At once.
    #[default]
    Strong,
    /// After a while.
    Eventual,
}

/// What to do when a look-up after an unknown outcome finds a document that says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExisting {
    /// Touch nothing: the posting is in doubt.
    Verify,
    /// Write over it.
    Overwrite,
    /// Leave it: that it exists is enough.
    Skip,
}

/// How a document is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Method and path; `{{path}}` and `{{ref}}` are filled in.
    pub request: String,
    /// The statuses that say it is written.
    pub ok: Vec<u16>,
    /// Where the body says the document's own id.
    pub id: Option<String>,
    /// What to do with a document that says something else; absent means `overwrite` for an upsert, else `verify`.
    pub on_existing: Option<OnExisting>,
}

/// The definitions that are part of the program.
const EMBEDDED: &[(&str, &str)] = &[("sandbox", include_str!("../../../connectors/sandbox.yaml"))];

impl Connector {
    /// A definition that is part of the program.
    pub fn embedded(name: &str) -> Result<Self, DefinitionError> {
        let Some((_, yaml)) = EMBEDDED.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
            let what =
                format!("there is no such target connector; the embedded ones are {}", known.join(", "));
            return Err(DefinitionError::Value { name: name.to_owned(), what });
        };
        Self::parse(name, yaml)
    }

    /// Reads a definition; `name` is for messages.
    pub fn parse(name: &str, yaml: &str) -> Result<Self, DefinitionError> {
        serde_saphyr::from_str(yaml)
            .map_err(|source| DefinitionError::Yaml { name: name.to_owned(), source: Box::new(source) })
    }
}

fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        Many(Vec<T>),
        One(T),
    }
    Ok(match OneOrMany::deserialize(input)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

fn duration_ms<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    let text = String::deserialize(input)?;
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    units
        .iter()
        .find_map(|(unit, ms)| text.strip_suffix(unit)?.parse::<u64>().ok().map(|n| n * ms))
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no duration, write for example 24h")))
}
