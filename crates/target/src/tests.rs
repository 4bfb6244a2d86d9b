//! The sandbox's connector against the sandbox itself, and every answer's meaning.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use delivery::{Answer, Class, ErrorClass, OnExisting, OnUnknown, ReadBack, Scope};
use event::{EventId, ObjectKind, PostingKey, RouteId};
use http::HeaderMap;
use sandbox::{Change, Handle, Idempotency, Sandbox};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Account, ClassChoice, Client, ClientOptions, Connector, Egress, Endpoint, Posting, call::Wire,
    template::Scope as Names,
};

const TIMEOUT: Duration = Duration::from_millis(500);

static NO_VALUES: BTreeMap<String, String> = BTreeMap::new();

fn account(base: &str, class: Option<ClassChoice>) -> Account<'_> {
    Account { base_url: Some(base), class, on_unknown: OnUnknown::Park, auth: None, values: &NO_VALUES }
}

fn endpoint(base: &str, class: ClassChoice) -> Endpoint {
    let connector = Connector::embedded("sandbox").unwrap();
    Endpoint::new(&connector, "payment", &account(base, Some(class))).unwrap()
}

/// What goes over the wire for the write of a posting.
fn wire(endpoint: &Endpoint, posting: &Posting) -> Wire {
    let names = Names::of(posting, &Value::Null, crate::endpoint::nothing_captured());
    let headers = endpoint.headers(&names, true).unwrap();
    endpoint.write.wire(&names, posting.uri.as_ref(), &headers, &posting.payload).unwrap()
}

fn posting(endpoint: &Endpoint, event: u128, body: &str) -> Posting {
    let key = PostingKey { event: EventId(Uuid::from_u128(event)), route: RouteId(1), generation: 0 };
    endpoint.posting(key, "PAY 1/ä", 3, Bytes::from(body.to_owned())).unwrap()
}

const BODY: &str = r#"{"id":"PAY 1/ä","amount":{"amount":"1.00","currency":"EUR"}}"#;

async fn erp(idempotency: Idempotency) -> (Sandbox, Handle, String) {
    let sandbox = Sandbox::new();
    sandbox.configure("acme", Change { idempotency: Some(idempotency), ..Change::default() }).unwrap();
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let handle = sandbox.start(loopback).await.unwrap();
    let base = format!("{}/acme", handle.url());
    (sandbox, handle, base)
}

fn client() -> Client {
    Client::new(ClientOptions { connect_timeout: Duration::from_millis(200), ..ClientOptions::default() })
        .unwrap()
        .under(&Egress { private: true, networks: Vec::new() })
}

#[test]
fn the_embedded_connector_writes_every_object_in_every_class() {
    let connector = Connector::embedded("sandbox").unwrap();
    for object in ObjectKind::ALL {
        for class in [ClassChoice::Keyed, ClassChoice::Upsert, ClassChoice::Neither] {
            let made = Endpoint::new(&connector, object.name(), &account("http://erp.example", Some(class)));
            assert!(made.is_ok(), "{object} {class:?}: {made:?}");
        }
    }
    let keyed = endpoint("http://erp.example", ClassChoice::Keyed).class();
    assert_eq!(keyed, Class::Keyed { window_ms: 86_400_000, readable: true });
}

#[test]
fn what_does_not_fit_is_said_by_name() {
    let connector = Connector::embedded("sandbox").unwrap();
    for base in ["", "erp.example", "ftp://erp.example", "http://"] {
        let made = Endpoint::new(&connector, "order", &account(base, None));
        assert!(made.is_err(), "{base}");
    }
    let unknown = Connector::embedded("sandbux").unwrap_err();
    assert!(unknown.to_string().contains("sandbox"), "{unknown}");
    let misspelt = Connector::parse("x", "connector: x\nrevision: 1\nclas: upsert\n").unwrap_err();
    assert_eq!(misspelt.code(), "CFG-0211");
}

#[test]
fn a_posting_is_the_same_bytes_every_time() {
    let endpoint = endpoint("http://erp.example/acme", ClassChoice::Keyed);
    let one = posting(&endpoint, 1, BODY);
    let Wire { method, uri, headers, body } = wire(&endpoint, &one);
    assert_eq!(
        (method.as_str(), uri.path()),
        ("PUT", "/acme/api/v1/payments/by-external-id/PAY%201%2F%C3%A4")
    );
    assert_eq!(headers["x-counterfoil-source-version"], "3");
    assert_eq!(headers["x-counterfoil-event-id"], Uuid::from_u128(1).to_string());
    assert_eq!(body, BODY);
    let again = wire(&endpoint, &one.clone());
    assert_eq!((again.uri, again.headers, again.body), (uri, headers, body));
    // Golden, by another SHA-256: what an Intent recorded must be comparable for ever.
    assert_eq!(one.hash(&endpoint), 0xe98b84ba8e6bef93);
    let other = posting(&endpoint, 1, r#"{"id":"PAY 1/ä"}"#);
    assert_ne!(one.hash(&endpoint), other.hash(&endpoint));
}

#[test]
fn only_class_keyed_sends_a_key() {
    for (class, sends) in
        [(ClassChoice::Keyed, true), (ClassChoice::Upsert, false), (ClassChoice::Neither, false)]
    {
        let endpoint = endpoint("http://erp.example", class);
        let headers = wire(&endpoint, &posting(&endpoint, 1, BODY)).headers;
        assert_eq!(headers.contains_key("idempotency-key"), sends, "{class:?}");
    }
}

/// Status, code of the body → class, and what the core is told.
#[test]
fn every_answer_of_the_sandbox_has_its_meaning() {
    use ErrorClass as E;
    let endpoint = endpoint("http://erp.example", ClassChoice::Upsert);
    let cases = [
        (400, "validation", E::Validation, "refused"),
        (401, "unauthorized", E::AuthExpired, "again connection"),
        (403, "forbidden", E::AuthDenied, "again connection"),
        (404, "not_found", E::NotFound, "refused"),
        (408, "body_timeout", E::Transient, "again lane"),
        (409, "in_flight", E::InFlight, "again lane"),
        (409, "duplicate", E::Duplicate, "unknown"),
        (412, "precondition_failed", E::Stale, "refused"),
        (413, "too_large", E::TooLarge, "refused"),
        (422, "key_reused", E::KeyReuseMismatch, "refused"),
        (422, "missing_reference", E::MissingReference, "again lane"),
        (422, "closed_period", E::ClosedPeriod, "refused"),
        (429, "throttled", E::Throttled, "again connection"),
        (500, "internal", E::Transient, "unknown"),
        (503, "unavailable", E::Transient, "again lane"),
        (503, "something else", E::Transient, "unknown"),
        // Listed nowhere: a client's error is final, all else may have been applied.
        (418, "teapot", E::Unsupported, "refused"),
        (302, "moved", E::Transient, "unknown"),
        (599, "odd", E::Transient, "unknown"),
    ];
    for (status, code, class, meaning) in cases {
        let body = format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#);
        let (seen, reason) = match endpoint.meaning(status, &HeaderMap::new(), body.as_bytes()) {
            Answer::Applied { .. } => panic!("{status} {code}"),
            Answer::Refused(reason) => ("refused", reason),
            Answer::Again { reason, scope: Scope::Lane, .. } => ("again lane", reason),
            Answer::Again { reason, scope: Scope::Connection, .. } => ("again connection", reason),
            Answer::Again { scope: Scope::Apart, .. } => panic!("{status} {code}: of one alone"),
            Answer::Unknown(reason) => ("unknown", reason),
            Answer::Unfinished { .. } | Answer::Stuck(_) | Answer::Replayed(_) => panic!("{status} {code}"),
        };
        assert_eq!((seen, reason.class), (meaning, class), "{status} {code}");
        assert_eq!(reason.status, Some(status));
        assert!(reason.message.starts_with(code), "{}", reason.message);
    }
}

/// What is stored under the key will be told to every repeat, so it must not pass for a failure that goes by.
#[test]
fn an_answer_that_is_stored_under_the_key_is_told_from_one_that_passes() {
    let mut headers = HeaderMap::new();
    let busy = br#"{"error":{"code":"busy","message":"m"}}"#;
    let means = |class: ClassChoice, status: u16, headers: &HeaderMap, body: &[u8]| {
        let at = |answer: Answer| match answer {
            Answer::Replayed(_) => "replayed",
            Answer::Unknown(_) => "unknown",
            Answer::Again { .. } => "again",
            Answer::Refused(_) => "refused",
            other => panic!("{other:?}"),
        };
        at(endpoint("http://erp.example", class).meaning(status, headers, body))
    };
    let all = |class: ClassChoice, headers: &HeaderMap| {
        [(500, &b"{}"[..]), (503, busy), (429, b"{}"), (400, b"{}")]
            .map(|(status, body)| means(class, status, headers, body))
    };
    let passing = ["unknown", "again", "again", "refused"];
    assert_eq!(all(ClassChoice::Keyed, &headers), passing);
    headers.insert("idempotent-replayed", "false".parse().unwrap());
    assert_eq!(all(ClassChoice::Keyed, &headers), passing);
    headers.insert("idempotent-replayed", "TRUE".parse().unwrap());
    assert_eq!(all(ClassChoice::Keyed, &headers), ["replayed", "replayed", "replayed", "refused"]);
    assert_eq!(all(ClassChoice::Upsert, &headers), passing, "no key was sent");
}

/// A token that has expired must not flood the dead-letter topic, whether or not the connector's author thought of it.
#[test]
fn refused_credentials_hold_the_connection_without_a_rule() {
    let rules = include_str!("../../../connectors/sandbox.yaml").lines();
    let without: Vec<&str> = rules.filter(|line| !line.contains("class: auth_")).collect();
    let connector = Connector::parse("sandbox", &without.join("\n")).unwrap();
    let base = "http://erp.example";
    let endpoint = Endpoint::new(&connector, "payment", &account(base, None)).unwrap();
    for (status, class) in [(401, ErrorClass::AuthExpired), (403, ErrorClass::AuthDenied)] {
        match endpoint.meaning(status, &HeaderMap::new(), b"no") {
            Answer::Again { reason, scope: Scope::Connection, .. } => {
                assert_eq!((reason.class, &*reason.code), (class, "SNK-0006"));
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[test]
fn retry_after_is_read_and_capped_and_messages_are_shortened() {
    let endpoint = endpoint("http://erp.example", ClassChoice::Upsert);
    let wait = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", value.parse().unwrap());
        match endpoint.meaning(429, &headers, b"{}") {
            Answer::Again { after_ms, .. } => after_ms,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(wait("2"), Some(2_000));
    assert_eq!(wait("0.5"), Some(500));
    assert_eq!(wait("99999999"), Some(3_600_000));
    for odd in ["-1", "soon", "NaN", "0", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        assert_eq!(wait(odd), None, "{odd}");
    }
    let long = "ä".repeat(5_000);
    let Answer::Refused(reason) = endpoint.meaning(400, &HeaderMap::new(), long.as_bytes()) else { panic!() };
    assert_eq!(reason.message.chars().count(), 501);
}

#[tokio::test]
async fn a_posting_is_applied_and_found_again() {
    let (sandbox, _handle, base) = erp(Idempotency::Upsert).await;
    let (endpoint, client) = (endpoint(&base, ClassChoice::Upsert), client());
    let one = posting(&endpoint, 1, BODY);
    assert_eq!(client.read_back(&endpoint, &one, TIMEOUT).await.0, ReadBack::Absent);
    let Answer::Applied { document: Some(document) } = client.send(&endpoint, &one, (1, None), TIMEOUT).await
    else {
        panic!()
    };
    let found = client.read_back(&endpoint, &one, TIMEOUT).await.0;
    assert_eq!(found, ReadBack::Matches { document: Some(document.clone()) });
    let changed = posting(&endpoint, 2, r#"{"id":"PAY 1/ä","amount":{"amount":"2.00","currency":"EUR"}}"#);
    let found = client.read_back(&endpoint, &changed, TIMEOUT).await.0;
    assert_eq!(found, ReadBack::Differs { document: Some(document) });
    assert_eq!(sandbox.summary().totals.effects, 1);
}

#[tokio::test]
async fn two_documents_of_one_reference_are_seen_as_several() {
    let (_sandbox, _handle, base) = erp(Idempotency::Neither).await;
    let (endpoint, client) = (endpoint(&base, ClassChoice::Neither), client());
    for event in [1, 2] {
        let applied = client.send(&endpoint, &posting(&endpoint, event, BODY), (1, None), TIMEOUT).await;
        assert!(matches!(applied, Answer::Applied { .. }), "{applied:?}");
    }
    assert_eq!(client.read_back(&endpoint, &posting(&endpoint, 1, BODY), TIMEOUT).await.0, ReadBack::Several);
}

#[tokio::test]
async fn a_key_makes_a_repeat_harmless() {
    let (sandbox, _handle, base) = erp(Idempotency::Key).await;
    let (endpoint, client) = (endpoint(&base, ClassChoice::Keyed), client());
    let one = posting(&endpoint, 1, BODY);
    let first = client.send(&endpoint, &one, (1, None), TIMEOUT).await;
    assert!(matches!(first, Answer::Applied { document: Some(_) }), "{first:?}");
    assert_eq!(client.send(&endpoint, &one, (1, None), TIMEOUT).await, first);
    assert_eq!(sandbox.summary().totals.effects, 1);
}

/// Only what certainly was not sent may be called so.
#[tokio::test]
async fn not_sent_is_told_from_not_answered() {
    let client = client();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = endpoint(&format!("http://{free}"), ClassChoice::Keyed);
    let answer = client.send(&nobody, &posting(&nobody, 1, BODY), (1, None), TIMEOUT).await;
    assert!(matches!(answer, Answer::Again { scope: Scope::Connection, .. }), "{answer:?}");

    let (sandbox, _handle, base) = erp(Idempotency::Upsert).await;
    let there = endpoint(&base, ClassChoice::Upsert);
    sandbox.configure("acme", Change { drop_answer_next: Some(1), ..Change::default() }).unwrap();
    let answer = client.send(&there, &posting(&there, 1, BODY), (1, None), TIMEOUT).await;
    assert!(matches!(&answer, Answer::Unknown(reason) if &*reason.code == "SNK-0005"), "{answer:?}");
    assert_eq!(sandbox.summary().totals.effects, 1, "it was applied");

    sandbox.configure("acme", Change { latency_ms: Some(2_000), ..Change::default() }).unwrap();
    let answer = client.send(&there, &posting(&there, 2, BODY), (1, None), TIMEOUT).await;
    assert!(matches!(&answer, Answer::Unknown(reason) if reason.message.contains("500 ms")), "{answer:?}");
    let look = client.read_back(&there, &posting(&there, 2, BODY), TIMEOUT).await.0;
    assert!(matches!(look, ReadBack::Failed(Answer::Unknown(_))), "{look:?}");
}

#[tokio::test]
async fn an_endless_answer_and_a_redirect_are_not_followed() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for reply in [
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 65_536];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(reply.as_bytes()).await.unwrap();
            let flood = vec![b'x'; 1 << 16];
            while reply.contains("200 OK") && stream.write_all(&flood).await.is_ok() {}
        }
    });
    let endpoint = endpoint(&format!("http://{address}"), ClassChoice::Upsert);
    for what in ["endless", "redirect"] {
        let answer =
            client().send(&endpoint, &posting(&endpoint, 1, BODY), (1, None), Duration::from_secs(5)).await;
        assert!(matches!(answer, Answer::Unknown(_)), "{what}: {answer:?}");
    }
}

#[test]
fn a_lag_and_what_to_do_with_another_document_are_read_and_checked() {
    let yaml = include_str!("../../../connectors/sandbox.yaml");
    let with = |from: &str, to: &str| {
        let connector = Connector::parse("sandbox", &yaml.replace(from, to)).unwrap();
        let base = "http://erp.example";
        Endpoint::new(&connector, "payment", &account(base, Some(ClassChoice::Upsert)))
    };
    let strong = with("", "").unwrap();
    assert_eq!((strong.lag_ms(), strong.on_existing()), (0, OnExisting::Overwrite));
    let eventual = with("document: $.data", "document: $.data, consistency: eventual, lag: 5s").unwrap();
    assert_eq!(eventual.lag_ms(), 5_000);
    let verify = with("id: $.id}", "id: $.id, on_existing: verify}").unwrap();
    assert_eq!(verify.on_existing(), OnExisting::Verify);
    for wrong in ["consistency: eventual", "lag: 5s"] {
        let error = with("document: $.data", &format!("document: $.data, {wrong}")).unwrap_err();
        assert!(error.to_string().contains("needs"), "{error}");
    }
}
