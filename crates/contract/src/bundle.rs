//! Makes each schema self-contained: a common type is written out where it is first used, and named afterwards.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// A schema file does not hold together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// Not JSON.
    #[error("the schema is not JSON")]
    Json(#[from] serde_json::Error),
    /// A common type without name and namespace.
    #[error("a common type has no `name` or no `namespace`")]
    Unnamed,
}

/// The order in which attributes are written; others follow in the order of the alphabet. It is fixed here because
/// the order of `serde_json`'s maps depends on which other crates are built along, and the text is what a registry
/// compares.
const ORDER: [&str; 18] = [
    "name",
    "type",
    "namespace",
    "logicalType",
    "precision",
    "scale",
    "size",
    "items",
    "values",
    "check",
    "fraction_digits",
    "min_items",
    "doc",
    "aliases",
    "symbols",
    "default",
    "fields",
    "order",
];

/// The text of the schema `root` with all it uses of `common`.
///
/// # Errors
/// [`BundleError`] if a file is not what it should be. References to types that are nowhere are left: the parser
/// names them.
pub(crate) fn bundle(root: &str, common: &[&str]) -> Result<String, BundleError> {
    let mut library = BTreeMap::new();
    for text in common {
        let definition: Value = serde_json::from_str(text)?;
        let part = |key| definition.get(key).and_then(Value::as_str).ok_or(BundleError::Unnamed);
        library.insert(format!("{}.{}", part("namespace")?, part("name")?), definition);
    }
    let root = inline(&serde_json::from_str(root)?, &library, &mut BTreeSet::new());
    Ok(text_of(&root))
}

/// The one text of a schema: readable, and free of the accidents of white space and attribute order.
pub(crate) fn text_of(schema: &Value) -> String {
    let mut text = String::new();
    render(schema, 0, &mut text);
    text.push('\n');
    text
}

/// `schema` with the first use of each library type replaced by its definition.
fn inline(schema: &Value, library: &BTreeMap<String, Value>, seen: &mut BTreeSet<String>) -> Value {
    match schema {
        Value::String(name) => match library.get(name) {
            Some(definition) if seen.insert(name.clone()) => inline(definition, library, seen),
            _ => schema.clone(),
        },
        Value::Array(union) => union.iter().map(|s| inline(s, library, seen)).collect(),
        Value::Object(object) => Value::Object(inline_object(object, library, seen)),
        other => other.clone(),
    }
}

/// Visits what may hold a schema in the order of [`ORDER`], so that the first use is the first in the text.
fn inline_object(
    object: &Map<String, Value>,
    library: &BTreeMap<String, Value>,
    seen: &mut BTreeSet<String>,
) -> Map<String, Value> {
    let mut result = object.clone();
    for key in ["type", "items", "values"] {
        if let Some(schema) = object.get(key) {
            result.insert(key.to_owned(), inline(schema, library, seen));
        }
    }
    if let Some(Value::Array(fields)) = object.get("fields") {
        let fields = fields.iter().map(|f| inline(f, library, seen)).collect();
        result.insert("fields".to_owned(), fields);
    }
    result
}

/// What fits a line stands on one.
fn render(value: &Value, indent: usize, out: &mut String) {
    const LINE: usize = 100;
    let flat = flat(value);
    if flat.len() + indent <= LINE || !(value.is_object() || value.is_array()) {
        out.push_str(&flat);
        return;
    }
    let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
    out.push(open);
    for (i, (key, item)) in entries(value).into_iter().enumerate() {
        out.push_str(if i == 0 { "\n" } else { ",\n" });
        out.push_str(&" ".repeat(indent + 2));
        if let Some(key) = key {
            out.push_str(&format!("{}: ", Value::from(key)));
        }
        render(item, indent + 2, out);
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push(close);
}

fn flat(value: &Value) -> String {
    if !(value.is_object() || value.is_array()) {
        return value.to_string();
    }
    let items: Vec<String> = entries(value)
        .into_iter()
        .map(|(key, item)| match key {
            Some(key) => format!("{}: {}", Value::from(key), flat(item)),
            None => flat(item),
        })
        .collect();
    if value.is_object() { format!("{{{}}}", items.join(", ")) } else { format!("[{}]", items.join(", ")) }
}

/// The parts of an object in our order, or of an array.
fn entries(value: &Value) -> Vec<(Option<&str>, &Value)> {
    match value {
        Value::Object(object) => {
            let rank = |key: &str| ORDER.iter().position(|k| *k == key).unwrap_or(ORDER.len());
            let mut entries: Vec<_> = object.iter().map(|(k, v)| (Some(k.as_str()), v)).collect();
            entries.sort_by_key(|(key, _)| (rank(key.unwrap_or_default()), *key));
            entries
        }
        Value::Array(items) => items.iter().map(|v| (None, v)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MONEY: &str =
        r#"{"type":"record","name":"Money","namespace":"c","fields":[{"name":"unit","type":"c.Unit"}]}"#;
    const UNIT: &str = r#"{"type":"enum","name":"Unit","namespace":"c","symbols":["A"]}"#;

    #[test]
    fn the_first_use_is_inlined_and_later_ones_are_names() {
        let root = r#"{"type":"record","name":"R","fields":[
            {"name":"a","type":["null","c.Money"]},{"name":"b","type":{"type":"array","items":"c.Money"}},{"name":"c","type":"c.Unit"}]}"#;
        let text = bundle(root, &[UNIT, MONEY]).unwrap();
        let bundled: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bundled["fields"][0]["type"][1]["fields"][0]["type"]["symbols"][0], "A");
        assert_eq!(bundled["fields"][1]["type"]["items"], "c.Money");
        assert_eq!(bundled["fields"][2]["type"], "c.Unit");
        apache_avro::Schema::parse_str(&text).unwrap();
    }

    #[test]
    fn the_text_does_not_depend_on_the_order_of_the_input() {
        let one = bundle(r#"{"name":"R","type":"record","fields":[],"zeta":1,"alpha":2}"#, &[]).unwrap();
        let two = bundle(r#"{"alpha":2,"zeta":1,"fields":[],"type":"record","name":"R"}"#, &[]).unwrap();
        assert_eq!(one, two);
        assert_eq!(
            one,
            "{\"name\": \"R\", \"type\": \"record\", \"fields\": [], \"alpha\": 2, \"zeta\": 1}\n"
        );
    }
}
