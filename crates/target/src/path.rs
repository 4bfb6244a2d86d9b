//! Paths into JSON: `$.error.code`, `$.items[0].id`, `$['o:errorDetails'][0]`.

use std::fmt;

use serde_json::Value;

/// A path, kept as a JSON Pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath(String);

impl JsonPath {
    /// The path to the whole.
    pub(crate) fn root() -> Self {
        Self(String::new())
    }

    /// Reads a path. Only names and indexes exist.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut pointer = String::new();
        while !rest.is_empty() {
            let (name, after) = segment(rest)?;
            pointer.push('/');
            pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            rest = after;
        }
        Some(Self(pointer))
    }

    /// The value at the path.
    pub(crate) fn get<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.pointer(&self.0)
    }

    /// Whether it is the one of a JSON Pointer.
    pub(crate) fn is(&self, pointer: &str) -> bool {
        self.0 == pointer
    }

    /// Its first name or index; empty for the whole.
    pub(crate) fn first(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }

    /// An object that has `value` at the path; none where the path leads to a list, or nowhere.
    pub(crate) fn put(&self, value: Value) -> Option<Value> {
        let names: Vec<String> =
            self.0.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
        let is_name = |name: &String| name.parse::<u32>().is_err();
        let wrap = |value, name: &String| Value::from(serde_json::Map::from_iter([(name.clone(), value)]));
        (!names.is_empty() && names.iter().all(is_name)).then(|| names.iter().rev().fold(value, wrap))
    }

    /// The value at the path as text.
    pub(crate) fn text(&self, value: &Value) -> Option<String> {
        match self.get(value)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// As a JSON Pointer.
impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first name or index of what follows the `$`, and what comes after it.
fn segment(rest: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = rest.strip_prefix("['") {
        let (name, after) = quoted.split_once("']")?;
        return (!name.is_empty()).then_some((name, after));
    }
    if let Some(index) = rest.strip_prefix('[') {
        let (index, after) = index.split_once(']')?;
        return index.parse::<u32>().is_ok().then_some((index, after));
    }
    let name = rest.strip_prefix('.')?;
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (name, after) = name.split_at(end);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '@');
    (!name.is_empty() && name.chars().all(plain)).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_names_and_indexes() {
        let value = json!({"a": [{"b": "x"}], "n": 7, "o:details": [{"a/b": "y"}]});
        let text = |path: &str| JsonPath::parse(path).and_then(|p| p.text(&value));
        assert_eq!(text("$.a[0].b").as_deref(), Some("x"));
        assert_eq!(text("$.n").as_deref(), Some("7"));
        assert_eq!(text("$['o:details'][0]['a/b']").as_deref(), Some("y"));
        assert_eq!(text("$.o:details[0]['a/b']").as_deref(), Some("y"));
        assert_eq!(text("$.a[1].b"), None);
        let put = |path: &str| JsonPath::parse(path).and_then(|p| p.put(json!(1)));
        assert_eq!(put("$.a['b/c']"), Some(json!({"a": {"b/c": 1}})));
        assert_eq!((put("$"), put("$.a[0]")), (None, None));
        for wrong in ["a.b", "$.a[*]", "$a", "$.", "$..a", "$['a", "$[x]", "$.a b"] {
            assert_eq!(JsonPath::parse(wrong), None, "{wrong}");
        }
    }
}
