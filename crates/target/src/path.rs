//! Paths into JSON: `$.error.code`, `$.items[0].id`.

use serde_json::Value;

/// A path, kept as a JSON Pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath(String);

impl JsonPath {
    /// Reads a path. Only names and indexes exist.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('$')?;
        let pointer = rest.replace('[', ".").replace(']', "").replace('.', "/");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | ':');
        let valid = pointer.is_empty() || (pointer.starts_with('/') && pointer.chars().all(plain));
        valid.then_some(Self(pointer))
    }

    /// The value at the path.
    pub(crate) fn get<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.pointer(&self.0)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_names_and_indexes() {
        let value = json!({"a": [{"b": "x"}], "n": 7});
        let text = |path: &str| JsonPath::parse(path).and_then(|p| p.text(&value));
        assert_eq!(text("$.a[0].b").as_deref(), Some("x"));
        assert_eq!(text("$.n").as_deref(), Some("7"));
        assert_eq!(text("$.a[1].b"), None);
        assert_eq!(JsonPath::parse("a.b"), None);
        assert_eq!(JsonPath::parse("$.a[*]"), None);
    }
}
