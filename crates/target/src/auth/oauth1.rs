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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    /// The request of RFC 5849, section 3.4.1.1, with SHA-256 in the place of SHA-1. The signature is one that another
    /// implementation publishes in its tests.
    #[test]
    fn the_example_of_the_rfc_is_signed_as_others_sign_it() {
        let uri: Uri = "http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b".parse().unwrap();
        let mut parameters = pairs(uri.query().unwrap());
        parameters.extend(pairs("c2&a3=2+q"));
        for (name, value) in [
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ] {
            parameters.push((name.to_owned(), value.to_owned()));
        }
        let base = base_string(&Method::POST, &uri, parameters);
        assert_eq!(
            base,
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D\
             %26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a\
             %26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
        let signer =
            Signer::new(("9djdj82h48djs9d2", "j49sk3j29djd"), ("kkk9d7dh3k39sjv7", "dh893hdasih9"), None);
        assert_eq!(signer.signature(&base).unwrap(), "ypAxjNip++Dm0fTM+gCl8wAo6ufSnseu1WHxL7py3BU=");
    }

    #[test]
    fn a_form_is_signed_and_another_body_is_not() {
        let signer = Signer::new(("k", "s"), ("t", "u"), Some("123_SB1".to_owned()));
        let header = |kind: &'static str, body: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            let uri = "https://erp.example/x".parse().unwrap();
            let wire = Wire { method: Method::POST, uri, headers, body: Bytes::from_static(body.as_bytes()) };
            signer.header_at(&wire, 1, "n").unwrap().to_str().unwrap().to_owned()
        };
        let json = "application/json";
        assert_eq!(header(json, "{}"), header(json, "[]"));
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        assert_ne!(header(form, "a=1"), header(form, "a=2"));
        assert!(
            header(json, "")
                .starts_with("OAuth realm=\"123_SB1\", oauth_consumer_key=\"k\", oauth_token=\"t\"")
        );
    }
}
