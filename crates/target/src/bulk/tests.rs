//! Which definitions of several in one request are taken, and what answers to them mean.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bytes::Bytes;
use delivery::{Answer, OnUnknown, Scope};
use event::{EventId, PostingKey, RouteId};
use http::HeaderMap;
use serde_json::json;
use uuid::Uuid;

use crate::{Account, ClassChoice, Connector, Endpoint, Posting, lint};

const PUTS: &str = "item: *item, ok: [200], answers: *answers";
const SANDBOX: &str = include_str!("../../../../connectors/sandbox.yaml");

fn with(puts: &str) -> String {
    assert!(SANDBOX.contains(PUTS));
    SANDBOX.replacen(PUTS, puts, 1)
}

fn made(yaml: &str, class: ClassChoice) -> Result<Endpoint, String> {
    let connector = Connector::parse("sandbox", yaml).unwrap();
    let values = BTreeMap::new();
    let account = Account {
        base_url: Some("http://erp.example"),
        class: Some(class),
        on_unknown: OnUnknown::Park,
        auth: None,
        values: &values,
    };
    Endpoint::new(&connector, "payment", &account).map_err(|error| error.to_string())
}

fn postings(endpoint: &Endpoint, payloads: &[&'static str]) -> Vec<Posting> {
    let posting = |(at, payload): (usize, &&'static str)| {
        let event = EventId(Uuid::from_u128(at as u128));
        let key = PostingKey { event, route: RouteId(1), generation: 0 };
        endpoint.posting(key, &format!("P-{at}"), 3, Bytes::from_static(payload.as_bytes())).unwrap()
    };
    payloads.iter().enumerate().map(posting).collect()
}

/// What the answers are, one letter each: Applied, Refused, aGain, aPart, Unknown.
fn letters(endpoint: &Endpoint, items: usize, status: u16, body: &serde_json::Value) -> String {
    let postings = postings(endpoint, &vec!["{}"; items]);
    let postings: Vec<&Posting> = postings.iter().collect();
    let body = body.to_string();
    let answers = endpoint.understands_together(&postings, status, &HeaderMap::new(), body.as_bytes());
    let letter = |answer: Answer| match answer {
        Answer::Applied { .. } => 'A',
        Answer::Refused(_) => 'R',
        Answer::Again { scope: Scope::Apart, .. } => 'P',
        Answer::Again { .. } => 'G',
        Answer::Unknown(_) => 'U',
        Answer::Unfinished { .. } | Answer::Stuck(_) | Answer::Replayed(_) => '?',
    };
    answers.unwrap().into_iter().map(letter).collect()
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_sent_and_the_check_finds_it() {
    let cases = [
        ("ok: [200], answers: *answers", "needs the key of each item"),
        (r#"item: {id: "{{ref}}"}, ok: [200], answers: *answers"#, "needs the key of each item"),
        (r#"item: {id: "{{id}}", k: "{{key}}"}, ok: [200], answers: *answers"#, "before it is sent"),
        ("item: *item, ok: [], answers: *answers", "`ok` names the statuses"),
        ("item: *item, ok: [200]", "`answers` says where"),
        ("item: *item, ok: [200], answers: *answers, named: same", "the same for all"),
        (r#"item: *item, ok: [200], answers: *answers, named: "{{key}}""#, "says by `name`"),
        ("item: *item, ok: [200], answers: [{at: $.a}, {at: $.b}]", "in one list"),
    ];
    for (puts, told) in cases {
        let yaml = with(puts);
        let error = made(&yaml, ClassChoice::Keyed).unwrap_err();
        assert!(error.contains(told), "{puts}: {error}");
        let connector = Connector::parse("sandbox", &yaml).unwrap();
        assert!(lint(&connector, &yaml).iter().any(|f| f.to_string().contains(told)), "{puts}");
    }
    let whole = SANDBOX.replacen(
        "body: {items: \"{{items}}\"}}, item: *item",
        "headers: {K: \"{{key}}\"}, body: {items: \"{{items}}\"}}, item: *item",
        1,
    );
    assert!(made(&whole, ClassChoice::Upsert).unwrap_err().contains("a key is of one item"));
    let nobody =
        SANDBOX.replacen("body: {items: \"{{items}}\"}}, item: *item", "body: {a: 1}}, item: *item", 1);
    assert!(made(&nobody, ClassChoice::Upsert).unwrap_err().contains("says nowhere"));
    let single = SANDBOX.replacen(
        "request: \"PUT {{path}}/by-external-id/{{ref}}\"",
        "request: {send: \"PUT {{path}}/{{ref}}\", body: \"{{items}}\"}",
        1,
    );
    let connector = Connector::parse("sandbox", &single).unwrap();
    assert!(lint(&connector, &single).iter().any(|f| f.to_string().contains("of a `bulk` only")));
}

#[test]
fn only_what_can_share_a_request_does() {
    let endpoint = made(SANDBOX, ClassChoice::Keyed).unwrap();
    let [plain, refers] = &postings(&endpoint, &["{}", r#"{"a":{"$lookup":"customer","ref":"C"}}"#])[..]
    else {
        panic!("two postings");
    };
    assert_eq!(endpoint.share(plain, 50).map(|bulk| bulk.max_items), Some(50));
    assert_eq!(endpoint.share(plain, 1_000).map(|bulk| bulk.max_items), Some(200));
    assert_eq!(endpoint.share(plain, 1), None);
    assert_eq!(endpoint.share(refers, 50), None, "what it refers to has to be looked up first");
    let creates = made(SANDBOX, ClassChoice::Neither).unwrap();
    assert!(endpoint.shares_with(&made(SANDBOX, ClassChoice::Upsert).unwrap()));
    assert!(!endpoint.shares_with(&creates), "another request");
}

#[test]
fn each_item_has_its_own_answer_or_none() {
    let endpoint = made(SANDBOX, ClassChoice::Upsert).unwrap();
    let ok = json!({"status": 201, "id": "1"});
    let bad = json!({"status": 422, "error": {"code": "closed_period", "message": "m"}});
    let busy = json!({"status": 503, "error": {"code": "busy", "message": "m"}});
    let odd = json!({"status": 500, "error": {"code": "internal", "message": "m"}});
    let said = |results: &[&serde_json::Value]| letters(&endpoint, 4, 200, &json!({"results": results}));
    assert_eq!(said(&[&ok, &bad, &busy, &odd]), "ARGU");
    assert_eq!(said(&[&ok, &ok, &ok]), "UUUU", "too few");
    assert_eq!(said(&[&ok, &ok, &ok, &ok, &ok]), "UUUU", "too many");
    assert_eq!(letters(&endpoint, 2, 200, &json!("what")), "UU");
    assert_eq!(letters(&endpoint, 2, 400, &json!({"error": {"code": "validation"}})), "PP");
    assert_eq!(letters(&endpoint, 2, 500, &json!({})), "UU");
    assert_eq!(letters(&endpoint, 2, 429, &json!({})), "GG");
}

#[test]
fn names_match_in_any_order_and_contradictions_are_nobodys() {
    let yaml = with(
        r#"item: *item, ok: [200], named: "{{ref}}", answers: [{at: $.good, name: $.ref}, {at: $.bad, name: $.ref, applied: false, status: 400}]"#,
    );
    let endpoint = made(&yaml, ClassChoice::Upsert).unwrap();
    let by = |name: &str| json!({"ref": name});
    let said = |good: &[&str], bad: &[&str]| {
        let list = |names: &[&str]| names.iter().map(|n| by(n)).collect::<Vec<_>>();
        letters(&endpoint, 3, 200, &json!({"good": list(good), "bad": list(bad)}))
    };
    assert_eq!(said(&["P-2", "P-0"], &["P-1"]), "ARA");
    assert_eq!(
        said(&["P-0", "P-9"], &["P-1"]),
        "ARU",
        "one of ours is not named, one that is named is not ours"
    );
    assert_eq!(said(&["P-0", "P-0", "P-1"], &["P-1", "P-2"]), "AUR");
}

#[test]
fn all_or_nothing_undoes_what_was_applied_beside_a_failure() {
    let yaml = with("item: *item, ok: [200], answers: *answers, kind: atomic");
    let endpoint = made(&yaml, ClassChoice::Upsert).unwrap();
    let (ok, bad) = (json!({"status": 200}), json!({"status": 400}));
    let odd = json!({"status": 500});
    let said =
        |results: &[&serde_json::Value]| letters(&endpoint, results.len(), 200, &json!({"results": results}));
    assert_eq!(said(&[&ok, &ok]), "AA");
    assert_eq!(said(&[&ok, &bad, &ok]), "GRG");
    assert_eq!(said(&[&ok, &odd]), "UU");
    let silent = made(&with("item: *item, ok: [200], kind: atomic"), ClassChoice::Upsert).unwrap();
    assert_eq!(letters(&silent, 2, 200, &json!({})), "AA");
    assert_eq!(letters(&silent, 2, 400, &json!({})), "PP", "each may well be taken by itself");
}
