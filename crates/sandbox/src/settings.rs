//! How an account behaves: its idempotency and its faults.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

const HOUR_MS: u64 = 3_600_000;

/// How an account protects itself against a request sent twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idempotency {
    /// Honours `Idempotency-Key`: a repeat gets the stored answer.
    #[default]
    Key,
    /// External ids are unique: a second POST of one is refused with 409.
    Upsert,
    /// Every POST creates another document.
    Neither,
}

/// A change of an account's settings: the body of `PUT /admin/accounts/{account}`. What is absent stays as it is.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The account's protection against repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// The bearer token every request must carry; the empty string lifts the demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Milliseconds a request takes before it is applied. A client that gives up does not stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Up to so many milliseconds are added to the latency, evenly distributed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<u64>,
    /// Requests allowed in a second; further ones get 429 with `Retry-After: 1`. 0 lifts the limit. While there is one, every answer
    /// tells it: `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle_per_second: Option<u32>,
    /// Share (0 to 1) of the writes that fail with `fail_status` and are not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_rate: Option<f64>,
    /// The next so many writes fail with `fail_status` and are not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_next: Option<u64>,
    /// Share (0 to 1) of the writes that are applied, their connection closed without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_answer_rate: Option<f64>,
    /// The next so many writes are applied, their connection closed without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_answer_next: Option<u64>,
    /// A write whose answer is dropped is applied so many milliseconds after its connection was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_late_ms: Option<u64>,
    /// The status of an injected failure: 503 says that nothing was applied, 500 leaves it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_status: Option<u16>,
    /// With `idempotency: key`, an injected failure is stored for the key and repeated, as Stripe does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_failures: Option<bool>,
    /// The next so many requests for several documents are refused as a whole with 400, nothing is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk_refuse_next: Option<u64>,
    /// The answers to the next so many requests for several documents say nothing of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk_short_next: Option<u64>,
    /// Every request's connection is closed at once, nothing is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<bool>,
    /// An order or invoice whose `customer_id` is not the external id of a customer is refused with 422.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_references: Option<bool>,
    /// The books are closed before this date (`YYYY-MM-DD`): an invoice with an earlier `issued_on` is refused with 422.
    /// The empty string opens them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub books_closed_before: Option<String>,
    /// Milliseconds an idempotency key is remembered, from its first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_window_ms: Option<u64>,
    /// Writes and look-ups that got in are kept for `GET /admin/accounts/{account}/requests`, up to a million of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_requests: Option<bool>,
    /// Starts the account's random choices again from this seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// An account's settings as they are now: the answer of `GET /admin/accounts/{account}`. See [`Change`] for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // documented at `Change`
pub struct Settings {
    pub idempotency: Idempotency,
    /// Whether a bearer token is asked for. The token itself is never shown.
    pub token_required: bool,
    pub latency_ms: u64,
    pub jitter_ms: u64,
    pub throttle_per_second: u32,
    pub fail_rate: f64,
    /// How many of them are still to come.
    pub fail_next: u64,
    pub drop_answer_rate: f64,
    /// How many of them are still to come.
    pub drop_answer_next: u64,
    pub apply_late_ms: u64,
    pub fail_status: u16,
    pub store_failures: bool,
    /// How many of them are still to come.
    pub bulk_refuse_next: u64,
    /// How many of them are still to come.
    pub bulk_short_next: u64,
    pub down: bool,
    pub strict_references: bool,
    /// The empty string: never.
    pub books_closed_before: String,
    pub key_window_ms: u64,
    pub log_requests: bool,
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idempotency: Idempotency::Key,
            token_required: false,
            latency_ms: 0,
            jitter_ms: 0,
            throttle_per_second: 0,
            fail_rate: 0.0,
            fail_next: 0,
            drop_answer_rate: 0.0,
            drop_answer_next: 0,
            apply_late_ms: 0,
            fail_status: 503,
            store_failures: false,
            bulk_refuse_next: 0,
            bulk_short_next: 0,
            down: false,
            strict_references: false,
            books_closed_before: String::new(),
            key_window_ms: 24 * HOUR_MS,
            log_requests: false,
            seed: 0,
        }
    }
}

fn put<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

impl Change {
    /// Refuses a value out of its range, naming it.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        for (name, rate) in [("fail_rate", self.fail_rate), ("drop_answer_rate", self.drop_answer_rate)] {
            if rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
                return Err(Refusal::field(name, format!("`{name}` is a share from 0 to 1")));
            }
        }
        let delays = [
            ("latency_ms", self.latency_ms),
            ("jitter_ms", self.jitter_ms),
            ("apply_late_ms", self.apply_late_ms),
        ];
        for (name, delay) in delays {
            if delay.is_some_and(|delay| delay > HOUR_MS) {
                return Err(Refusal::field(name, format!("`{name}` is at most {HOUR_MS}")));
            }
        }
        if self.fail_status.is_some_and(|status| ![500, 503].contains(&status)) {
            return Err(Refusal::field("fail_status", "`fail_status` is 500 or 503"));
        }
        if self.key_window_ms == Some(0) {
            return Err(Refusal::field("key_window_ms", "`key_window_ms` is at least 1"));
        }
        Ok(())
    }

    /// Takes the token out: `Some(None)` lifts the demand.
    pub(crate) fn take_token(&mut self) -> Option<Option<SecretString>> {
        self.token.take().map(|token| if token.is_empty() { None } else { Some(SecretString::from(token)) })
    }
}

impl Settings {
    pub(crate) fn change(&mut self, change: &Change) {
        put(&mut self.idempotency, change.idempotency);
        put(&mut self.latency_ms, change.latency_ms);
        put(&mut self.jitter_ms, change.jitter_ms);
        put(&mut self.throttle_per_second, change.throttle_per_second);
        put(&mut self.fail_rate, change.fail_rate);
        put(&mut self.fail_next, change.fail_next);
        put(&mut self.drop_answer_rate, change.drop_answer_rate);
        put(&mut self.drop_answer_next, change.drop_answer_next);
        put(&mut self.apply_late_ms, change.apply_late_ms);
        put(&mut self.fail_status, change.fail_status);
        put(&mut self.store_failures, change.store_failures);
        put(&mut self.bulk_refuse_next, change.bulk_refuse_next);
        put(&mut self.bulk_short_next, change.bulk_short_next);
        put(&mut self.down, change.down);
        put(&mut self.strict_references, change.strict_references);
        put(&mut self.books_closed_before, change.books_closed_before.clone());
        put(&mut self.key_window_ms, change.key_window_ms);
        put(&mut self.log_requests, change.log_requests);
        put(&mut self.seed, change.seed);
    }
}
