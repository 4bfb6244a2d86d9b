//! Signatures from elsewhere: `connectors/<system>/tests/signatures.yaml` holds webhooks as their vendor signs them, with test secrets.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use mapping::Signature;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Sent, SignatureError, verify};

/// A webhook with its signature, and what is thought of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// What it shows.
    pub name: String,
    /// The secret that was agreed on; one for tests, never a real one.
    secret: String,
    /// The address that the vendor was given, where it is signed.
    #[serde(default)]
    url: String,
    /// What stands behind the `?` of the address.
    #[serde(default)]
    query: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Byte for byte.
    body: String,
    /// When it comes, seconds since 1970 UTC.
    #[serde(default)]
    at: i64,
    is: Verdict,
}

/// What is thought of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Genuine,
    Forged,
    Missing,
    TooOld,
}

impl Vector {
    /// Verifies it as the gateway does.
    ///
    /// # Errors
    /// It is taken for something else.
    pub fn run(&self, how: &Signature) -> Result<(), String> {
        let header = |(name, value): (&String, &String)| {
            let name = name.parse::<HeaderName>().map_err(|_| format!("`{name}` is no header's name"))?;
            let value =
                value.parse::<HeaderValue>().map_err(|_| format!("`{name}` has no header's value"))?;
            Ok((name, value))
        };
        let headers: HeaderMap = self.headers.iter().map(header).collect::<Result<_, String>>()?;
        let uri: Uri = format!("/v1/webhooks/acme/test?{}", self.query)
            .parse()
            .map_err(|_| "its `query` cannot stand in an address".to_owned())?;
        let sent =
            Sent { headers: &headers, body: self.body.as_bytes(), method: "POST", url: &self.url, uri: &uri };
        let found = match verify(how, &[SecretString::from(self.secret.as_str())], &sent, self.at) {
            Ok(()) => Verdict::Genuine,
            Err(SignatureError::Mismatch) => Verdict::Forged,
            Err(SignatureError::Form) => Verdict::Missing,
            Err(SignatureError::Age(_)) => Verdict::TooOld,
        };
        if found == self.is { Ok(()) } else { Err(format!("it is {}, not {}", found.word(), self.is.word())) }
    }
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Forged => "forged",
            Self::Missing => "without a signature that can be read",
            Self::TooOld => "too old",
        }
    }
}
