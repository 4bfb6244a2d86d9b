//! Documents whose lines are requests of their own, against a system that makes a line as often as it is asked: wherever it breaks,
//! each line is there once.

#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use common::{Shared, Trouble, start};
use delivery::{Answer, ErrorClass, OnUnknown, ReadBack, Scope};
use event::{EventId, PostingKey, RouteId};
use serde_json::{Value, json};
use target::{Account, Client, ClientOptions, Connector, Egress, Endpoint, Posting};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(5);

const CONNECTOR: &str = r#"
connector: small
revision: 1
class: upsert
headers: {Content-Type: application/json}
errors:
  code_path: $.error.code
  message_path: $.error.message
  rules:
    - {when: {status: 503}, class: transient, outcome: not_applied}
    - {when: {code: undone}, class: transient, outcome: not_applied}
    - {when: {status: 422}, class: validation, outcome: not_applied}
    - {when: {transport: [timeout, reset]}, class: transient, outcome: unknown}
objects:
  order:                           # one line at a time; what is there is never changed
    path: /docs
    lookup: &lookup {request: {send: "GET {{path}}", query: {ref: "{{ref}}"}}, items: $.records, id: $.id}
    create: &create {request: "POST {{path}}", ok: [201], id: $.id, on_existing: verify}
    then:
      - name: lines
        each:
          list: lines
          found: {request: "GET {{path}}/{{id}}/lines", items: $.lines, by: {$.no: $.no}, compare: {$.item: $.item}, more: $.next}
        request: {send: "POST {{path}}/{{id}}/lines", body: {$merge: ["{{each}}", {order: "{{ref}}"}]}}
        ok: [201]
      - {name: post, request: "POST {{path}}/{{id}}/post", ok: [200], done: {path: $.state, is: posted}}
  basket:                          # two lines at a time, written over and removed
    path: /docs
    lookup: *lookup
    create: {request: "POST {{path}}", ok: [201], id: $.id, on_existing: overwrite}
    update: {request: {send: "PUT {{path}}/{{id}}"}, ok: [200]}
    lookup_first: always
    then:
      - name: lines
        each:
          list: lines
          found: {request: "GET {{path}}/{{id}}/lines", items: $.lines, id: $.id, by: {$.no: $.no}, compare: {$.item: $.item}}
          on_existing: overwrite
          at_once: 2
          item: {$merge: ["{{each}}", {basket: "{{ref}}"}]}
          answers: {at: $, applied: {path: $.success, is: true}, status: 422}
          remove: {request: "DELETE /lines/{{id}}", ok: [204]}
        request: {send: "POST {{path}}/{{id}}/lines/many", body: {lines: "{{items}}"}}
        ok: [200]
  cart:                            # what is there is changed by its own id
    path: /docs
    lookup: *lookup
    create: {request: "POST {{path}}", ok: [201], id: $.id, on_existing: overwrite}
    update: {request: {send: "PUT {{path}}/{{id}}"}, ok: [200]}
    lookup_first: always
    then:
      - name: lines
        each:
          list: lines
          found: {request: "GET {{path}}/{{id}}/lines", items: $.lines, id: $.id, by: {$.no: $.no}, compare: {$.item: $.item}}
          on_existing: overwrite
          change: {request: {send: "PUT /lines/{{id}}", body: "{{each}}"}, ok: [200]}
        request: {send: "POST {{path}}/{{id}}/lines", body: "{{each}}"}
        ok: [201]
  party:
    lookup: {request: {send: "GET /parties", query: {code: "{{ref}}"}}, items: $.records, id: $.id}
"#;

struct Rig {
    world: Shared,
    endpoint: Endpoint,
    client: Client,
}

fn endpoint(object: &str, url: &str) -> Endpoint {
    let connector = Connector::parse("small", CONNECTOR).unwrap();
    let values = BTreeMap::new();
    let account = Account {
        base_url: Some(url),
        class: None,
        on_unknown: OnUnknown::Park,
        auth: None,
        values: &values,
    };
    Endpoint::new(&connector, object, &account).unwrap()
}

impl Rig {
    async fn new(object: &str) -> Self {
        let (world, url) = start().await;
        let egress = Egress { private: true, ..Egress::default() };
        let client = Client::new(ClientOptions::default()).unwrap().under(&egress);
        Self { world, endpoint: endpoint(object, &url), client }
    }

    fn posting(&self, payload: &Value) -> Posting {
        let key = PostingKey { event: EventId(Uuid::from_u128(1)), route: RouteId(1), generation: 0 };
        self.endpoint.posting(key, "ORD-1", 3, Bytes::from(payload.to_string())).unwrap()
    }

    async fn send(&self, posting: &Posting, attempt: u32) -> Answer {
        self.client.send(&self.endpoint, posting, (attempt, None), TIMEOUT).await
    }

    async fn look(&self, posting: &Posting) -> ReadBack {
        self.client.read_back(&self.endpoint, posting, TIMEOUT).await.0
    }

    /// A look, then an attempt from where it stands: what the sink does about an unknown outcome.
    async fn look_and_go_on(&self, posting: &Posting) -> (ReadBack, Answer) {
        let (seen, standing) = self.client.read_back(&self.endpoint, posting, TIMEOUT).await;
        (seen, self.client.send(&self.endpoint, posting, (2, standing.as_ref()), TIMEOUT).await)
    }

    /// Number and item of each line, in order of their numbers.
    fn lines(&self) -> Vec<(u64, String)> {
        let world = self.world.lock().unwrap();
        let text = |line: &Value| (line["no"].as_u64().unwrap(), line["item"].as_str().unwrap().to_owned());
        let mut lines: Vec<_> = world.lines.iter().map(text).collect();
        lines.sort();
        lines
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.world.lock().unwrap().requests)
    }

    fn trouble(&self, troubles: impl IntoIterator<Item = Option<Trouble>>) {
        self.world.lock().unwrap().line.extend(troubles);
    }
}

fn order(items: &[&str]) -> Value {
    let lines: Vec<Value> =
        items.iter().enumerate().map(|(at, item)| json!({"no": at + 1, "item": item})).collect();
    json!({"ref": "ORD-1", "total": "10.00", "lines": lines})
}

fn is_applied(answer: &Answer) -> bool {
    matches!(answer, Answer::Applied { document: Some(document) } if **document == *"1")
}

fn three() -> Vec<(u64, String)> {
    [(1, "a"), (2, "b"), (3, "c")].map(|(no, item)| (no, item.to_owned())).to_vec()
}

#[tokio::test]
async fn a_document_gets_its_lines_and_what_follows_them() {
    let rig = Rig::new("order").await;
    let one = rig.posting(&order(&["a", "b", "c"]));
    assert!(is_applied(&rig.send(&one, 1).await));
    assert_eq!(
        rig.requests(),
        ["create", "line 1", "line 2", "line 3", "post"],
        "a new one has no lines to look for"
    );
    assert_eq!(rig.lines(), three());
    {
        let world = rig.world.lock().unwrap();
        assert_eq!(world.documents[0].get("lines"), None, "the lines are no part of the document");
        assert_eq!(world.lines[0]["order"], json!("ORD-1"));
    }
    assert_eq!(rig.look(&one).await, ReadBack::Matches { document: Some("1".into()) });
    assert_eq!(rig.requests(), ["search", "lines"]);
}

#[tokio::test]
async fn wherever_it_breaks_each_line_is_there_once() {
    use Trouble::{AppliedAndLost, Busy};
    for (at, trouble) in (0..3).flat_map(|at| [(at, AppliedAndLost), (at, Busy)]) {
        let rig = Rig::new("order").await;
        rig.trouble((0..at).map(|_| None).chain([Some(trouble)]));
        let one = rig.posting(&order(&["a", "b", "c"]));
        let first = rig.send(&one, 1).await;
        match (trouble, &first) {
            (AppliedAndLost, Answer::Unknown(reason)) | (Busy, Answer::Unfinished { reason, .. }) => {
                assert!(reason.message.contains("step `lines` of document 1"), "{reason:?}");
            }
            _ => panic!("{at} {trouble:?}: {first:?}"),
        }
        let (seen, second) = rig.look_and_go_on(&one).await;
        assert_eq!(seen, ReadBack::Unfinished { document: Some("1".into()) }, "{at} {trouble:?}");
        assert!(is_applied(&second), "{at} {trouble:?}: {second:?}");
        assert_eq!(rig.lines(), three(), "{at} {trouble:?}");
        assert_eq!(rig.world.lock().unwrap().documents[0]["state"], "posted");
    }
}

/// The process is killed, and another one begins anew.
#[tokio::test]
async fn a_repeat_without_a_standing_looks_for_document_and_lines() {
    let rig = Rig::new("order").await;
    rig.trouble([None, Some(Trouble::AppliedAndLost)]);
    let one = rig.posting(&order(&["a", "b", "c"]));
    rig.send(&one, 1).await;
    rig.requests();
    assert!(is_applied(&rig.send(&one, 2).await));
    assert_eq!(rig.requests(), ["search", "lines", "lines", "line 3", "post"]);
    assert_eq!(rig.lines(), three());
}

#[tokio::test]
async fn a_line_that_is_refused_is_for_a_person_and_goes_on_later() {
    let rig = Rig::new("order").await;
    rig.trouble([None, Some(Trouble::Refused)]);
    let one = rig.posting(&order(&["a", "b", "c"]));
    let Answer::Stuck(reason) = rig.send(&one, 1).await else { panic!() };
    assert!(reason.message.contains("step `lines` of document 1: no_such_item"), "{reason:?}");
    assert_eq!(rig.lines().len(), 1);
    assert!(is_applied(&rig.send(&one, 2).await));
    assert_eq!(rig.lines(), three());
}

#[tokio::test]
async fn lines_of_another_hand_are_not_touched_and_told() {
    let rig = Rig::new("order").await;
    let one = rig.posting(&order(&["a", "b"]));
    assert!(is_applied(&rig.send(&one, 1).await));
    let differs = ReadBack::Differs { document: Some("1".into()) };
    assert_eq!(rig.look(&rig.posting(&order(&["a", "x"]))).await, differs, "another item");
    assert_eq!(rig.look(&rig.posting(&order(&["a"]))).await, differs, "a line too many");
    let more = rig.posting(&order(&["a", "b", "c"]));
    assert_eq!(rig.look(&more).await, ReadBack::Unfinished { document: Some("1".into()) });
    rig.world.lock().unwrap().lines.push(json!({"id": 9, "document": 1, "no": 2, "item": "b"}));
    assert_eq!(rig.look(&one).await, ReadBack::Several, "a line that is there twice");
}

#[tokio::test]
async fn lines_that_cannot_be_told_apart_are_refused_before_anything_is_written() {
    let rig = Rig::new("order").await;
    let twice = json!({"ref": "ORD-1", "lines": [{"no": 1, "item": "a"}, {"no": 1, "item": "b"}]});
    let Answer::Refused(reason) = rig.send(&rig.posting(&twice), 1).await else { panic!() };
    assert_eq!((reason.class, &*reason.code), (ErrorClass::Validation, "SNK-0018"));
    assert!(reason.message.contains("`lines[1]` of the payload is there twice"), "{reason:?}");
    assert_eq!(rig.requests(), [""; 0]);
}

#[tokio::test]
async fn what_lines_refer_to_is_there_before_the_document_is_made() {
    let rig = Rig::new("order").await;
    let payload = json!({"ref": "ORD-1", "party": {"$lookup": "party", "ref": "C-1"},
        "lines": [{"no": 1, "item": {"$lookup": "party", "ref": "P-1"}}]});
    let one = rig.posting(&payload);
    rig.world.lock().unwrap().parties.push(json!({"code": "C-1", "id": 42}));
    let Answer::Again { reason, scope: Scope::Lane, .. } = rig.send(&one, 1).await else { panic!() };
    assert!(reason.message.contains("party `P-1` is not at the target"), "{reason:?}");
    assert!(rig.world.lock().unwrap().documents.is_empty());
    rig.world.lock().unwrap().parties.push(json!({"code": "P-1", "id": "the item"}));
    assert!(is_applied(&rig.send(&one, 1).await));
    assert_eq!(rig.lines(), [(1, "the item".to_owned())]);
    assert_eq!(rig.look(&one).await, ReadBack::Matches { document: Some("1".into()) });
}

#[tokio::test]
async fn several_go_out_at_once_are_written_over_and_removed() {
    let rig = Rig::new("basket").await;
    assert!(is_applied(&rig.send(&rig.posting(&order(&["a", "b", "c"])), 1).await));
    assert_eq!(rig.requests(), ["search", "create", "lines 1 2", "lines 3"]);
    assert_eq!(rig.world.lock().unwrap().lines[0]["basket"], json!("ORD-1"));
    let changed = rig.posting(&order(&["a", "x"]));
    assert!(is_applied(&rig.send(&changed, 1).await));
    assert_eq!(
        rig.requests(),
        ["search", "lines", "lines", "remove 3", "lines 2"],
        "what is right stays as it is"
    );
    assert_eq!(rig.lines(), [(1, "a".to_owned()), (2, "x".to_owned())]);
    assert_eq!(rig.look(&changed).await, ReadBack::Matches { document: Some("1".into()) });
}

#[tokio::test]
async fn a_line_is_changed_by_its_own_id_and_one_too_many_is_told() {
    let rig = Rig::new("cart").await;
    assert!(is_applied(&rig.send(&rig.posting(&order(&["a", "b"])), 1).await));
    rig.requests();
    assert!(is_applied(&rig.send(&rig.posting(&order(&["a", "x", "c"])), 1).await));
    assert_eq!(rig.requests(), ["search", "lines", "lines", "change 2", "line 3"]);
    assert_eq!(rig.lines(), [(1, "a".to_owned()), (2, "x".to_owned()), (3, "c".to_owned())]);
    let Answer::Stuck(reason) = rig.send(&rig.posting(&order(&["a", "x"])), 1).await else { panic!() };
    assert!(
        reason.message.contains("the target has 1 of `lines` that the posting does not have"),
        "{reason:?}"
    );
    assert_eq!(rig.lines().len(), 3, "nothing says how one is removed");
}

#[tokio::test]
async fn of_several_the_one_that_was_refused_tells_why() {
    let rig = Rig::new("basket").await;
    rig.trouble([Some(Trouble::Refused)]);
    let one = rig.posting(&order(&["a", "b", "c"]));
    let Answer::Stuck(reason) = rig.send(&one, 1).await else { panic!() };
    assert!(reason.message.contains("no_such_item"), "not that the first was undone: {reason:?}");
    rig.trouble([Some(Trouble::AppliedAndLost)]);
    assert!(matches!(rig.send(&one, 2).await, Answer::Unknown(_)));
    let (seen, answer) = rig.look_and_go_on(&one).await;
    assert_eq!(seen, ReadBack::Unfinished { document: Some("1".into()) });
    assert!(is_applied(&answer), "{answer:?}");
    assert_eq!(rig.lines(), three());
}

/// Under keys nothing is looked for: each request has one that its repeat has too.
#[test]
fn each_line_has_a_key_of_its_own() {
    let keyed = CONNECTOR
        .replace("class: upsert", "class: keyed\nkey: {place: header, name: Idempotency-Key, window: 24h}")
        .replace("create: &create", "keyed: &create");
    let connector = Connector::parse("small", &keyed).unwrap();
    let endpoint = target::cases::endpoint(&connector, "order", None, &BTreeMap::new()).unwrap();
    let key = PostingKey { event: EventId(Uuid::from_u128(1)), route: RouteId(1), generation: 0 };
    let one = endpoint.posting(key, "ORD-1", 3, order(&["a", "b"]).to_string().into()).unwrap();
    let sent = endpoint.preview(&one, "1", "").unwrap();
    let keys: Vec<(&str, Option<&str>)> = sent
        .iter()
        .map(|one| {
            let key = one.headers.iter().find(|(name, _)| name == "idempotency-key");
            (&*one.request, key.map(|(_, key)| key.strip_prefix(&key[..36]).unwrap()))
        })
        .collect();
    let expected = [
        ("lookup", None),
        ("write", Some("")),
        ("lines.found", None),
        ("lines", Some("-lines-1")),
        ("lines", Some("-lines-2")),
        ("post", Some("-post")),
    ];
    assert_eq!(keys, expected);
    let several = CONNECTOR
        .replace("class: upsert", "class: keyed\nkey: {place: header, name: Idempotency-Key, window: 24h}")
        .replace("create: {request", "keyed: {request");
    let connector = Connector::parse("small", &several).unwrap();
    let error = target::cases::endpoint(&connector, "basket", None, &BTreeMap::new()).unwrap_err();
    assert!(error.contains("class keyed needs a key for each element"), "{error}");
}

#[test]
fn what_a_step_for_each_cannot_be_is_said() {
    let made = |from: &str, to: &str, object: &str| {
        assert!(CONNECTOR.contains(from), "{from}");
        let connector =
            Connector::parse("small", &CONNECTOR.replacen(from, to, 1)).map_err(|e| e.to_string())?;
        let values = BTreeMap::new();
        let account = Account {
            base_url: Some("http://erp.example"),
            class: None,
            on_unknown: OnUnknown::Park,
            auth: None,
            values: &values,
        };
        Endpoint::new(&connector, object, &account).map(drop).map_err(|e| e.to_string())
    };
    let says = |from: &str, to: &str, object: &str, what: &str| {
        let error = made(from, to, object).unwrap_err();
        assert!(error.contains(what), "{error}");
    };
    says(
        "        ok: [201]\n",
        "        ok: [201]\n        done: {path: $.x}\n",
        "order",
        "step `lines`: it has either `done` or `each`",
    );
    says(", done: {path: $.state, is: posted}", "", "order", "step `post`: it has either `done` or `each`");
    says("POST {{path}}/{{id}}/post", "POST {{path}}/{{each}}/post", "order", "{{each}}");
    says("GET {{path}}/{{id}}/lines", "GET {{path}}/{{each.no}}/lines", "order", "there and in `change`");
    assert_eq!(made("x", "x", "order"), Ok(()));
}
