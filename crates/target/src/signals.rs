//! What answers tell of the limits of an account, beside what they answer.

use std::{sync::Arc, time::SystemTime};

use delivery::{Left, LeftOf};
use http::{HeaderMap, HeaderName, header::AsHeaderName};
use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    definition::{Signal, SignalLimit, SignalPlace},
    path::JsonPath,
};

/// The longest wait that a target may ask for, in milliseconds: an hour.
pub(crate) const MAX_WAIT_MS: u64 = 3_600_000;

/// What the answers to one operation told of the limits of its account; see [`Client::telling`](crate::Client::telling).
/// Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<News>>);

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What is left of limits: of each the newest.
    pub left: Vec<Left>,
    /// How long the target wants to be left alone, in milliseconds, where its answer tells nothing else.
    pub rest_ms: Option<u64>,
    /// How many requests went out, those for signing in aside.
    pub requests: u64,
}

impl News {
    /// Whether nothing was told, and nothing went out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Told {
    /// Hands out what was told since the last call.
    pub fn take(&self) -> News {
        std::mem::take(&mut self.0.lock())
    }

    /// A request goes out.
    pub(crate) fn asked(&self) {
        self.0.lock().requests += 1;
    }

    /// Keeps what an answer tells. Says whether it told anything.
    pub(crate) fn hear(&self, signals: &[Signal], headers: &HeaderMap, body: &[u8]) -> bool {
        let in_body = signals.iter().any(|signal| matches!(signal.place, SignalPlace::Body { .. }));
        let json = if in_body { serde_json::from_slice(body).unwrap_or(Value::Null) } else { Value::Null };
        let mut news = self.0.lock();
        let mut heard = false;
        for left in signals.iter().filter_map(|signal| signal.read(headers, &json)) {
            news.left.retain(|known| known.of != left.of);
            news.left.push(left);
            heard = true;
        }
        heard
    }

    /// The target wants to be left alone for so long.
    pub(crate) fn rest(&self, ms: u64) {
        let mut news = self.0.lock();
        news.rest_ms = news.rest_ms.max(Some(ms));
    }
}

/// How long an answer asks to wait, in milliseconds, an hour at most.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<u64> {
    wait_in(headers, &http::header::RETRY_AFTER).map(|ms| ms.min(MAX_WAIT_MS))
}

/// Seconds as a number with or without a fraction, in milliseconds; none where they are none.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let seconds: f64 = text.trim().parse().ok()?;
    (seconds > 0.0).then(|| (seconds * 1_000.0).ceil() as u64)
}

/// What a header like `Retry-After` (RFC 9110, 10.2.3) says, in milliseconds: seconds, also with a fraction, or a date. A date is
/// one of the target's clock: it counts from the answer's `Date`, and from ours where there is none. None where it asks for no wait.
pub(crate) fn wait_in(headers: &HeaderMap, name: impl AsHeaderName) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    if let Some(ms) = seconds(text) {
        return Some(ms);
    }
    let date = |text: &str| httpdate::parse_http_date(text.trim()).ok();
    let until = date(text)?;
    let now = headers.get(http::header::DATE).and_then(|now| date(now.to_str().ok()?));
    let wait = until.duration_since(now.unwrap_or_else(SystemTime::now)).ok()?.as_millis() as u64;
    (wait > 0).then_some(wait)
}

impl Signal {
    /// What an answer tells; none if it does not, or nothing that can be understood.
    fn read(&self, headers: &HeaderMap, body: &Value) -> Option<Left> {
        let (remaining, max, reset) = match &self.place {
            SignalPlace::Remaining { header, max, reset } => {
                let other = |name: &Option<HeaderName>| number(headers, name.as_ref()?);
                (number(headers, header)?, other(max), other(reset))
            }
            SignalPlace::Pair { header, prefix } => {
                let (used, max) = pair(headers.get(header)?.to_str().ok()?, prefix)?;
                (max.saturating_sub(used), Some(max), None)
            }
            SignalPlace::Body { path, max } => {
                (count(path, body)?, max.as_ref().and_then(|max| count(max, body)), None)
            }
        };
        let per_ms = self.per_ms.unwrap_or(1_000);
        Some(Left {
            of: match self.limit {
                SignalLimit::Rate | SignalLimit::Quota => LeftOf::Requests { per_ms },
                SignalLimit::CostBucket => LeftOf::Points { wait_ms: per_ms },
            },
            remaining,
            max,
            reserve: max.unwrap_or(0).saturating_mul(u64::from(self.reserve)).div_ceil(100),
            reset_ms: reset.map(|seconds| seconds.saturating_mul(1_000).min(MAX_WAIT_MS)),
        })
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    whole(headers.get(name)?.to_str().ok()?.trim().parse().ok()?)
}

fn count(path: &JsonPath, body: &Value) -> Option<u64> {
    whole(path.text(body)?.parse().ok()?)
}

/// Parts of a point are none; less than nothing is nothing.
fn whole(number: f64) -> Option<u64> {
    number.is_finite().then_some(number.max(0.0) as u64)
}

/// `used/max` behind the prefix, in one of the parts of a header.
fn pair(value: &str, prefix: &str) -> Option<(u64, u64)> {
    let mut parts = value.split([',', ';']).map(str::trim);
    let (used, max) = parts.find_map(|part| part.strip_prefix(prefix))?.split_once('/')?;
    let digits = max.find(|c: char| !c.is_ascii_digit()).map_or(max, |end| &max[..end]);
    Some((used.parse().ok()?, digits.parse().ok()?))
}

#[cfg(test)]
mod tests;
