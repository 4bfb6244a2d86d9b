//! Connector definitions as they stand in connectors/*.yaml.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

mod auth;
mod bulk;
mod changes;
mod each;
mod errors;
mod fields;
mod files;
mod job;
mod limits;
mod object;
mod paging;
mod request;
mod signal;
pub(crate) mod value;

use self::value::{DurationText, duration_ms};
pub use self::{
    auth::*, bulk::*, changes::*, each::*, errors::*, fields::*, job::*, limits::*, object::*, paging::*,
    request::*, signal::*,
};

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
    /// The file cannot be read.
    #[error("connector definition {path} cannot be read")]
    File {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A value does not fit.
    #[error("connector `{name}`: {what}")]
    Value {
        /// The connector.
        name: String,
        /// Which value, and what would fit.
        what: String,
    },
    /// Its way of signing in does not fit.
    #[error("connector `{name}`: `auth`: {what}")]
    Auth {
        /// The connector.
        name: String,
        /// What does not fit.
        what: String,
    },
}

impl DefinitionError {
    /// The stable code, see docs/errors.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Yaml { .. } | Self::File { .. } | Self::Value { .. } => "CFG-0211",
            Self::Auth { .. } => "CFG-0214",
        }
    }
}

/// A connector: how one kind of system is written, read and understood.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// Its name, as connections use it.
    pub connector: String,
    /// Counts the changes to the definition.
    pub revision: u32,
    /// Whether it was ever run against the system itself.
    #[serde(default)]
    pub evidence: Evidence,
    /// What a connection to it has to say, its secrets among it: `{{conn.<name>}}` stands for it.
    #[serde(default)]
    pub connection: BTreeMap<String, Field>,
    /// Where the system answers, unless a connection says so itself.
    pub base_url: Option<String>,
    /// What the system can do, unless an object, an operation or a connection says otherwise.
    pub class: super::ClassChoice,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How a request proves whose it is.
    #[serde(default)]
    pub auth: Auth,
    /// A token against forged requests.
    pub csrf: Option<CsrfCookie>,
    /// The idempotency key.
    pub key: Option<Key>,
    /// The header that carries the event id, for whoever looks into the target's log.
    pub event_id: Option<HeaderName>,
    /// The header that carries the source version.
    pub source_version: Option<HeaderName>,
    /// What the vendor allows every account.
    #[serde(default)]
    #[schemars(with = "LimitsText")]
    pub limits: Limits,
    /// Where answers tell how much of a limit is left.
    #[serde(default)]
    #[schemars(with = "Vec<SignalText>")]
    pub signals: Vec<Signal>,
    /// What answers mean.
    pub errors: Errors,
    /// The objects of the system.
    pub objects: BTreeMap<String, Object>,
}

/// What a definition rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// It was run against the system.
    Run,
    /// It was only read in the vendor's documentation.
    #[default]
    Documentation,
}

/// A value that a connection gives.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What kind of value it is.
    #[serde(default, rename = "type")]
    pub kind: FieldKind,
    /// What it is, for whoever writes the connection.
    #[serde(default)]
    pub help: String,
    /// What it is if the connection does not say.
    pub default: Option<String>,
}

/// What kind of value a connection gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A text, under `values`.
    #[default]
    String,
    /// An `http` or `https` address, under `values`.
    Url,
    /// A whole number, under `values`.
    Integer,
    /// A secret, by reference, under `secrets`. Only `auth` can name it.
    Secret,
}

/// The idempotency key of a system that honours one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Where it stands.
    pub place: KeyPlace,
    /// The name of the header or of the query's parameter; none for a body, where `{{key}}` stands.
    #[serde(default)]
    pub name: String,
    /// How long the system remembers it, for example `24h`.
    #[serde(deserialize_with = "duration_ms", rename = "window")]
    #[schemars(with = "DurationText")]
    pub window_ms: u64,
    /// The headers, in any case, by which the system says that it repeats the answer to an earlier request with the same key. A stored
    /// failure is told from one that passes by them.
    #[serde(default)]
    pub replayed: BTreeMap<String, String>,
}

/// Where an idempotency key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// In a header.
    Header,
    /// In the query.
    Query,
    /// In the body, or wherever else the requests say `{{key}}`.
    Body,
}

/// The name of a header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderName {
    /// The name.
    pub header: String,
}

impl Connector {
    /// Whether it has `<object>` or `<object>.<operation>`.
    pub fn has_operation(&self, name: &str) -> bool {
        let (object, operation) = name.split_once('.').map_or((name, None), |(o, verb)| (o, Some(verb)));
        let object = self.objects.get(object);
        object.is_some_and(|object| operation.is_none_or(|verb| object.operations.contains_key(verb)))
    }

    /// The class of what a route does that names `<object>` or `<object>.<operation>`: the narrowest that is said.
    pub fn class_of(&self, name: &str) -> super::ClassChoice {
        let (object, operation) = name.split_once('.').map_or((name, None), |(o, verb)| (o, Some(verb)));
        let object = self.objects.get(object);
        let operation = object.zip(operation).and_then(|(object, verb)| object.operations.get(verb));
        let said = operation.and_then(|operation| operation.class).or(object.and_then(|object| object.class));
        said.unwrap_or(self.class)
    }

    /// The objects that a payload can refer to with `$lookup`, in order.
    pub fn lookups(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().filter(|(_, object)| object.lookup.is_some()).map(|(name, _)| name.as_str())
    }

    /// The JSON Schema of a definition, for editors; connectors/schema.json.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// Reads a definition; `name` is for messages.
    pub fn parse(name: &str, yaml: &str) -> Result<Self, DefinitionError> {
        serde_saphyr::from_str(yaml)
            .map_err(|source| DefinitionError::Yaml { name: name.to_owned(), source: Box::new(source) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ClassChoice;

    #[test]
    fn the_narrowest_class_counts() {
        let path = "    path: /api/v1/invoices\n";
        let sandbox = include_str!("../../../../connectors/sandbox.yaml");
        assert!(sandbox.contains(path) && sandbox.contains("\nclass: upsert"));
        let operations = "    class: keyed\n    operations: {void: {class: neither}, close: {}}\n";
        let yaml = sandbox.replace(path, &format!("{path}{operations}"));
        let connector = Connector::parse("sandbox", &yaml).unwrap();
        for (name, class) in [
            ("invoice", ClassChoice::Keyed),
            ("invoice.void", ClassChoice::Neither),
            ("invoice.close", ClassChoice::Keyed),
            ("customer", ClassChoice::Upsert),
        ] {
            assert_eq!(connector.class_of(name), class, "{name}");
            assert!(connector.has_operation(name), "{name}");
        }
        assert!(!connector.has_operation("invoice.open") && !connector.has_operation("invoices"));
    }
}
