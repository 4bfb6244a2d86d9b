//! Several postings as the parts of one body, against a service that takes them: each has its own answer, and whatever cannot be read is
//! looked at, so that nothing is lost and nothing is said to be written that is not.

#![allow(clippy::unwrap_used)]

#[path = "batch/server.rs"]
mod server;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use delivery::{Answer, ErrorClass, OnUnknown, ReadBack, Scope};
use event::{EventId, PostingKey, RouteId};
use serde_json::{Value, json};
use server::{Shared, Trouble, start};
use target::{
    Access, Account, Authenticator, Client, ClientOptions, Connector, Egress, Endpoint, Posting, Secrets,
};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(5);

const CONNECTOR: &str = r#"
connector: small
revision: 1
class: upsert
headers: {Content-Type: application/json, OData-Version: "4.0"}
auth: {kind: static_token, header: Authorization, prefix: "Bearer "}
errors:
  code_path: $.error.code
  message_path: $.error.message
  rules:
    - {when: {status: 400}, class: validation, outcome: not_applied}
    - {when: {transport: [timeout, reset]}, class: transient, outcome: unknown}
objects:
  note:
    path: /odata/notes
    lookup: {request: "GET {{path}}({{ref|quoted}})", absent: 404, id: $.id}
    upsert:
      request: "PATCH {{path}}({{ref|quoted}})"
      ok: [200, 204]
      bulk: BULK
"#;

const SIDE_BY_SIDE: &str = r#"{max_items: 9, request: {send: "POST /odata/$batch", headers: {Prefer: odata.continue-on-error}}, ok: [200], parts: {id: header.OData-EntityId}}"#;
const STOPS: &str = r#"{max_items: 9, request: "POST /odata/$batch", ok: [200], parts: {id: header.OData-EntityId, after_error: stops}}"#;
const SETS: &str = r#"{max_items: 9, request: {send: "POST /odata/$batch", headers: {Prefer: odata.continue-on-error}}, ok: [200], parts: {id: header.OData-EntityId, change_sets: true}}"#;
const ATOMIC: &str = r#"{max_items: 9, request: "POST /odata/$batch", ok: [200], kind: atomic, parts: {id: header.OData-EntityId}}"#;

struct Rig {
    world: Shared,
    endpoint: Endpoint,
    client: Client,
}

impl Rig {
    async fn new(bulk: &str) -> Self {
        let (world, url) = start().await;
        let connector = Connector::parse("small", &CONNECTOR.replace("BULK", bulk)).unwrap();
        let (base_url, values) = (Some(url.as_str()), BTreeMap::new());
        let secrets = Secrets::default().with("token", &["s3cret".into()]);
        let access =
            Access { of: ("acme", "erp"), base_url, values: &values, secrets: &secrets, store: None };
        let auth = Arc::new(Authenticator::new(&connector, &access).unwrap());
        let account = Account {
            base_url,
            class: None,
            on_unknown: OnUnknown::Park,
            auth: Some(&auth),
            values: &values,
        };
        let client = Client::new(ClientOptions::default()).unwrap();
        let client = client.under(&Egress { private: true, ..Egress::default() });
        Self { world, endpoint: Endpoint::new(&connector, "note", &account).unwrap(), client }
    }

    fn postings(&self, payloads: &[Value]) -> Vec<Posting> {
        let posting = |(at, payload): (usize, &Value)| {
            let event = EventId(Uuid::from_u128(at as u128));
            let key = PostingKey { event, route: RouteId(1), generation: 0 };
            self.endpoint.posting(key, &format!("N-{at}"), 3, payload.to_string().into()).unwrap()
        };
        payloads.iter().enumerate().map(posting).collect()
    }

    async fn send(&self, payloads: &[Value]) -> Vec<Answer> {
        let postings = self.postings(payloads);
        let postings: Vec<&Posting> = postings.iter().collect();
        self.client.send_together(&self.endpoint, &postings, TIMEOUT).await
    }

    /// What stands there, and how often each was written.
    fn written(&self) -> Vec<(String, usize)> {
        let world = self.world.lock().unwrap();
        world.documents.iter().map(|(name, (_, times))| (name.clone(), *times)).collect()
    }
}

fn good(n: u32) -> Value {
    // What looks like a delimiter or a head is only text.
    json!({"n": n, "text": "--answers--\r\nContent-ID: 7\r\n\r\n--batch"})
}

fn bad() -> Value {
    json!({"bad": "too long"})
}

fn applied(n: u32) -> Answer {
    Answer::Applied { document: Some(format!("N-{n}-id").into()) }
}

fn is_refused(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(reason)
        if reason.class == ErrorClass::Validation && reason.status == Some(400) && &*reason.message == "0x1: too long")
}

fn is_apart(answer: &Answer) -> bool {
    matches!(answer, Answer::Again { scope: Scope::Apart, after_ms: Some(0), .. })
}

fn once(names: &[u32]) -> Vec<(String, usize)> {
    names.iter().map(|n| (format!("N-{n}"), 1)).collect()
}

#[tokio::test]
async fn one_that_fails_takes_nobody_with_it() {
    for bulk in [SIDE_BY_SIDE, SETS] {
        let rig = Rig::new(bulk).await;
        let answers = rig.send(&[good(0), bad(), good(2)]).await;
        assert_eq!((&answers[0], &answers[2]), (&applied(0), &applied(2)), "{bulk}");
        assert!(is_refused(&answers[1]), "{answers:?}");
        assert_eq!(rig.written(), once(&[0, 2]), "{bulk}");
        assert_eq!(rig.world.lock().unwrap().batches, [3], "{bulk}: one request");
        assert_eq!(rig.world.lock().unwrap().documents["N-2"].0, good(2), "{bulk}: as it was posted");
    }
}

#[tokio::test]
async fn behind_a_failure_nothing_is_run_and_it_goes_again() {
    let rig = Rig::new(STOPS).await;
    let answers = rig.send(&[good(0), bad(), good(2), good(3)]).await;
    assert_eq!(answers[0], applied(0), "though the answer has the status of the one that failed");
    assert!(is_refused(&answers[1]), "{answers:?}");
    for answer in &answers[2..] {
        assert!(matches!(answer, Answer::Again { scope: Scope::Lane, after_ms: Some(0), .. }), "{answer:?}");
    }
    assert_eq!(rig.written(), once(&[0]), "what is said not to be run is not there");
}

#[tokio::test]
async fn a_change_set_is_written_as_a_whole_or_not_at_all() {
    let rig = Rig::new(ATOMIC).await;
    let answers = rig.send(&[good(0), good(1), good(2)]).await;
    assert_eq!(answers, [applied(0), applied(1), applied(2)], "answered in the opposite order");
    assert_eq!(rig.written(), once(&[0, 1, 2]));
    let rig = Rig::new(ATOMIC).await;
    let answers = rig.send(&[good(0), bad(), good(2)]).await;
    assert!(answers.iter().all(is_apart), "one of them failed, and each goes by itself: {answers:?}");
    assert_eq!(rig.written(), []);
}

#[tokio::test]
async fn what_cannot_be_read_is_unknown_and_a_look_finds_it() {
    for bulk in [SIDE_BY_SIDE, STOPS, SETS, ATOMIC] {
        for trouble in [Trouble::Truncated, Trouble::WrongBoundary, Trouble::Lost] {
            let rig = Rig::new(bulk).await;
            rig.world.lock().unwrap().trouble = trouble;
            let payloads = [good(0), good(1)];
            let answers = rig.send(&payloads).await;
            assert!(answers.iter().all(|a| matches!(a, Answer::Unknown(_))), "{trouble:?}: {answers:?}");
            assert_eq!(rig.written(), once(&[0, 1]), "{trouble:?} really happened: both are there");
            for posting in rig.postings(&payloads) {
                let (seen, _) = rig.client.read_back(&rig.endpoint, &posting, TIMEOUT).await;
                assert!(matches!(seen, ReadBack::Matches { .. }), "{trouble:?}: {seen:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_refused_as_a_whole_goes_one_by_one() {
    for bulk in [SIDE_BY_SIDE, ATOMIC] {
        let rig = Rig::new(bulk).await;
        rig.world.lock().unwrap().trouble = Trouble::Refused;
        let answers = rig.send(&[good(0), good(1)]).await;
        assert!(answers.iter().all(is_apart), "{answers:?}");
        assert_eq!(rig.written(), []);
    }
}

#[tokio::test]
async fn what_has_no_room_is_not_sent() {
    let rig = Rig::new(&SIDE_BY_SIDE.replace("max_items: 9", "max_items: 9, max_bytes: 1200")).await;
    let answers = rig.send(&[good(0), good(1), good(2)]).await;
    assert_eq!(answers[0], applied(0));
    assert!(
        matches!(&answers[2], Answer::Again { reason, .. } if reason.message.contains("no room")),
        "{answers:?}"
    );
    assert_eq!(rig.written().len(), rig.world.lock().unwrap().batches[0]);
}
