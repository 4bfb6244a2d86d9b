//! Vendors' webhooks: who sent them, and which events they are.

mod signature;

use std::sync::LazyLock;

use axum::http::HeaderMap;
use secrecy::SecretString;
use tenancy::WebhookScheme;

pub use signature::{SignatureError, verify};

/// Spends the time of a verification on a webhook that does not exist.
pub(crate) fn decoy(headers: &HeaderMap, body: &[u8], now: i64) {
    static SECRET: LazyLock<[SecretString; 1]> =
        LazyLock::new(|| [SecretString::from("no webhook has this secret")]);
    let shopify = headers.contains_key("x-shopify-hmac-sha256");
    let scheme = if shopify { WebhookScheme::Shopify } else { WebhookScheme::Stripe };
    // Whatever it says, the answer is that there is no such webhook.
    std::hint::black_box(verify(scheme, &*SECRET, headers, body, now)).ok();
}
