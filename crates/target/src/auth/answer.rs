//! What is taken from the answer to a request that signs in.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, header::SET_COOKIE};
use serde_json::Value;

use super::failure::Failure;
use crate::{
    Client,
    call::Wire,
    definition::Expiry,
    finder::{Place, json_path},
    path::JsonPath,
};

/// The longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// The largest value that is taken from one, in bytes.
const MAX_VALUE: usize = 16 * 1024;
/// The most cookies that are kept.
const MAX_COOKIES: usize = 32;
/// A session that ends sooner is not renewed before it does.
const MIN_LIFE: Duration = Duration::from_secs(1);

/// An answer.
pub(super) struct SignInAnswer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Sends a request that signs in.
pub(super) async fn ask(client: &Client, wire: Wire) -> Result<SignInAnswer, Failure> {
    let (status, headers, body) = client.exchange_within(wire, TIMEOUT, MAX_ANSWER).await?;
    Ok(SignInAnswer { status, headers, body })
}

impl SignInAnswer {
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What it means that it is not ok.
    pub(super) fn failure(&self) -> Failure {
        let status = self.status;
        let json = self.json().unwrap_or(Value::Null);
        let code = json["error"].as_str().filter(|code| is_code(code));
        let what = match (code, json["error_description"].as_str()) {
            (Some(code), Some(text)) => format!("{status} {code}: {text}"),
            (Some(code), None) => format!("{status} {code}"),
            (None, _) => format!("{status}"),
        };
        let after = || self.headers.get("retry-after")?.to_str().ok()?.trim().parse::<u64>().ok();
        match (status, code) {
            (429, _) => Failure::Later { what, after_ms: after().map(|s| s.min(3_600) * 1_000) },
            (408 | 425 | 500..=599, _) | (_, Some("temporarily_unavailable" | "server_error")) => {
                Failure::Later { what, after_ms: after().map(|s| s.min(3_600) * 1_000) }
            }
            (400..=499, _) => Failure::Denied(what),
            _ => Failure::Unfit(format!("its status is {what}")),
        }
    }

    /// `name=value` of every cookie that it sets, as a request sends them.
    pub(super) fn cookies(&self) -> Vec<String> {
        let text = |value: &http::HeaderValue| {
            let cookie = value.to_str().ok()?.split(';').next()?.trim().to_owned();
            let (name, value) = cookie.split_once('=')?;
            (!name.is_empty() && !value.is_empty() && cookie.len() <= MAX_VALUE).then_some(cookie)
        };
        self.headers.get_all(SET_COOKIE).iter().filter_map(text).take(MAX_COOKIES).collect()
    }

    /// What stands at a place of it, as text.
    fn value(&self, name: &str, place: &Place, json: &Value) -> Result<String, Failure> {
        match place.text(json, &self.headers).filter(|value| !value.is_empty()) {
            Some(value) if value.len() <= MAX_VALUE => Ok(value),
            Some(_) => Err(Failure::Unfit(format!("`{name}` is larger than {MAX_VALUE} bytes"))),
            None => Err(Failure::Unfit(format!("it has no `{name}`"))),
        }
    }
}

/// What is taken from an answer, by name.
pub(super) struct Capture(Vec<(String, Place)>);

impl Capture {
    pub(super) fn compile(capture: &BTreeMap<String, String>) -> Result<Self, String> {
        let one = |(name, place): (&String, &String)| Ok((name.clone(), Place::parse(place)?));
        capture.iter().map(one).collect::<Result<_, String>>().map(Self)
    }

    pub(super) fn one(path: &str, name: &str) -> Result<Self, String> {
        Ok(Self(vec![(name.to_owned(), Place::parse(path)?)]))
    }

    pub(super) fn take(&self, answer: &SignInAnswer) -> Result<BTreeMap<String, String>, Failure> {
        let json = answer.json().unwrap_or(Value::Null);
        let one = |(name, place): &(String, Place)| Ok((name.clone(), answer.value(name, place, &json)?));
        self.0.iter().map(one).collect()
    }
}

/// When a session has to be renewed, compiled.
pub(super) enum Lifetime {
    Field { path: JsonPath, margin: Duration },
    Fixed(Duration),
    UntilTurnedAway,
}

impl Lifetime {
    pub(super) fn compile(expiry: &Expiry) -> Result<Self, String> {
        Ok(match expiry {
            Expiry::FromField { path, margin_ms } => {
                Self::Field { path: json_path(path)?, margin: Duration::from_millis(*margin_ms) }
            }
            Expiry::Fixed { after_ms } if *after_ms < MIN_LIFE.as_millis() as u64 => {
                return Err("`after` of `expiry` is at least 1s".to_owned());
            }
            Expiry::Fixed { after_ms } => Self::Fixed(Duration::from_millis(*after_ms)),
            Expiry::OnErrorClass {} => Self::UntilTurnedAway,
        })
    }

    /// The moment, counted from before the request, so that the way there and back is on the safe side.
    pub(super) fn renew_at(&self, asked: Instant, answer: &SignInAnswer) -> Option<Instant> {
        match self {
            Self::UntilTurnedAway => None,
            Self::Fixed(after) => asked.checked_add(*after),
            Self::Field { path, margin } => {
                let seconds: f64 = path.text(&answer.json()?)?.parse().ok()?;
                let life = Duration::try_from_secs_f64(seconds).ok()?.max(MIN_LIFE);
                // A token that lives shorter than the margin would be renewed for every request.
                asked.checked_add(life - (*margin).min(life / 2))
            }
        }
    }
}

/// Whether a text is a code and nothing else: the rest of what an authorization server says is not for our log.
fn is_code(text: &str) -> bool {
    text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}
