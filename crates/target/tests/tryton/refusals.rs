//! Every recorded refusal of Tryton, and what the definition makes of it.

use delivery::{Answer, ErrorClass};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::rig::endpoint;

/// What is certain of the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    NotApplied,
    Unknown,
}

/// The file's name, what kind of trouble it is, and what is certain.
const EXPECTED: [(&str, ErrorClass, Effect); 28] = {
    use Effect::{NotApplied, Unknown};
    use ErrorClass as E;
    [
        ("digits", E::Validation, NotApplied),
        ("domain-without-padding", E::Unsupported, NotApplied),
        ("locked", E::LockContention, NotApplied),
        ("no-access", E::AuthDenied, NotApplied),
        ("no-body", E::Unsupported, NotApplied),
        ("no-period", E::ClosedPeriod, NotApplied),
        ("not-in-domain", E::Validation, NotApplied),
        ("posted-already", E::AlreadyAccepted, Unknown),
        ("posted-is-fixed", E::AlreadyAccepted, NotApplied),
        ("posted-stays", E::AlreadyAccepted, NotApplied),
        ("reference-missing", E::Validation, NotApplied),
        ("required", E::Validation, NotApplied),
        ("rpc-stale", E::Stale, NotApplied),
        ("rpc-unique", E::Duplicate, Unknown),
        ("rpc-unknown-field", E::Unsupported, NotApplied),
        ("rpc-unknown-method", E::AuthDenied, NotApplied),
        ("rpc-warning", E::Validation, NotApplied),
        ("unauthorized", E::AuthExpired, NotApplied),
        ("unique", E::Duplicate, Unknown),
        ("unknown-action", E::AuthDenied, NotApplied),
        ("unknown-field", E::Unsupported, NotApplied),
        ("unknown-field-read", E::Unsupported, NotApplied),
        ("unknown-method", E::Unsupported, NotApplied),
        ("unknown-model", E::Unsupported, NotApplied),
        ("unknown-record", E::NotFound, NotApplied),
        ("unknown-record-write", E::NotFound, NotApplied),
        ("warning", E::Validation, NotApplied),
        ("wrong-type", E::Unsupported, NotApplied),
    ]
};

/// What only a person can put right, for no repeat will be answered otherwise.
fn is_permanent(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Validation | ErrorClass::Unsupported | ErrorClass::NotFound | ErrorClass::ClosedPeriod
    )
}

fn directory() -> std::path::PathBuf {
    testkit::workspace_root().join("connectors/tryton/tests/errors")
}

/// The status, the headers and the body of a recorded refusal.
fn recorded(name: &str) -> (u16, HeaderMap, String) {
    let text = std::fs::read_to_string(directory().join(format!("{name}.json"))).unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in answer["headers"].as_object().unwrap() {
        let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
        headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    let body = match &answer["body"] {
        Value::String(page) => page.clone(),
        json => json.to_string(),
    };
    (u16::try_from(answer["status"].as_u64().unwrap()).unwrap(), headers, body)
}

#[test]
fn every_recorded_refusal_means_what_it_should() {
    let endpoint = endpoint("http://127.0.0.1:1", "invoice", "no key");
    for (name, class, effect) in EXPECTED {
        let (status, headers, body) = recorded(name);
        let answer = endpoint.meaning(status, &headers, body.as_bytes());
        let (reason, found) = match &answer {
            Answer::Refused(reason) => (reason, Effect::NotApplied),
            Answer::Again { reason, .. } => (reason, Effect::NotApplied),
            Answer::Unknown(reason) => (reason, Effect::Unknown),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!((reason.class, found), (class, effect), "{name}: {reason:?}");
        let repeats = !matches!(answer, Answer::Refused(_));
        assert!(!(is_permanent(class) && repeats), "{name} is permanent, and is tried again: {answer:?}");
        assert!(!reason.message.is_empty(), "{name} says nothing");
    }
}

#[test]
fn no_recorded_refusal_is_left_out() {
    let mut names: Vec<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, EXPECTED.map(|(name, ..)| name));
}

/// What nobody has seen may pass: it is looked at, and tried again.
#[test]
fn a_page_of_an_unknown_kind_leaves_it_open() {
    let endpoint = endpoint("http://127.0.0.1:1", "invoice", "no key");
    let page = b"<!doctype html>\n<h1>Internal Server Error</h1>\n<p>connection already closed</p>\n";
    let answer = endpoint.meaning(500, &HeaderMap::new(), page);
    assert!(matches!(answer, Answer::Unknown(reason) if reason.class == ErrorClass::Transient));
    let answer = endpoint.meaning(503, &HeaderMap::new(), b"<p>the server is starting</p>");
    assert!(matches!(answer, Answer::Unknown(reason) if reason.class == ErrorClass::Transient));
}
