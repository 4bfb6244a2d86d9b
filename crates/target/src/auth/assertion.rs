//! Signed assertions (RFC 7523).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm as Jwa, EncodingKey, Header};
use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::phrase::{Fill, Phrase};
use crate::definition::{Algorithm, Assertion};

/// The longest that an assertion may hold.
const MAX_TTL: Duration = Duration::from_secs(3_600);

/// What is signed, compiled.
pub(super) struct Signed {
    alg: Algorithm,
    key: Phrase,
    kid: Option<Phrase>,
    claims: Vec<(&'static str, Phrase)>,
    ttl: Duration,
}

impl Signed {
    /// `url` is the address of the token, for whom it is unless the definition says so.
    pub(super) fn compile(
        assertion: &Assertion,
        url: &str,
        is_known: &dyn Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let phrase = |text: &str| Phrase::compile(text, is_known);
        let ttl = Duration::from_millis(assertion.ttl_ms);
        if ttl.is_zero() || ttl > MAX_TTL {
            return Err("`ttl` of an assertion is more than 0 and no more than 60m".to_owned());
        }
        let mut claims = vec![("iss", phrase(&assertion.iss)?)];
        claims.push(("aud", phrase(assertion.aud.as_deref().unwrap_or(url))?));
        for (name, text) in [("sub", &assertion.sub), ("scope", &assertion.scope)] {
            if let Some(text) = text {
                claims.push((name, phrase(text)?));
            }
        }
        let kid = assertion.kid.as_deref().map(phrase).transpose()?;
        Ok(Self { alg: assertion.alg, key: phrase(&assertion.key)?, kid, claims, ttl })
    }

    /// The assertion, as it holds from now on. The error says what of the connection does not fit.
    pub(super) fn sign(&self, fill: Fill<'_>) -> Result<Zeroizing<String>, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut claims = Map::new();
        for (name, phrase) in &self.claims {
            claims.insert((*name).to_owned(), phrase.fill(fill)?.as_str().into());
        }
        claims.insert("iat".to_owned(), now.as_secs().into());
        claims.insert("exp".to_owned(), (now + self.ttl).as_secs().into());
        claims.insert("jti".to_owned(), Uuid::new_v4().to_string().into());
        let mut header = Header::new(jwa(self.alg));
        header.kid = self.kid.as_ref().map(|kid| kid.fill(fill)).transpose()?.map(|kid| kid.to_string());
        let key = encoding_key(self.alg, self.key.fill(fill)?.as_bytes())?;
        let signed = jsonwebtoken::encode(&header, &Value::Object(claims), &key);
        signed
            .map(Zeroizing::new)
            .map_err(|_| "the private key cannot sign with the connector's `alg`".to_owned())
    }
}

/// What the library says of a key is left out: it might show a part of it.
fn encoding_key(alg: Algorithm, pem: &[u8]) -> Result<EncodingKey, String> {
    let (key, kind) = match alg {
        Algorithm::ES256 | Algorithm::ES384 => (EncodingKey::from_ec_pem(pem), "an EC private key (PKCS #8)"),
        _ => (EncodingKey::from_rsa_pem(pem), "an RSA private key"),
    };
    key.map_err(|_| format!("the private key is not {kind} in PEM, which the connector's `alg` needs"))
}

const fn jwa(alg: Algorithm) -> Jwa {
    match alg {
        Algorithm::RS256 => Jwa::RS256,
        Algorithm::RS384 => Jwa::RS384,
        Algorithm::RS512 => Jwa::RS512,
        Algorithm::PS256 => Jwa::PS256,
        Algorithm::PS384 => Jwa::PS384,
        Algorithm::PS512 => Jwa::PS512,
        Algorithm::ES256 => Jwa::ES256,
        Algorithm::ES384 => Jwa::ES384,
    }
}
