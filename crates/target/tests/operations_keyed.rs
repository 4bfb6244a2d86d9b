//! Class keyed with several steps, against a system that has nothing but its keys: whatever is sent twice without one happens twice.
//! Wherever it breaks, one document comes of it, and each step of it happens once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use bytes::Bytes;
use common::lost;
use delivery::{Answer, Class, ErrorClass, OnUnknown, ReadBack};
use event::{EventId, PostingKey, RouteId};
use serde_json::{Value, json};
use target::{Account, Client, ClientOptions, Connector, Egress, Endpoint, Posting};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(5);

const CONNECTOR: &str = r#"
connector: keys
revision: 1
class: keyed
headers: {Content-Type: application/json}
key: {place: header, name: Idempotency-Key, window: 24h, replayed: {Idempotent-Replayed: "true"}}
errors:
  code_path: $.error.code
  message_path: $.error.message
  rules:
    - {when: {status: 503}, class: transient, outcome: not_applied}
    - {when: {status: 409}, class: in_flight, outcome: not_applied}
    - {when: {status: 422}, class: validation, outcome: not_applied}
    - {when: {transport: [timeout, reset]}, class: transient, outcome: unknown}
objects:
  invoice:
    path: /docs
    reference: {field: ref}
    lookup: {request: {send: "GET {{path}}", query: {ref: "{{ref}}"}}, items: $.records, id: $.id, compare: {$.total: $.total, $.ref: $.ref}}
    keyed: {request: "POST {{path}}", ok: [201], id: $.id, on_existing: overwrite}
    update: {request: "PUT {{path}}/{{id}}", ok: [200]}
    then:
      - {name: approve, request: "POST {{path}}/{{id}}/approve", ok: [200], done: {path: $.approved, is: true}}
      - {name: post, request: "POST {{path}}/{{id}}/post", ok: [200], done: {path: $.posted, is: true}}
"#;

/// What a request of a kind runs into when it comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The connection is cut before anything is done.
    Cut,
    /// 503, nothing is done, and nothing is stored.
    Busy,
    /// It is done, its answer is stored, and the connection is cut.
    AppliedAndLost,
    /// The connection is cut while it is still being done: the next one under its key is answered 409, and then it is done.
    InFlight,
}

const TROUBLES: [Trouble; 4] = [Trouble::Cut, Trouble::Busy, Trouble::AppliedAndLost, Trouble::InFlight];
const REQUESTS: [&str; 3] = ["create", "approve", "post"];

/// A system that stores its answers under their keys.
#[derive(Default)]
struct System {
    documents: Vec<Value>,
    /// How often each kind was really carried out.
    done: BTreeMap<&'static str, usize>,
    stored: BTreeMap<String, (u16, Value)>,
    in_flight: BTreeSet<String>,
    trouble: Option<(&'static str, Trouble)>,
    /// Kind and key of every request, in order.
    requests: Vec<(&'static str, String)>,
}

type Shared = Arc<Mutex<System>>;

impl System {
    /// One request under its key.
    fn keyed(
        &mut self,
        kind: &'static str,
        headers: &HeaderMap,
        carry_out: impl Fn(&mut Self) -> (u16, Value),
    ) -> Response {
        let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
        let key = key.expect("every write has a key");
        self.requests.push((kind, key.clone()));
        if self.in_flight.remove(&key) {
            let answer = carry_out(self);
            *self.done.entry(kind).or_default() += 1;
            self.stored.insert(key, answer); // from the next one on
            return answered(
                409,
                &json!({"error": {"code": "in_flight", "message": "the first one is being carried out"}}),
            );
        }
        if let Some((status, stored)) = self.stored.get(&key) {
            let mut answer = answered(*status, stored);
            answer.headers_mut().insert("idempotent-replayed", "true".parse().unwrap());
            return answer;
        }
        let trouble = self.trouble.take_if(|(of, _)| *of == kind).map(|(_, trouble)| trouble);
        match trouble {
            Some(Trouble::Cut) => return lost(),
            Some(Trouble::Busy) => {
                return answered(503, &json!({"error": {"code": "busy", "message": "later"}}));
            }
            Some(Trouble::InFlight) => {
                self.in_flight.insert(key);
                return lost();
            }
            Some(Trouble::AppliedAndLost) | None => {}
        }
        let (status, answer) = carry_out(self);
        *self.done.entry(kind).or_default() += 1;
        self.stored.insert(key, (status, answer.clone()));
        if trouble.is_some() { lost() } else { answered(status, &answer) }
    }

    /// The window is over: what was under way is done, and no key is known any more.
    fn forgets(&mut self) {
        self.stored.clear();
    }
}

fn answered(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(body.clone())).into_response()
}

async fn search(State(system): State<Shared>, Query(query): Query<BTreeMap<String, String>>) -> Json<Value> {
    let system = system.lock().unwrap();
    let found: Vec<&Value> = system.documents.iter().filter(|d| d["ref"] == *query["ref"]).collect();
    Json(json!({"records": found}))
}

async fn create(State(system): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    system.lock().unwrap().keyed("create", &headers, |system| {
        let mut document = body.clone();
        let id = system.documents.len() + 1;
        document["id"] = json!(id);
        system.documents.push(document);
        (201, json!({"id": id}))
    })
}

async fn change(
    State(system): State<Shared>,
    Path(id): Path<usize>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    system.lock().unwrap().keyed("change", &headers, |system| {
        system.documents[id - 1]["total"] = body["total"].clone();
        (200, json!({}))
    })
}

async fn step(
    State(system): State<Shared>,
    Path((id, name)): Path<(usize, String)>,
    headers: HeaderMap,
) -> Response {
    let (kind, field) = if name == "approve" { ("approve", "approved") } else { ("post", "posted") };
    system.lock().unwrap().keyed(kind, &headers, |system| {
        system.documents[id - 1][field] = json!(true);
        (200, json!({}))
    })
}

struct Rig {
    system: Shared,
    endpoint: Endpoint,
    client: Client,
    posting: Posting,
}

impl Rig {
    async fn new() -> Self {
        let system = Shared::default();
        let router = Router::new()
            .route("/docs", get(search).post(create))
            .route("/docs/{id}", put(change))
            .route("/docs/{id}/{step}", post(step))
            .with_state(Arc::clone(&system));
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = tokio::net::TcpListener::bind(loopback).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let values = BTreeMap::new();
        let account = Account {
            base_url: Some(&url),
            class: None,
            on_unknown: OnUnknown::Park,
            auth: None,
            values: &values,
        };
        let connector = Connector::parse("keys", CONNECTOR).unwrap();
        let endpoint = Endpoint::new(&connector, "invoice", &account).unwrap();
        let key = PostingKey { event: EventId(Uuid::from_u128(1)), route: RouteId(1), generation: 0 };
        let payload = json!({"ref": "INV-1", "total": "10.00"});
        let posting = endpoint.posting(key, "INV-1", 1, Bytes::from(payload.to_string())).unwrap();
        let client = Client::new(ClientOptions::default())
            .unwrap()
            .under(&Egress { private: true, ..Egress::default() });
        Self { system, endpoint, client, posting }
    }

    async fn send(&self, attempt: u32) -> Answer {
        self.client.send(&self.endpoint, &self.posting, (attempt, None), TIMEOUT).await
    }

    /// What the sink does once half the key's window is over: a look, then an attempt from where it stands.
    async fn look_and_go_on(&self) -> (ReadBack, Answer) {
        let (seen, standing) = self.client.read_back(&self.endpoint, &self.posting, TIMEOUT).await;
        let answer = self.client.send(&self.endpoint, &self.posting, (2, standing.as_ref()), TIMEOUT).await;
        (seen, answer)
    }

    fn breaks(&self, request: &'static str, trouble: Trouble) {
        self.system.lock().unwrap().trouble = Some((request, trouble));
    }

    /// One document, approved and posted once, each request under one key of its own.
    fn is_whole(&self, what: &str) {
        let system = self.system.lock().unwrap();
        assert_eq!(system.documents.len(), 1, "{what}");
        let document = &system.documents[0];
        assert_eq!((&document["approved"], &document["posted"]), (&json!(true), &json!(true)), "{what}");
        assert_eq!(system.done, REQUESTS.map(|of| (of, 1)).into(), "{what}: {:?}", system.requests);
        let keys: BTreeSet<&(&str, String)> = system.requests.iter().collect();
        assert_eq!(keys.len(), REQUESTS.len(), "{what}: {:?}", system.requests);
        let different: BTreeSet<&String> = keys.iter().map(|(_, key)| key).collect();
        assert_eq!(different.len(), REQUESTS.len(), "{what}: {:?}", system.requests);
    }
}

fn applied(answer: &Answer) -> bool {
    matches!(answer, Answer::Applied { document: Some(document) } if **document == *"1")
}

/// What an attempt must say that has met this: after the write, a repeat goes on behind it.
fn is_expected(answer: &Answer, request: &str, trouble: Trouble) -> bool {
    match (answer, trouble) {
        (Answer::Unknown(_), Trouble::Cut | Trouble::AppliedAndLost | Trouble::InFlight) => true,
        (Answer::Again { .. }, Trouble::Busy) => request == "create",
        (Answer::Unfinished { reason, .. }, Trouble::Busy) => {
            reason.message.contains(&format!("step `{request}` of document 1"))
        }
        _ => false,
    }
}

#[tokio::test]
async fn wherever_it_breaks_repeats_under_the_same_keys_make_one_document() {
    for (request, trouble) in REQUESTS.iter().flat_map(|request| TROUBLES.map(|trouble| (*request, trouble)))
    {
        let what = format!("{request}: {trouble:?}");
        let rig = Rig::new().await;
        assert_eq!(rig.endpoint.class(), Class::Keyed { window_ms: 86_400_000, readable: true });
        rig.breaks(request, trouble);
        let first = rig.send(1).await;
        assert!(is_expected(&first, request, trouble), "{what}: {first:?}");
        let mut second = rig.send(2).await;
        if trouble == Trouble::InFlight {
            let reason = match &second {
                Answer::Again { reason, .. } if request == "create" => reason,
                Answer::Unfinished { reason, .. } if request != "create" => reason,
                other => panic!("{what}: {other:?}"),
            };
            assert_eq!(reason.class, ErrorClass::InFlight, "{what}");
            second = rig.send(3).await;
        }
        assert!(applied(&second), "{what}: {second:?}");
        rig.is_whole(&what);
        assert!(applied(&rig.send(4).await), "{what}: once more");
        rig.is_whole(&what);
    }
}

/// The key can no longer be trusted: only a look tells, whether the system has forgotten the keys by then or not.
#[tokio::test]
async fn wherever_it_breaks_a_look_behind_the_window_goes_on_from_what_stands_there() {
    let troubles = [Trouble::Cut, Trouble::Busy, Trouble::AppliedAndLost];
    for (request, trouble) in REQUESTS.iter().flat_map(|request| troubles.map(|trouble| (*request, trouble)))
    {
        for forgets in [true, false] {
            let what = format!("{request}: {trouble:?}, {forgets}");
            let rig = Rig::new().await;
            rig.breaks(request, trouble);
            rig.send(1).await;
            if forgets {
                rig.system.lock().unwrap().forgets();
            }
            let (seen, answer) = rig.look_and_go_on().await;
            let document = Some("1".into());
            let expected = match (request, trouble) {
                ("create", Trouble::Cut | Trouble::Busy) => ReadBack::Absent,
                ("post", Trouble::AppliedAndLost) => ReadBack::Matches { document },
                _ => ReadBack::Unfinished { document },
            };
            assert_eq!(seen, expected, "{what}");
            assert!(applied(&answer), "{what}: {answer:?}");
            rig.is_whole(&what);
        }
    }
}

/// A change of a document that a look has found is no repeat of its creation: under that key the system would only say again that it was
/// created.
#[tokio::test]
async fn a_change_has_a_key_of_its_own() {
    let rig = Rig::new().await;
    rig.breaks("create", Trouble::AppliedAndLost);
    rig.send(1).await;
    rig.system.lock().unwrap().documents[0]["total"] = json!("11.00"); // by hand
    let (seen, answer) = rig.look_and_go_on().await;
    assert_eq!(seen, ReadBack::Differs { document: Some("1".into()) });
    assert!(applied(&answer), "{answer:?}");
    let system = rig.system.lock().unwrap();
    assert_eq!(system.documents[0]["total"], json!("10.00"));
    assert_eq!(system.done, [("approve", 1), ("change", 1), ("create", 1), ("post", 1)].into());
}
