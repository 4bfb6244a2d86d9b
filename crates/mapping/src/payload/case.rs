//! Tests of mappings: an input, and what must come of it.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Mapping, Refusal};
use crate::Diagnostic;

/// One case: `tests/<object or route>.<case>.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The event's `data`.
    pub input: Json,
    /// What `%event` has other than [`event()`] says.
    #[serde(default)]
    pub event: serde_json::Map<String, Json>,
    /// The payload that is made of it.
    pub expected: Option<Json>,
    /// How it is refused.
    pub refused: Option<Refused>,
}

/// How an input is refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The field that is named.
    pub field: Option<String>,
    /// What the message contains.
    #[serde(default)]
    pub message: String,
}

/// What a case without an `event` of its own is said to come from.
pub fn event(object: &str, entity: &str) -> Json {
    json!({
        "id": "00000000-0000-5000-8000-000000000001", "object": object, "type": format!("{object}.updated"),
        "entity_id": entity, "tenant": "test", "source_version": 1, "occurred_at": "2026-01-01T00:00:00.000000Z",
    })
}

impl Case {
    /// Reads `file`, whose content is `yaml`.
    ///
    /// # Errors
    /// It is no case, or expects both or neither.
    pub fn parse(file: &str, yaml: &str) -> Result<Self, Diagnostic> {
        let wrong = |message: String| Diagnostic::whole(file, Diagnostic::CASE, message);
        let case: Self = serde_saphyr::from_str(yaml).map_err(|error| wrong(error.to_string()))?;
        if case.expected.is_some() == case.refused.is_some() {
            return Err(wrong("it must have either `expected` or `refused`".to_owned()));
        }
        Ok(case)
    }

    /// Runs it. Without a mapping the input is the payload.
    ///
    /// # Errors
    /// What is different from what the case says.
    pub fn run(&self, object: &str, mapping: Option<&Mapping>) -> Result<(), String> {
        let mut event = event(object, self.input["id"].as_str().unwrap_or_default());
        for (name, value) in &self.event {
            event[name] = value.clone();
        }
        let made =
            mapping.map_or_else(|| Ok(self.input.clone()), |mapping| mapping.apply(&self.input, &event));
        match (made, &self.expected, &self.refused) {
            (Ok(made), Some(expected), _) => {
                let mut differences = Vec::new();
                compare("", expected, &made, &mut differences);
                let fields = mapping.and_then(|mapping| mapping.fields.as_ref());
                differences.extend(fields.map(|fields| fields.check(&made)).unwrap_or_default());
                let lookups = mapping.and_then(|mapping| mapping.lookups.as_ref());
                differences.extend(lookups.map(|lookups| lookups.check(&made)).unwrap_or_default());
                if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
            }
            (Ok(made), None, _) => Err(format!("it is not refused, and becomes {made}")),
            (Err(refusal), None, Some(refused)) => refused.fits(&refusal),
            (Err(refusal), ..) => Err(format!("it is refused: {}", told(&refusal))),
        }
    }
}

impl Refused {
    fn fits(&self, refusal: &Refusal) -> Result<(), String> {
        let field = self.field.is_none() || self.field == refusal.field;
        if field && refusal.message.contains(&self.message) {
            return Ok(());
        }
        Err(format!("it is refused, and not as expected: {}", told(refusal)))
    }
}

fn told(refusal: &Refusal) -> String {
    let field = refusal.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    format!("{}: {field}{}", refusal.code, refusal.message)
}

/// A line for each place where the two differ.
fn compare(at: &str, expected: &Json, made: &Json, differences: &mut Vec<String>) {
    match (expected, made) {
        (Json::Object(expected), Json::Object(made)) => {
            for (name, value) in expected {
                let at = format!("{at}.{name}");
                match made.get(name) {
                    Some(found) => compare(&at, value, found, differences),
                    None => differences.push(format!("{at}: expected {value}, and it is not there")),
                }
            }
            let more = made.iter().filter(|(name, _)| !expected.contains_key(*name));
            differences
                .extend(more.map(|(name, value)| format!("{at}.{name}: not expected, and it is {value}")));
        }
        (Json::Array(expected), Json::Array(made)) if expected.len() == made.len() => {
            for (n, (expected, made)) in expected.iter().zip(made).enumerate() {
                compare(&format!("{at}[{n}]"), expected, made, differences);
            }
        }
        _ if expected == made => {}
        _ => {
            let at = if at.is_empty() { "." } else { at };
            differences.push(format!("{at}: expected {expected}, and it is {made}"));
        }
    }
}
