//! Signatures of RFC 5849 with HMAC-SHA256, over method, address, query and form.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Method, Uri, header::CONTENT_TYPE};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;
use uuid::Uuid;

use crate::{call::Wire, template::RESERVED};

/// What requests are signed with.
pub(super) struct Signer {
    pub(super) consumer_key: String,
    pub(super) token: String,
    /// Both secrets, encoded, with `&` between them.
    pub(super) key: Zeroizing<String>,
    pub(super) realm: Option<String>,
}

impl Signer {
    pub(super) fn new(
        (consumer_key, consumer_secret): (&str, &str),
        (token, token_secret): (&str, &str),
        realm: Option<String>,
    ) -> Self {
        let key = Zeroizing::new(format!("{}&{}", encoded(consumer_secret), encoded(token_secret)));
        Self { consumer_key: consumer_key.to_owned(), token: token.to_owned(), key, realm }
    }

    /// The header that signs `wire`.
    pub(super) fn header(&self, wire: &Wire) -> Result<HeaderValue, String> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.header_at(wire, now.as_secs(), &Uuid::new_v4().simple().to_string())
    }

    fn header_at(&self, wire: &Wire, now: u64, nonce: &str) -> Result<HeaderValue, String> {
        let own = [
            ("oauth_consumer_key", self.consumer_key.clone()),
            ("oauth_token", self.token.clone()),
            ("oauth_signature_method", "HMAC-SHA256".to_owned()),
            ("oauth_timestamp", now.to_string()),
            ("oauth_nonce", nonce.to_owned()),
            ("oauth_version", "1.0".to_owned()),
        ];
        let mut parameters: Vec<(String, String)> =
            own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        parameters.extend(pairs(wire.uri.query().unwrap_or_default()));
        let form = wire.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        if form.is_some_and(|form| form.starts_with("application/x-www-form-urlencoded")) {
            parameters.extend(pairs(&String::from_utf8_lossy(&wire.body)));
        }
        let base = base_string(&wire.method, &wire.uri, parameters);
        let signature = self.signature(&base)?;
        let realm = self.realm.iter().map(|realm| format!("realm=\"{}\"", realm.replace('"', "")));
        let own = own.iter().map(|(name, value)| format!("{name}=\"{}\"", encoded(value)));
        let signature = std::iter::once(format!("oauth_signature=\"{}\"", encoded(&signature)));
        let all: Vec<String> = realm.chain(own).chain(signature).collect();
        let mut header = HeaderValue::try_from(format!("OAuth {}", all.join(", ")))
            .map_err(|_| "a key has characters that no header can carry".to_owned())?;
        header.set_sensitive(true);
        Ok(header)
    }

    fn signature(&self, base: &str) -> Result<String, String> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).map_err(|error| error.to_string())?;
        mac.update(base.as_bytes());
        Ok(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Names and values of a query or a form, decoded. In both a `+` stands for a blank, as in forms (section 3.4.1.3.1).
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// Section 3.4.1.1. The order of the parameters is that of their encoded form.
fn base_string(method: &Method, uri: &Uri, parameters: Vec<(String, String)>) -> String {
    let scheme = uri.scheme_str().unwrap_or("https").to_ascii_lowercase();
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let port = match (uri.port_u16(), scheme.as_str()) {
        (None, _) | (Some(80), "http") | (Some(443), "https") => String::new(),
        (Some(port), _) => format!(":{port}"),
    };
    let mut parameters: Vec<(String, String)> =
        parameters.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    parameters.sort_unstable();
    let parameters: Vec<String> =
        parameters.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let address = format!("{scheme}://{host}{port}{}", uri.path());
    format!("{}&{}&{}", method.as_str(), encoded(&address), encoded(&parameters.join("&")))
}
