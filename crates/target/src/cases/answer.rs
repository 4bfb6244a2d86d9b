//! What a system answers, and what it means.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Case, Means, endpoint, headers, text};
use crate::{ClassChoice, Connector, Endpoint, Meaning};

/// One answer of `answers.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerCase {
    /// Its name.
    pub name: String,
    /// The document that it was taken from.
    pub source: String,
    /// The fact of `facts.yaml` that it is an answer of.
    pub fact: Option<String>,
    /// The object, or an operation on it.
    pub object: String,
    /// `lookup`, `create`, `upsert`, `keyed`, `update`, or the name of a step.
    pub request: String,
    /// The status of the answer.
    pub status: u16,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON, or a text that is sent as it is.
    pub body: Value,
    /// What it means.
    pub means: Means,
    /// What it tells of limits, in the order of the definition's `signals`; of those that it tells of.
    pub left: Option<Vec<LeftCase>>,
}

/// What an answer tells of a limit.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LeftCase {
    /// What is left.
    pub remaining: u64,
    /// Of how much.
    pub max: Option<u64>,
    /// What is kept for others.
    #[serde(default)]
    pub reserve: u64,
}

impl Case for AnswerCase {
    const FILE: &'static str = "answers.yaml";

    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, connector: &Connector) -> Result<(), String> {
        if self.source.is_empty() {
            return Err("it names no source".to_owned());
        }
        let (endpoint, meaning) = self.understood(connector)?;
        let mut said = Means::of(meaning);
        if self.means.code.is_none() {
            said.code = None;
        }
        if said != self.means {
            return Err(format!("it means {said:?}, and not {:?}", self.means));
        }
        let Some(expected) = &self.left else { return Ok(()) };
        let told = endpoint.left(&headers(&self.headers)?, text(&self.body).as_bytes());
        let left = told.iter().map(|left| LeftCase {
            remaining: left.remaining,
            max: left.max,
            reserve: left.reserve,
        });
        let left: Vec<LeftCase> = left.collect();
        if left == *expected { Ok(()) } else { Err(format!("it leaves {left:?}, and not {expected:?}")) }
    }
}

impl AnswerCase {
    /// What the definition makes of it, and the operation that it answers.
    ///
    /// # Errors
    /// There is no such object or request, or a header is none.
    pub fn understood(&self, connector: &Connector) -> Result<(Endpoint, Meaning), String> {
        let class = class_of(connector, &self.object, &self.request)?;
        let endpoint = endpoint(connector, &self.object, class, &BTreeMap::new())?;
        let (headers, body) = (headers(&self.headers)?, text(&self.body));
        let meaning = endpoint.understands(&self.request, self.status, &headers, body.as_bytes());
        let meaning = meaning.ok_or_else(|| format!("there is no request `{}`", self.request))?;
        Ok((endpoint, meaning))
    }
}

/// The class in which an operation sends a request of that name.
fn class_of(connector: &Connector, object: &str, request: &str) -> Result<Option<ClassChoice>, String> {
    let (name, operation) = object.split_once('.').map_or((object, None), |(name, of)| (name, Some(of)));
    let unknown = || format!("there is no object `{object}`");
    let found = connector.objects.get(name).ok_or_else(unknown)?;
    let operation = match operation {
        None => &found.operation,
        Some(of) => found.operations.get(of).ok_or_else(unknown)?,
    };
    Ok(match request {
        "keyed" => Some(ClassChoice::Keyed),
        "upsert" => Some(ClassChoice::Upsert),
        "create" if operation.upsert.is_some() => Some(ClassChoice::Neither),
        _ => None,
    })
}
