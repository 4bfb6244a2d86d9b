//! What goes out for a payload, to the letter.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Case, Sent, endpoint, key};
use crate::{ClassChoice, Connector};

/// One posting of `requests.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestCase {
    /// Its name.
    pub name: String,
    /// The object, or an operation on it.
    pub object: String,
    /// The class, where it is not the connector's.
    pub class: Option<ClassChoice>,
    /// What the connection gives.
    #[serde(default)]
    pub conn: BTreeMap<String, String>,
    /// Our reference.
    pub reference: String,
    /// What is posted.
    pub payload: Value,
    /// Every request that goes out, in order: the look, the write, the change, the steps, and behind
    /// what becomes a job its requests. The target's own id is `ID-1`, the version `5`, a job `JOB-1`, its task `TASK-1`.
    pub expect: Vec<Sent>,
}

impl Case for RequestCase {
    const FILE: &'static str = "requests.yaml";

    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, connector: &Connector) -> Result<(), String> {
        let seen_from = written(connector, &self.object)?;
        let endpoint = endpoint(connector, seen_from, self.class, &self.conn)?;
        let posting = endpoint.posting(key(7), &self.reference, 3, self.payload.to_string().into())?;
        let sent = if seen_from == self.object {
            endpoint.preview(&posting, "ID-1", "5")?
        } else {
            let look = endpoint.preview_look(&self.object, &posting);
            vec![look.ok_or_else(|| format!("`{}` cannot be looked up", self.object))??]
        };
        let lines: Vec<&str> = sent.iter().map(|one| one.send.as_str()).collect();
        let expected: Vec<&str> = self.expect.iter().map(|one| one.send.as_str()).collect();
        if lines != expected {
            return Err(format!("it sends {lines:#?}, and not {expected:#?}"));
        }
        sent.iter().zip(&self.expect).try_for_each(|(sent, expected)| expected.fits(sent))
    }
}

/// The object itself, or, of one that is only looked up, another one that refers to it.
fn written<'a>(connector: &'a Connector, object: &'a str) -> Result<&'a str, String> {
    let is_written = |name: &str| {
        connector.objects.get(name).is_some_and(|found| {
            let operation = &found.operation;
            operation.create.is_some() || operation.upsert.is_some() || operation.keyed.is_some()
        })
    };
    if object.contains('.') || is_written(object) {
        return Ok(object);
    }
    let other = connector.objects.keys().find(|name| is_written(name));
    other.map(String::as_str).ok_or_else(|| "the definition has no object that is written".to_owned())
}
