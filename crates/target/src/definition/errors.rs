//! What answers mean that are not simply ok.

use std::collections::BTreeMap;

use delivery::ErrorClass;
use schemars::JsonSchema;
use serde::Deserialize;

use super::value::{OneOrMany, error_class, one_or_many};

/// What answers mean that are not simply ok.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Where the body says the error's code; the first path that leads somewhere counts.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub code_path: Vec<String>,
    /// Where the body says the error's text.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub message_path: Vec<String>,
    /// Paths that stand only in the body of an error: where one leads to something, the answer is one even with a status that is
    /// ok. For systems that report errors inside a 200 (JSON-RPC, GraphQL).
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub in_ok: Vec<String>,
    /// In order; the first that matches decides.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it matches.
    pub when: When,
    /// What kind of trouble it is.
    #[schemars(schema_with = "error_class")]
    pub class: ErrorClass,
    /// Whether the posting was applied.
    pub outcome: RuleOutcome,
    /// How long to wait: `header.<Name>` or `body.<path>` in seconds, or a duration such as `15m`.
    pub wait: Option<String>,
}

/// What a rule matches: all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The HTTP status, or several.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<u16>")]
    pub status: Vec<u16>,
    /// The error's code, or several; `*50` is every code that ends with 50.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub code: Vec<String>,
    /// What the error's text contains, letter case aside; one of several.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub message: Vec<String>,
    /// What headers of the answer say: name → value, letter case aside; all of them.
    #[serde(default)]
    pub header: BTreeMap<String, String>,
    /// What became of the exchange itself. Only `class` counts then: bytes that left us may have been applied, whatever a rule says.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Transport>")]
    pub transport: Vec<Transport>,
}

/// How an exchange can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Reset,
}

/// Whether a posting was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// It was not, for certain.
    NotApplied,
    /// It was.
    Applied,
    /// Nobody knows.
    Unknown,
}
