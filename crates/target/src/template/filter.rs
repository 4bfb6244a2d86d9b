//! What a placeholder's value passes through on its way into a text.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Everything but RFC 3986's unreserved characters.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Percent-encoded.
    Percent,
    /// As it is, where it would be percent-encoded.
    Raw,
    /// Between single quotes, with those inside doubled: a literal of SQL, SuiteQL and OData.
    Quoted,
    /// Between single quotes, with a backslash before those inside and before backslashes: a literal of SOQL.
    Escaped,
    /// As a JSON text, with its quotes.
    Json,
    Base64,
    Base64Url,
    /// A text that is a number, as a number where it stands alone in a JSON text.
    Number,
    /// Without what is null.
    Present,
    /// With an empty text in the place of each null: how many systems are told that a field is to be cleared.
    Emptied,
}

impl Filter {
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "percent" => Self::Percent,
            "raw" => Self::Raw,
            "quoted" => Self::Quoted,
            "escaped" => Self::Escaped,
            "json" => Self::Json,
            "base64" => Self::Base64,
            "base64url" => Self::Base64Url,
            "number" => Self::Number,
            "present" => Self::Present,
            "emptied" => Self::Emptied,
            _ => {
                return Err(format!(
                    "there is no filter `{name}`; there are percent, raw, quoted, escaped, json, base64, base64url, number, present, emptied"
                ));
            }
        })
    }

    /// What it makes of a whole value, where it stands for one.
    pub(crate) fn change(self) -> Option<fn(Value) -> Value> {
        match self {
            Self::Present => Some(present),
            Self::Emptied => Some(emptied),
            _ => None,
        }
    }

    pub(crate) fn apply(self, text: String) -> String {
        match self {
            Self::Percent => utf8_percent_encode(&text, RESERVED).to_string(),
            Self::Raw | Self::Number | Self::Present | Self::Emptied => text,
            Self::Quoted => format!("'{}'", text.replace('\'', "''")),
            Self::Escaped => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            Self::Json => serde_json::Value::from(text).to_string(),
            Self::Base64 => BASE64_STANDARD.encode(text),
            Self::Base64Url => BASE64_URL_SAFE.encode(text),
        }
    }
}

/// Without fields that are null, and without objects that have no others.
fn present(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let had = value.as_object().is_some_and(|fields| !fields.is_empty());
                (name, had, present(value))
            });
            let gone =
                |had: bool, value: &Value| had && value.as_object().is_some_and(serde_json::Map::is_empty);
            let left = fields.filter(|(_, had, value)| !value.is_null() && !gone(*had, value));
            left.map(|(name, _, value)| (name, value)).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) => items.into_iter().map(present).collect(),
        other => other,
    }
}

fn emptied(value: Value) -> Value {
    match value {
        Value::Null => Value::from(""),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, emptied(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(emptied).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_literal_ends_where_it_should() {
        let text = |filter: Filter| filter.apply(r"O'Neil\".to_owned());
        assert_eq!(text(Filter::Quoted), r"'O''Neil\'");
        assert_eq!(text(Filter::Escaped), r"'O\'Neil\\'");
    }

    #[test]
    fn what_is_null_goes_or_becomes_an_empty_text() {
        let value = json!({"a": null, "b": {"c": null}, "d": {}, "e": [{"f": null, "g": 1}], "h": false});
        assert_eq!(present(value.clone()), json!({"d": {}, "e": [{"g": 1}], "h": false}));
        assert_eq!(
            emptied(value),
            json!({"a": "", "b": {"c": ""}, "d": {}, "e": [{"f": "", "g": 1}], "h": false})
        );
    }
}
