//! The body of a request.

use std::collections::BTreeMap;

use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Value};

use super::{Missing, Name, Scope, Text, filter::RESERVED, plain};
use crate::{definition::Encode, path::JsonPath};

/// The body of a request, compiled.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// None.
    Empty,
    /// The payload's bytes as they are.
    Payload,
    /// JSON with placeholders.
    Json(Json),
    /// The same as a form.
    Form(Json),
}

/// JSON with placeholders in its texts.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Constant(Value),
    Text(Text),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
    /// Objects in one; of a field that several have, the last counts, unless both are objects.
    Merge(Vec<Json>),
}

/// The field that makes an object of a body the sum of several.
const MERGE: &str = "$merge";

impl Body {
    pub(crate) fn compile(
        body: Option<&Value>,
        encode: Encode,
        known: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let json = body.map(|body| Json::compile(body, known)).transpose()?;
        Ok(match (json, encode) {
            (None, _) => Self::Empty,
            (Some(json), Encode::Json) if json.is_payload() => Self::Payload,
            (Some(json), Encode::Json) => Self::Json(json),
            (Some(json), Encode::Form) => Self::Form(json),
        })
    }

    /// Whether the payload has to be parsed for it.
    pub(crate) fn needs_payload(&self) -> bool {
        match self {
            Self::Empty | Self::Payload => false,
            Self::Json(json) | Self::Form(json) => json.has(&crate::call::is_of_payload),
        }
    }

    pub(crate) fn has(&self, which: &dyn Fn(&Name) -> bool) -> bool {
        match self {
            Self::Empty | Self::Payload => false,
            Self::Json(json) | Self::Form(json) => json.has(which),
        }
    }

    /// The bytes. `raw` is the payload as it is.
    pub(crate) fn render(&self, scope: &Scope<'_>, raw: &Bytes) -> Result<Bytes, Missing> {
        Ok(match self {
            Self::Empty => Bytes::new(),
            Self::Payload => raw.clone(),
            Self::Json(json) => json.render(scope)?.to_string().into(),
            Self::Form(json) => form(&json.render(scope)?).into(),
        })
    }
}

impl Json {
    pub(crate) fn compile(json: &Value, known: &BTreeMap<String, String>) -> Result<Self, String> {
        Ok(match json {
            Value::String(text) => {
                let text = Text::compile(text, known, false)?;
                match text.constant() {
                    Some(constant) => Self::Constant(constant.into()),
                    None => Self::Text(text),
                }
            }
            Value::Array(items) => {
                Self::Array(items.iter().map(|item| Self::compile(item, known)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) if fields.contains_key(MERGE) => Self::merge(fields, known)?,
            Value::Object(fields) => Self::Object(
                fields
                    .iter()
                    .map(|(name, value)| Ok((field(name, known)?, Self::compile(value, known)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => Self::Constant(other.clone()),
        })
    }

    fn merge(fields: &Map<String, Value>, known: &BTreeMap<String, String>) -> Result<Self, String> {
        match fields.get(MERGE).and_then(Value::as_array) {
            Some(parts) if fields.len() == 1 && !parts.is_empty() => Ok(Self::Merge(
                parts.iter().map(|part| Self::compile(part, known)).collect::<Result<_, _>>()?,
            )),
            _ => Err(format!("`{MERGE}` stands alone, with a list of objects")),
        }
    }

    fn is_payload(&self) -> bool {
        matches!(self, Self::Text(text) if text.alone() == Some(&Name::Payload(JsonPath::root())))
    }

    pub(crate) fn has(&self, which: &dyn Fn(&Name) -> bool) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Text(text) => text.has(which),
            Self::Array(items) | Self::Merge(items) => items.iter().any(|item| item.has(which)),
            Self::Object(fields) => fields.iter().any(|(_, value)| value.has(which)),
        }
    }

    pub(crate) fn render(&self, scope: &Scope<'_>) -> Result<Value, Missing> {
        Ok(match self {
            Self::Constant(value) => value.clone(),
            Self::Text(text) => text.value(scope)?,
            Self::Array(items) => items.iter().map(|item| item.render(scope)).collect::<Result<_, _>>()?,
            Self::Object(fields) => fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), value.render(scope)?)))
                .collect::<Result<Map<_, _>, _>>()?
                .into(),
            Self::Merge(parts) => {
                let parts = parts.iter().map(|part| part.render(scope)).collect::<Result<Vec<_>, _>>()?;
                parts.into_iter().reduce(merged).unwrap_or_default()
            }
        })
    }
}

/// The name of a field, which can say what the connection gives.
fn field(name: &str, known: &BTreeMap<String, String>) -> Result<String, String> {
    let text = Text::compile(name, known, false)?;
    let constant = text.constant().map(str::to_owned);
    constant.ok_or_else(|| format!("the name of the field `{name}` can say {{{{conn.<value>}}}} only"))
}

/// Two objects in one. What is no object is replaced.
fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            for (name, value) in second {
                let value = match first.remove(&name) {
                    Some(before) => merged(before, value),
                    None => value,
                };
                first.insert(name, value);
            }
            first.into()
        }
        (_, second) => second,
    }
}

/// A form with brackets for what is nested. What is null is left out.
pub(crate) fn form(value: &Value) -> String {
    fn put(name: &str, value: &Value, pairs: &mut Vec<String>) {
        match value {
            Value::Null => {}
            Value::Object(fields) => fields.iter().for_each(|(field, value)| {
                let field = utf8_percent_encode(field, RESERVED);
                let name = if name.is_empty() { field.to_string() } else { format!("{name}[{field}]") };
                put(&name, value, pairs);
            }),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, item)| put(&format!("{name}[{n}]"), item, pairs));
            }
            leaf => pairs.push(format!("{name}={}", utf8_percent_encode(&plain(leaf), RESERVED))),
        }
    }
    let mut pairs = Vec::new();
    put("", value, &mut pairs);
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn merged_objects_keep_what_only_one_has_and_the_last_word_counts() {
        let one = json!({"name": "A", "metadata": {"a": 1, "b": 1}, "items": [1]});
        let two = json!({"metadata": {"b": 2}, "items": [2], "id": "x"});
        let both = json!({"name": "A", "metadata": {"a": 1, "b": 2}, "items": [2], "id": "x"});
        assert_eq!(merged(one, two), both);
        let none = BTreeMap::new();
        for wrong in [json!({"$merge": {}}), json!({"$merge": []}), json!({"$merge": [{}], "x": 1})] {
            assert!(Json::compile(&wrong, &none).unwrap_err().contains("stands alone"), "{wrong}");
        }
    }

    #[test]
    fn a_form_has_brackets_for_what_is_nested() {
        let value = json!({"name": "A & B", "items": [{"price": "p1", "quantity": 2}], "none": null, "meta": {"a b": true}});
        let form = form(&value);
        let mut pairs: Vec<&str> = form.split('&').collect(); // the order of fields is serde_json's
        pairs.sort_unstable();
        assert_eq!(
            pairs,
            ["items[0][price]=p1", "items[0][quantity]=2", "meta[a%20b]=true", "name=A%20%26%20B"]
        );
    }
}
