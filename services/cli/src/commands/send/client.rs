//! One request to the gateway.

use std::{path::Path, time::Duration};

use reqwest::{Url, header};
use secrecy::{ExposeSecret, SecretString};
use tenancy::{Environment, SecretSource};

use super::{
    answer::{Answer, Document},
    sender::Batch,
};
use crate::error::CommandError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The gateway's own deadlines are shorter.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes: an acceptance of the largest batch has less.
const MAX_ANSWER: usize = 16 << 20;

/// A tenant's API key.
pub struct Key(SecretString);

impl Key {
    /// The key that `reference` leads to: `env:NAME`, or `file:PATH`.
    ///
    /// # Errors
    /// [`CommandError::Key`], which never shows what may be the key itself.
    pub fn resolve(reference: &str) -> Result<Self, CommandError> {
        let wrong =
            |reference: &str, reason: String| CommandError::Key { reference: reference.to_owned(), reason };
        let value = match reference.split_once(':') {
            Some(("env", name)) => Environment
                .variable(name)
                .ok_or_else(|| wrong(reference, "the variable is not set".to_owned()))?,
            Some(("file", path)) => {
                Environment.file(Path::new(path)).map_err(|error| wrong(reference, error.to_string()))?
            }
            _ => return Err(wrong("…", "give a reference, env:NAME or file:PATH, not the key".to_owned())),
        };
        if value.trim().is_empty() {
            return Err(wrong(reference, "it is empty".to_owned()));
        }
        Ok(Self(value.trim().into()))
    }
}

/// A gateway and the key to it.
pub struct Client {
    http: reqwest::Client,
    events: Url,
    key: Key,
}

impl Client {
    /// A client of the gateway at `url`.
    ///
    /// # Errors
    /// [`CommandError::Url`] if it is no HTTP URL.
    pub fn new(url: &str, key: Key) -> Result<Self, CommandError> {
        let wrong = || CommandError::Url(url.to_owned());
        // Parsed before the path is added: of `http://` that would make a host.
        let base = Url::parse(url).map_err(|_| wrong())?;
        let events = format!("{}/v1/events", base.as_str().trim_end_matches('/'));
        let events = Url::parse(&events).map_err(|_| wrong())?;
        let host =
            events.host_str().filter(|_| matches!(events.scheme(), "http" | "https")).ok_or_else(wrong)?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // The key goes to this address and to no other.
            .redirect(reqwest::redirect::Policy::none());
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        if host == "localhost" || address.is_ok_and(|a| a.is_loopback()) {
            http = http.no_proxy();
        }
        Ok(Self { http: http.build().map_err(|_| wrong())?, events, key })
    }

    /// Sends a batch as one array.
    ///
    /// # Errors
    /// A few words on why there is no answer.
    pub async fn post(&self, batch: &Batch) -> Result<Answer, String> {
        let request = self
            .http
            .post(self.events.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .bearer_auth(self.key.0.expose_secret())
            .body(body(batch));
        let mut response = request.send().await.map_err(words)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(words)? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("the answer is longer than {MAX_ANSWER} bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        // A proxy between us may answer with a page; its status says enough.
        let document: Document = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Answer { status, retry_after, document })
    }
}

/// The lines as they stand in the file, as a JSON array.
fn body(batch: &Batch) -> String {
    let mut body = String::with_capacity(batch.iter().map(|event| event.text.len() + 1).sum::<usize>() + 2);
    body.push('[');
    for (index, event) in batch.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&event.text);
    }
    body.push(']');
    body
}

/// reqwest's own text names the URL and hides the cause.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        words = source.to_string();
        cause = source.source();
    }
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let error = Key::resolve("acme-key-0123456789").err().unwrap();
        assert_eq!(error.code(), "CFG-0303");
        assert!(!error.to_string().contains("acme-key"), "{error}");
        let error = Key::resolve("env:NO_SUCH_VARIABLE_HERE").err().unwrap();
        assert!(error.to_string().contains("NO_SUCH_VARIABLE_HERE"), "{error}");
    }

    #[test]
    fn only_http_urls_are_gateways() {
        let client = |url: &str| Client::new(url, Key("k".into()));
        assert_eq!(client("http://127.0.0.1:1/").unwrap().events.as_str(), "http://127.0.0.1:1/v1/events");
        for bad in ["127.0.0.1:8080", "ftp://host", "", "http://"] {
            assert_eq!(client(bad).err().map(|e| e.code().to_owned()).as_deref(), Some("CFG-0305"), "{bad}");
        }
    }
}
