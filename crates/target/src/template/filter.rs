//! What a placeholder's value passes through on its way into a text.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

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
    /// As a JSON text, with its quotes.
    Json,
    Base64,
    Base64Url,
    /// A text that is a number, as a number where it stands alone in a JSON text.
    Number,
}

impl Filter {
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "percent" => Self::Percent,
            "raw" => Self::Raw,
            "quoted" => Self::Quoted,
            "json" => Self::Json,
            "base64" => Self::Base64,
            "base64url" => Self::Base64Url,
            "number" => Self::Number,
            _ => {
                return Err(format!(
                    "there is no filter `{name}`; there are percent, raw, quoted, json, base64, base64url, number"
                ));
            }
        })
    }

    pub(crate) fn apply(self, text: String) -> String {
        match self {
            Self::Percent => utf8_percent_encode(&text, RESERVED).to_string(),
            Self::Raw | Self::Number => text,
            Self::Quoted => format!("'{}'", text.replace('\'', "''")),
            Self::Json => serde_json::Value::from(text).to_string(),
            Self::Base64 => BASE64_STANDARD.encode(text),
            Self::Base64Url => BASE64_URL_SAFE.encode(text),
        }
    }
}
