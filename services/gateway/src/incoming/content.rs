//! What an object says, as a digest.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// SHA-256 of the JSON without white space and with sorted keys, in hex. Do not change: event ids depend on it.
pub(super) fn digest(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    hex::encode(Sha256::digest(text))
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (i, (name, value)) in fields.into_iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                text.push_str(&format!("{comma}{}:", Value::from(name.as_str())));
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i > 0 { "," } else { "" });
                write(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A golden value, computed by another implementation of JSON and SHA-256.
    #[test]
    fn neither_order_nor_space_counts_and_the_digest_does_not_change() {
        let of = |text: &str| digest(&serde_json::from_str(text).unwrap());
        let expected = "aa62dd25a55cf216e4580cec140f39cf1c430680ef238bfc6eb55b4d45d4faf1";
        assert_eq!(of(r#"{"b": [1, {}, []], "a": {"y": null, "x": "\u00e9\n"}}"#), expected);
        assert_eq!(of(r#"{"a":{"x":"é\n","y":null},"b":[1,{},[]]}"#), expected);
        assert_ne!(of(r#"{"a":{"x":"é\n","y":null},"b":[1,[],{}]}"#), expected);
    }
}
