//! Webhook signatures, verified over the raw bytes and in constant time, before anything is parsed. How a vendor signs is said by
//! its connector (`mapping::Signature`).

use std::{borrow::Cow, sync::LazyLock};

use axum::{
    extract::Query,
    http::{HeaderMap, Uri},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use mapping::{
    Signature,
    signature::{Encoding, Part, Unit, Verify},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The most signatures of one header that are looked at; vendors send one for each secret in rotation.
const MAX_SIGNATURES: usize = 8;
/// The longest text that holds a proof, in bytes.
const MAX_TEXT: usize = 4 * 1024;

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header, or the parameter of the address, is absent or not of its form.
    #[error("the signature is missing or malformed")]
    Form,
    /// No secret yields the signature.
    #[error("the signature does not match the body")]
    Mismatch,
    /// The signature is genuine and its time is too far from now.
    #[error("the signature is genuine, but its time is {0} s away from now")]
    Age(i64),
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, byte for byte.
    pub body: &'a [u8],
    /// Its method.
    pub method: &'a str,
    /// The address that the vendor was given; what a proxy makes of it is not what was signed.
    pub url: &'a str,
    /// The address that it came to, with its query.
    pub uri: &'a Uri,
}

/// Checks what was sent against the signature in its headers. Any of `secrets` may have made it. `now`: seconds since 1970 UTC.
///
/// # Errors
/// See [`SignatureError`]; the age is looked at only when the signature is genuine.
pub fn verify(
    how: &Signature,
    secrets: &[SecretString],
    sent: &Sent<'_>,
    now: i64,
) -> Result<(), SignatureError> {
    let (proofs, time) = read(how, sent)?;
    // Every secret is tried against every proof, whatever the outcome, so that time tells nothing.
    let mut genuine = false;
    for secret in secrets.iter().map(ExposeSecret::expose_secret) {
        let parts: Vec<&[u8]> = how.signed.iter().map(|part| bytes(part, sent, time, secret)).collect();
        let expected = Expected::of(how.verify, secret, &parts);
        for proof in &proofs {
            genuine |= expected.is(proof);
        }
    }
    if !genuine {
        return Err(SignatureError::Mismatch);
    }
    let (Some(time), Some(tolerance)) = (time, how.tolerance_s) else { return Ok(()) };
    let signed_at: i64 = time.parse().map_err(|_| SignatureError::Form)?;
    let unit = how.timestamp.as_ref().map_or(Unit::Seconds, |header| header.unit);
    let signed_at = if unit == Unit::Milliseconds { signed_at / 1_000 } else { signed_at };
    let age = now.saturating_sub(signed_at);
    if age.saturating_abs() > i64::from(tolerance) { Err(SignatureError::Age(age)) } else { Ok(()) }
}

/// The proofs, decoded, and the time as it stands.
fn read<'a>(how: &Signature, sent: &Sent<'a>) -> Result<(Vec<Vec<u8>>, Option<&'a str>), SignatureError> {
    let (proofs, mut time) = match &how.fields {
        None => {
            let text = place(how, sent)?;
            (vec![decode(how, bare(how, &text)?)], None)
        }
        Some(fields) => {
            let text = header(sent.headers, how.header.as_deref().unwrap_or_default())?;
            let parts = || text.split(',').filter_map(|part| part.trim().split_once('='));
            let named = |name: &str| parts().find_map(|(k, v)| (k == name).then_some(v));
            let time = fields.timestamp.as_deref().map(|name| named(name).ok_or(SignatureError::Form));
            let proofs = parts().filter(|(name, _)| *name == fields.signature).take(MAX_SIGNATURES);
            (proofs.map(|(_, proof)| decode(how, proof)).collect(), time.transpose()?)
        }
    };
    if let Some(timestamp) = &how.timestamp {
        time = Some(header(sent.headers, &timestamp.header)?);
    }
    let proofs: Vec<Vec<u8>> = proofs.into_iter().flatten().collect();
    if proofs.is_empty() || time.is_some_and(|time| time.parse::<i64>().is_err()) {
        return Err(SignatureError::Form);
    }
    Ok((proofs, time))
}

/// The text that holds the proof: of a header, or of a parameter that the address has once.
fn place<'a>(how: &Signature, sent: &Sent<'a>) -> Result<Cow<'a, str>, SignatureError> {
    let Some(name) = &how.query else {
        return header(sent.headers, how.header.as_deref().unwrap_or_default()).map(Cow::Borrowed);
    };
    let Query(parameters) =
        Query::<Vec<(String, String)>>::try_from_uri(sent.uri).map_err(|_| SignatureError::Form)?;
    let mut found = parameters.into_iter().filter(|(known, _)| known == name).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) if value.len() <= MAX_TEXT => Ok(Cow::Owned(value)),
        _ => Err(SignatureError::Form),
    }
}

/// The proof without what stands before it.
fn bare<'a>(how: &Signature, text: &'a str) -> Result<&'a str, SignatureError> {
    let Some(prefix) = &how.prefix else { return Ok(text) };
    let (before, proof) = text.split_at_checked(prefix.len()).ok_or(SignatureError::Form)?;
    if before.eq_ignore_ascii_case(prefix) { Ok(proof) } else { Err(SignatureError::Form) }
}

fn decode(how: &Signature, proof: &str) -> Option<Vec<u8>> {
    match how.encoding() {
        Encoding::Plain => Some(proof.as_bytes().to_vec()),
        Encoding::Hex => hex::decode(proof).ok(),
        Encoding::Base64 => BASE64.decode(proof).ok(),
    }
}

fn bytes<'a>(part: &'a Part, sent: &Sent<'a>, time: Option<&'a str>, secret: &'a str) -> &'a [u8] {
    match part {
        Part::Body => sent.body,
        Part::Timestamp => time.unwrap_or_default().as_bytes(),
        Part::Method => sent.method.as_bytes(),
        Part::Url => sent.url.as_bytes(),
        Part::Secret => secret.as_bytes(),
        Part::Text(text) => text.as_bytes(),
    }
}

/// What a proof must be. Compared as a MAC under a key of its own where it is none itself: `verify_slice` takes the same time for all.
struct Expected(Option<Hmac<Sha256>>, Option<Vec<u8>>);

impl Expected {
    fn of(verify: Verify, secret: &str, parts: &[&[u8]]) -> Self {
        let keyed = |key: &[u8], parts: &[&[u8]]| {
            // HMAC takes keys of every length.
            let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            parts.iter().for_each(|part| mac.update(part));
            Some(mac)
        };
        match verify {
            Verify::Hmac => Self(keyed(secret.as_bytes(), parts), None),
            Verify::HashConcat => {
                let mut hash = Sha256::new();
                parts.iter().for_each(|part| hash.update(part));
                Self(None, Some(hash.finalize().to_vec()))
            }
            Verify::SharedSecret => Self(None, Some(secret.as_bytes().to_vec())),
        }
    }

    fn is(&self, proof: &[u8]) -> bool {
        match self {
            Self(Some(mac), _) => mac.clone().verify_slice(proof).is_ok(),
            Self(None, Some(plain)) => same(plain, proof),
            Self(None, None) => false,
        }
    }
}

/// Compares digests of both, so that neither the length nor the first difference shows in the time.
fn same(one: &[u8], other: &[u8]) -> bool {
    let digest =
        |bytes: &[u8]| Hmac::<Sha256>::new_from_slice(b"compare").ok().map(|mac| mac.chain_update(bytes));
    let (Some(one), Some(other)) = (digest(one), digest(other)) else { return false };
    one.verify(&other.finalize().into_bytes()).is_ok()
}

/// The text of a header that is there once: of two, a proxy and we might take different ones.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, SignatureError> {
    let mut found = headers.get_all(name).iter();
    match (found.next().and_then(|value| value.to_str().ok()), found.next()) {
        (Some(text), None) if text.len() <= MAX_TEXT => Ok(text),
        _ => Err(SignatureError::Form),
    }
}

/// Spends the time of a verification on a webhook that does not exist.
pub(crate) fn decoy(body: &[u8]) {
    static SECRET: LazyLock<SecretString> =
        LazyLock::new(|| SecretString::from("no webhook has this secret"));
    let expected = Expected::of(Verify::Hmac, SECRET.expose_secret(), &[body]);
    std::hint::black_box(expected.is(&[0; 32]));
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
        system: &str,
        headers: &[(&str, &str)],
        secrets: &[&str],
        body: &[u8],
    ) -> Result<(), SignatureError> {
        let connectors = mapping::connectors::embedded().unwrap();
        let secrets: Vec<_> = secrets.iter().map(|s| SecretString::from(*s)).collect();
        let header = |(name, value): &(&str, &str)| {
            (name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap())
        };
        let headers = HeaderMap::from_iter(headers.iter().map(header));
        let (url, uri) = ("https://hooks.example.com/hubspot", Uri::from_static("/"));
        let sent = Sent { headers: &headers, body, method: "POST", url, uri: &uri };
        verify(connectors.signature(system).unwrap(), &secrets, &sent, NOW)
    }

    fn stripe(header: &str, secrets: &[&str]) -> Result<(), SignatureError> {
        check("stripe", &[("stripe-signature", header)], secrets, BODY)
    }

    /// Computed with Python's hmac for the secret and body below.
    #[test]
    fn vendors_signatures_from_elsewhere_are_genuine() {
        const RAW: &str = "Aw+jskE9GZPFUTZL1Tu5s+21wMNNVdumraYEEkVjKBE=";
        let vectors: [(&str, &[(&str, &str)]); 6] = [
            (
                "stripe",
                &[(
                    "Stripe-Signature",
                    "t=1700000000,v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925",
                )],
            ),
            ("shopify", &[("X-Shopify-Hmac-SHA256", RAW)]),
            ("xero", &[("x-xero-signature", RAW)]),
            ("quickbooks", &[("intuit-signature", RAW)]),
            (
                "hubspot",
                &[
                    ("X-HubSpot-Signature-v3", "aGDqUI6VfpghcdsimEdCaO8vDlH8ddjafVHLUOIMgso="),
                    ("X-HubSpot-Request-Timestamp", "1700000000000"),
                ],
            ),
            ("dataverse", &[("x-counterfoil-webhook-key", "whsec_test")]),
        ];
        for (system, headers) in vectors {
            assert_eq!(check(system, headers, &["another", "whsec_test"], BODY), Ok(()), "{system}");
            assert_eq!(
                check(system, headers, &["whsec_tess"], BODY),
                Err(SignatureError::Mismatch),
                "{system}"
            );
            assert_eq!(check(system, &[], &["whsec_test"], BODY), Err(SignatureError::Form), "{system}");
            if system != "dataverse" {
                let changed = check(system, headers, &["whsec_test"], b"{}");
                assert_eq!(changed, Err(SignatureError::Mismatch), "{system}");
            }
        }
    }

    #[test]
    fn a_hash_over_secret_and_body_is_compared_too() {
        let how = mapping::connectors::embedded().unwrap();
        let v1 = Signature {
            verify: Verify::HashConcat,
            encoding: Some(Encoding::Hex),
            header: Some("X-HubSpot-Signature".to_owned()),
            timestamp: None,
            signed: vec![Part::Secret, Part::Body],
            tolerance_s: None,
            ..Signature::clone(how.signature("hubspot").unwrap())
        };
        // The example of HubSpot's documentation, version 1 of its signatures.
        let secret = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy";
        let body = br#"[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]"#;
        let digest = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de";
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static("x-hubspot-signature"),
            digest.parse().unwrap(),
        )]);
        let uri = Uri::from_static("/");
        let sent = Sent { headers: &headers, body, method: "POST", url: "", uri: &uri };
        assert_eq!(verify(&v1, &[secret.into()], &sent, NOW), Ok(()));
        assert_eq!(verify(&v1, &["another".into()], &sent, NOW), Err(SignatureError::Mismatch));
        let changed = Sent { body: b"[]", ..sent };
        assert_eq!(verify(&v1, &[secret.into()], &changed, NOW), Err(SignatureError::Mismatch));
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
        assert_eq!(wrong(format!("t={NOW},v0={good}")), Err(SignatureError::Form));
        assert_eq!(wrong(format!("v1={good}")), Err(SignatureError::Form));
        assert_eq!(wrong(format!("t={NOW},v1={}", &good[..32])), Err(SignatureError::Mismatch));
        assert_eq!(wrong(format!("t={NOW},v1=nothex")), Err(SignatureError::Form));
        let header = format!("t={NOW},v1={good}");
        let changed = check("stripe", &[("stripe-signature", &header)], &["whsec_new"], b"{}");
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
            check("shopify", &[("x-shopify-hmac-sha256", header)], &["old", "hush"], body)
        };
        assert_eq!(check(&good, BODY), Ok(()));
        assert_eq!(check(&good, b"{}"), Err(SignatureError::Mismatch));
        assert_eq!(check("%%%", BODY), Err(SignatureError::Form));
        assert_eq!(check(&BASE64.encode(mac("other", &[BODY])), BODY), Err(SignatureError::Mismatch));
    }
}
