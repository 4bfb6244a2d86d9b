//! A definition of such a system, and a client of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use delivery::{Answer, OnUnknown, ReadBack, Reason};
use event::{EventId, PostingKey, RouteId};
use serde_json::{Value, json};
use target::{
    Account, Authenticator, ClassChoice, Client, ClientOptions, Connector, Egress, Endpoint, Posting,
};
use uuid::Uuid;

use crate::server::{Shared, World, start};

pub const TIMEOUT: Duration = Duration::from_secs(10);
/// For what is not to end in time.
pub const SHORT: Duration = Duration::from_secs(1);

pub const CONNECTOR: &str = r#"
connector: queue
revision: 1
class: keyed
headers: {Content-Type: application/json}
key: {place: header, name: X-Key, window: 24h}
errors:
  code_path: $.error.code
  message_path: $.error.message
  in_ok: $.error
  rules:
    - {when: {status: 401}, class: auth_expired, outcome: not_applied}
    - {when: {status: 429}, class: throttled, outcome: not_applied}
    - {when: {status: 503}, class: transient, outcome: not_applied}
    - {when: {code: locked}, class: lock_contention, outcome: not_applied}
    - {when: {status: 422}, class: validation, outcome: not_applied}
    - {when: {status: 404}, class: not_found, outcome: not_applied}
    - {when: {transport: [timeout, reset]}, class: transient, outcome: unknown}
objects:
  invoice: &invoice
    path: /docs
    lookup: {request: "GET {{path}}/{{ref}}", found: 200, absent: 404, id: $.id, compare: {$.total: $.total}}
    keyed:
      request: {send: "PUT {{path}}/{{ref}}", headers: {Prefer: respond-async}}
      ok: [200]
      id: $.id
      job:
        at: header.Location
        earlier: {when: {status: 400, code: known_key}}
        request: "GET /jobs/{{job}}"
        every: 50ms
        done: {path: $.state, is: done}
        failed: {path: $.state, is: failed}
        task: {request: "GET /jobs/{{job}}/task", at: "$.items[0].href"}
        result: "GET /jobs/{{job}}/task/{{task}}/result"
        within: 5m
    upsert: &upsert
      request: "PUT {{path}}/{{ref}}"
      ok: [200]
      id: $.id
      job: &job
        at: header.Location
        request: "GET /jobs/{{job}}"
        every: 50ms
        done: {path: $.state, is: done}
        failed: {path: $.state, is: failed}
        task: {request: "GET /jobs/{{job}}/task", at: "$.items[0].href"}
        result: "GET /jobs/{{job}}/task/{{task}}/result"
        within: 5m
    create: *upsert
  posted:
    path: /docs
    lookup: {request: "GET {{path}}/{{ref}}", found: 200, absent: 404, id: $.id, compare: {$.total: $.total}}
    upsert: *upsert
    then:
      - {name: post, request: "POST {{path}}/{{id}}/post", ok: [200], done: {path: $.state, is: posted}}
  changed:
    path: /docs
    lookup: {request: "GET {{path}}/{{ref}}", found: 200, absent: 404, id: $.id, compare: {$.total: $.total}}
    lookup_first: always
    create: {request: "PUT {{path}}/{{ref}}", ok: [200], id: $.id}
    update: {request: "PATCH {{path}}/{{id}}", ok: [200], job: *job}
"#;

pub struct Rig {
    pub world: Shared,
    pub url: String,
    pub endpoint: Endpoint,
    pub client: Client,
}

impl Rig {
    pub async fn new(class: ClassChoice) -> Self {
        Self::of(CONNECTOR, "invoice", class).await
    }

    pub async fn of(definition: &str, object: &str, class: ClassChoice) -> Self {
        Self::with(&client(), definition, object, class).await
    }

    pub async fn with(client: &Client, definition: &str, object: &str, class: ClassChoice) -> Self {
        let (world, url) = start().await;
        let endpoint = endpoint(definition, &url, object, class).unwrap();
        Self { world, url, endpoint, client: client.clone() }
    }

    pub fn told(&self, tell: impl FnOnce(&mut World)) -> &Self {
        tell(&mut self.world.lock().unwrap());
        self
    }

    pub async fn send(&self, attempt: u32, timeout: Duration) -> Answer {
        let one = posting(&self.endpoint, &json!({"total": "10.00"}));
        self.client.send(&self.endpoint, &one, (attempt, None), timeout).await
    }

    pub async fn look(&self) -> ReadBack {
        let one = posting(&self.endpoint, &json!({"total": "10.00"}));
        self.client.read_back(&self.endpoint, &one, TIMEOUT).await.0
    }

    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.world.lock().unwrap().requests)
    }

    pub fn writes(&self) -> u32 {
        self.world.lock().unwrap().writes
    }

    pub fn submits(&self) -> usize {
        let world = self.world.lock().unwrap();
        world.requests.iter().filter(|one| one.starts_with("submit")).count()
    }
}

pub fn client() -> Client {
    let client = Client::new(ClientOptions::default()).unwrap();
    client.under(&Egress { private: true, ..Egress::default() })
}

pub fn endpoint(definition: &str, url: &str, object: &str, class: ClassChoice) -> Result<Endpoint, String> {
    signed(definition, (url, object, class), None)
}

pub fn signed(
    definition: &str,
    (url, object, class): (&str, &str, ClassChoice),
    auth: Option<&Arc<Authenticator>>,
) -> Result<Endpoint, String> {
    let connector = Connector::parse("queue", definition).map_err(|error| format!("{error:?}"))?;
    let values = BTreeMap::new();
    let account = Account {
        base_url: Some(url),
        class: Some(class),
        on_unknown: OnUnknown::Park,
        auth,
        values: &values,
    };
    Endpoint::new(&connector, object, &account).map_err(|error| error.to_string())
}

pub fn posting(endpoint: &Endpoint, payload: &Value) -> Posting {
    let key = PostingKey { event: EventId(Uuid::from_u128(1)), route: RouteId(1), generation: 0 };
    endpoint.posting(key, "INV-1", 3, Bytes::from(payload.to_string())).unwrap()
}

pub fn applied(answer: &Answer) -> bool {
    matches!(answer, Answer::Applied { document: Some(document) } if **document == *"D-INV-1")
}

pub fn unknown(answer: Answer) -> Reason {
    match answer {
        Answer::Unknown(reason) => reason,
        other => panic!("{other:?}"),
    }
}

pub fn error(code: &str) -> Value {
    json!({"error": {"code": code, "message": "no"}})
}
