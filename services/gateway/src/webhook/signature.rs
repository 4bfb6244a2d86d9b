//! Webhook signatures, verified over the raw bytes and in constant time, before anything is parsed.

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tenancy::WebhookScheme;

/// How far a Stripe signature's time may be from ours, in seconds. Stripe's own libraries use the same.
const TOLERANCE_SECONDS: i64 = 300;
/// The most signatures of one header that are looked at; Stripe sends one for each secret in rotation.
const MAX_SIGNATURES: usize = 8;

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is absent or not of its form.
    #[error("the signature header is missing or malformed")]
    Header,
    /// No secret yields the signature.
    #[error("the signature does not match the body")]
    Mismatch,
    /// The signature is genuine and its time is too far from now.
    #[error("the signature is genuine, but its time is {0} s away from now")]
    Age(i64),
}

/// Checks `body` against the signature in `headers`. Any of `secrets` may have made it. `now`: seconds since 1970 UTC.
///
/// # Errors
/// See [`SignatureError`]; the age is looked at only when the signature is genuine.
pub fn verify(
    scheme: WebhookScheme,
    secrets: &[SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<(), SignatureError> {
    match scheme {
        WebhookScheme::Stripe => stripe(secrets, headers, body, now),
        WebhookScheme::Shopify => shopify(secrets, headers, body),
    }
}

fn stripe(
    secrets: &[SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<(), SignatureError> {
    let text = text(headers, "stripe-signature")?;
    let parts = || text.split(',').filter_map(|part| part.trim().split_once('='));
    let time = parts().find_map(|(k, v)| (k == "t").then_some(v)).ok_or(SignatureError::Header)?;
    let signed_at: i64 = time.parse().map_err(|_| SignatureError::Header)?;
    let signatures: Vec<Vec<u8>> = parts()
        .filter(|(scheme, _)| *scheme == "v1")
        .take(MAX_SIGNATURES)
        .filter_map(|(_, signature)| hex::decode(signature).ok())
        .collect();
    if signatures.is_empty() {
        return Err(SignatureError::Header);
    }
    matches(secrets, &signatures, &[time.as_bytes(), b".", body])?;
    let age = now.saturating_sub(signed_at);
    if age.saturating_abs() > TOLERANCE_SECONDS { Err(SignatureError::Age(age)) } else { Ok(()) }
}

fn shopify(secrets: &[SecretString], headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
    let text = text(headers, "x-shopify-hmac-sha256")?;
    let signature = BASE64.decode(text).map_err(|_| SignatureError::Header)?;
    matches(secrets, &[signature], &[body])
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, SignatureError> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(SignatureError::Header)
}

/// Every secret is tried against every signature, whatever the outcome, so that time tells nothing.
fn matches(secrets: &[SecretString], signatures: &[Vec<u8>], parts: &[&[u8]]) -> Result<(), SignatureError> {
    let mut found = false;
    for secret in secrets {
        // HMAC takes keys of every length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { continue };
        parts.iter().for_each(|part| mac.update(part));
        for signature in signatures {
            found |= mac.clone().verify_slice(signature).is_ok();
        }
    }
    if found { Ok(()) } else { Err(SignatureError::Mismatch) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const NOW: i64 = 1_700_000_000;

    fn mac(secret: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        parts.iter().for_each(|p| mac.update(p));
        mac.finalize().into_bytes().to_vec()
    }

    fn v1(secret: &str, time: i64) -> String {
        hex::encode(mac(secret, &[time.to_string().as_bytes(), b".", BODY]))
    }

    fn check(
        scheme: WebhookScheme,
        header: (&'static str, &str),
        secrets: &[&str],
        body: &[u8],
    ) -> Result<(), SignatureError> {
        let secrets: Vec<_> = secrets.iter().map(|s| SecretString::from(*s)).collect();
        let headers = HeaderMap::from_iter([(header.0.parse().unwrap(), header.1.parse().unwrap())]);
        verify(scheme, &secrets, &headers, body, NOW)
    }

    fn stripe(header: &str, secrets: &[&str]) -> Result<(), SignatureError> {
        check(WebhookScheme::Stripe, ("stripe-signature", header), secrets, BODY)
    }

    /// RFC 4231, test case 2: ties the code to HMAC-SHA256 itself.
    #[test]
    fn the_mac_is_hmac_sha256() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(mac("Jefe", &[b"what do ya want ", b"for nothing?"])), expected);
    }

    #[test]
    fn stripe_takes_any_secret_and_any_v1() {
        let good = v1("whsec_new", NOW);
        assert_eq!(stripe(&format!("t={NOW},v1={good}"), &["whsec_new"]), Ok(()));
        assert_eq!(stripe(&format!("t={NOW},v1={good}"), &["whsec_old", "whsec_new"]), Ok(()));
        let other = v1("somebody", NOW);
        assert_eq!(stripe(&format!("t={NOW},v1={other},v1={good},v0=00"), &["whsec_new"]), Ok(()));
    }

    #[test]
    fn stripe_refuses_forgeries() {
        let good = v1("whsec_new", NOW);
        let wrong = |header: String| stripe(&header, &["whsec_new"]);
        assert_eq!(wrong(format!("t={NOW},v1={}", v1("other", NOW))), Err(SignatureError::Mismatch));
        assert_eq!(wrong(format!("t={},v1={good}", NOW + 1)), Err(SignatureError::Mismatch));
        assert_eq!(wrong(format!("t={NOW},v0={good}")), Err(SignatureError::Header));
        assert_eq!(wrong(format!("v1={good}")), Err(SignatureError::Header));
        assert_eq!(wrong(format!("t={NOW},v1={}", &good[..32])), Err(SignatureError::Mismatch));
        assert_eq!(wrong(format!("t={NOW},v1=nothex")), Err(SignatureError::Header));
        let changed = check(
            WebhookScheme::Stripe,
            ("stripe-signature", &format!("t={NOW},v1={good}")),
            &["whsec_new"],
            b"{}",
        );
        assert_eq!(changed, Err(SignatureError::Mismatch));
    }

    #[test]
    fn stripe_refuses_old_and_future_signatures_only_when_genuine() {
        for (time, expected) in [
            (NOW - 300, Ok(())),
            (NOW - 301, Err(SignatureError::Age(301))),
            (NOW + 301, Err(SignatureError::Age(-301))),
        ] {
            assert_eq!(stripe(&format!("t={time},v1={}", v1("whsec_new", time)), &["whsec_new"]), expected);
        }
        let forged = format!("t={},v1={}", NOW - 9999, v1("other", NOW));
        assert_eq!(stripe(&forged, &["whsec_new"]), Err(SignatureError::Mismatch));
        assert_eq!(stripe(&format!("t={},v1=00", i64::MIN), &["whsec_new"]), Err(SignatureError::Mismatch));
    }

    #[test]
    fn shopify_is_base64_over_the_body() {
        let good = BASE64.encode(mac("hush", &[BODY]));
        let check = |header: &str, body: &[u8]| {
            check(WebhookScheme::Shopify, ("x-shopify-hmac-sha256", header), &["old", "hush"], body)
        };
        assert_eq!(check(&good, BODY), Ok(()));
        assert_eq!(check(&good, b"{}"), Err(SignatureError::Mismatch));
        assert_eq!(check("%%%", BODY), Err(SignatureError::Header));
        assert_eq!(check(&BASE64.encode(mac("other", &[BODY])), BODY), Err(SignatureError::Mismatch));
    }
}
