//! Operations of several requests against a system that creates without asking: nothing is doubled, nothing is left half done.

#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use common::{Shared, Trouble, start};
use delivery::{Answer, Class, ErrorClass, OnUnknown, ReadBack, Scope};
use event::{EventId, PostingKey, RouteId};
use serde_json::json;
use target::{Account, Client, ClientOptions, Connector, Egress, Endpoint, Posting};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(5);

const CONNECTOR: &str = r#"
connector: small
revision: 3
class: upsert
connection: {company: {help: "the company", default: "7"}}
headers: {Content-Type: application/json, X-Company: "{{conn.company}}"}
errors:
  code_path: $.error.code
  message_path: $.error.message
  rules:
    - {when: {status: 503}, class: transient, outcome: not_applied}
    - {when: {status: 400, code: already_posted}, class: already_accepted, outcome: applied}
    - {when: {status: 412}, class: stale, outcome: not_applied}
    - {when: {status: 422}, class: validation, outcome: not_applied}
    - {when: {transport: [timeout, reset]}, class: transient, outcome: unknown}
objects:
  invoice:
    path: /docs
    reference: {field: ref, max_len: 20, chars: "-_"}
    lookup:
      request: {send: "GET {{path}}", query: {ref: "{{ref}}"}}
      items: $.records
      id: $.id
      compare: {$.total: $.total}
    create: {request: "POST {{path}}", ok: [201], id: $.id}
    then:
      - {name: post, request: "POST {{path}}/{{id}}/post", ok: [200], done: {path: $.state, is: posted}}
  note:
    path: /docs
    lookup: {request: {send: "GET {{path}}", query: {ref: "{{ref}}"}}, items: $.records, id: $.id, version: $.version, compare: {$.total: $.total}}
    create: {request: "POST {{path}}", ok: [201], id: $.id, on_existing: patch_if_unchanged}
    update: {request: {send: "PUT {{path}}/{{id}}", headers: {If-Match: "{{version}}"}, body: {total: "{{payload.total}}"}}, ok: [200]}
    lookup_first: always
  whole:
    path: /docs
    lookup: {request: {send: "GET {{path}}", query: {ref: "{{ref}}"}}, items: $.records, id: $.id, compare: {$.total: $.total, $.ref: $.ref}}
    create: {request: "POST {{path}}", ok: [201], id: $.id, on_existing: overwrite}
    update: {request: {send: "PUT {{path}}/{{id}}", body: {total: "{{payload.total}}"}}, ok: [200]}
    lookup_first: always
  kept:
    path: /docs
    lookup: {request: {send: "GET {{path}}", query: {ref: "{{ref}}"}}, items: $.records, id: $.id, compare: {$.total: $.total}}
    create: {request: "POST {{path}}", ok: [201], id: $.id, on_existing: skip}
    lookup_first: always
  party:
    lookup: {request: {send: "GET /parties", query: {code: "{{ref}}"}}, items: $.records, id: $.id}
    create: {request: "POST /parties", ok: [201]}
"#;

fn endpoint(definition: &str, url: &str, object: &str) -> Endpoint {
    let connector = Connector::parse("small", definition).unwrap();
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

fn posting(endpoint: &Endpoint, payload: &serde_json::Value) -> Posting {
    let key = PostingKey { event: EventId(Uuid::from_u128(1)), route: RouteId(1), generation: 0 };
    endpoint.posting(key, "INV-1", 3, Bytes::from(payload.to_string())).unwrap()
}

struct Rig {
    world: Shared,
    endpoint: Endpoint,
    client: Client,
}

impl Rig {
    async fn new(object: &str) -> Self {
        Self::of(CONNECTOR, object).await
    }

    async fn of(definition: &str, object: &str) -> Self {
        let (world, url) = start().await;
        let client = Client::new(ClientOptions::default())
            .unwrap()
            .under(&Egress { private: true, ..Egress::default() });
        Self { world, endpoint: endpoint(definition, &url, object), client }
    }

    async fn send(&self, posting: &Posting, attempt: u32) -> Answer {
        self.client.send(&self.endpoint, posting, (attempt, None), TIMEOUT).await
    }

    /// A look, then an attempt from where it stands: what the sink does about an unknown outcome.
    async fn look_and_go_on(&self, posting: &Posting) -> (ReadBack, Answer) {
        let (seen, standing) = self.client.read_back(&self.endpoint, posting, TIMEOUT).await;
        let answer = self.client.send(&self.endpoint, posting, (2, standing.as_ref()), TIMEOUT).await;
        (seen, answer)
    }

    fn states(&self) -> Vec<String> {
        let world = self.world.lock().unwrap();
        world.documents.iter().map(|d| d["state"].as_str().unwrap().to_owned()).collect()
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.world.lock().unwrap().requests)
    }
}

fn applied(answer: &Answer, id: &str) -> bool {
    matches!(answer, Answer::Applied { document: Some(document) } if **document == *id)
}

#[tokio::test]
async fn a_document_is_created_and_posted() {
    let rig = Rig::new("invoice").await;
    assert_eq!(rig.endpoint.class(), Class::Upsert);
    assert!(rig.endpoint.needs_own_intent(), "a repeat of a create does harm");
    let one = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "10.00"}));
    let answer = rig.send(&one, 1).await;
    assert!(applied(&answer, "1"), "{answer:?}");
    assert_eq!(rig.states(), ["posted"]);
    assert_eq!(rig.requests(), ["create", "post"]);
    let (seen, _) = rig.client.read_back(&rig.endpoint, &one, TIMEOUT).await;
    assert_eq!(seen, ReadBack::Matches { document: Some("1".into()) });
}

#[tokio::test]
async fn wherever_it_breaks_one_posted_document_comes_of_it() {
    type Break = fn(&mut common::World);
    let breaks: [(&str, Break); 4] = [
        ("create, answer lost", |w| w.create.push_back(Trouble::AppliedAndLost)),
        ("create, not applied", |w| w.create.push_back(Trouble::Busy)),
        ("post, answer lost", |w| w.post.push_back(Trouble::AppliedAndLost)),
        ("post, not applied", |w| w.post.push_back(Trouble::Busy)),
    ];
    for (what, breaks) in breaks {
        let rig = Rig::new("invoice").await;
        breaks(&mut rig.world.lock().unwrap());
        let one = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "10.00"}));
        let first = rig.send(&one, 1).await;
        match (what, &first) {
            ("create, not applied", Answer::Again { scope: Scope::Lane, .. }) => {}
            ("post, not applied", Answer::Unfinished { reason, .. }) => {
                assert!(reason.message.contains("step `post` of document 1"), "{reason:?}");
            }
            (_, Answer::Unknown(_)) if what.ends_with("lost") => {}
            _ => panic!("{what}: {first:?}"),
        }
        let (seen, second) = rig.look_and_go_on(&one).await;
        let expected = match what {
            "create, not applied" => ReadBack::Absent,
            "post, answer lost" => ReadBack::Matches { document: Some("1".into()) },
            _ => ReadBack::Unfinished { document: Some("1".into()) },
        };
        assert_eq!(seen, expected, "{what}");
        assert!(applied(&second, "1"), "{what}: {second:?}");
        assert_eq!(rig.states(), ["posted"], "{what}");
    }
}

#[tokio::test]
async fn a_repeat_looks_before_it_creates() {
    let rig = Rig::new("invoice").await;
    rig.world.lock().unwrap().create.push_back(Trouble::AppliedAndLost);
    let one = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "10.00"}));
    rig.send(&one, 1).await;
    let answer = rig.send(&one, 2).await; // as after a look that came too early
    assert!(applied(&answer, "1"), "{answer:?}");
    assert_eq!(rig.states(), ["posted"]);
    assert_eq!(rig.requests(), ["create", "search", "post"]);
}

#[tokio::test]
async fn a_refused_step_is_for_a_person_to_see_and_goes_on_later() {
    let rig = Rig::new("invoice").await;
    rig.world.lock().unwrap().post.push_back(Trouble::Refused);
    let one = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "10.00"}));
    let Answer::Stuck(reason) = rig.send(&one, 1).await else { panic!() };
    assert!(reason.message.contains("step `post` of document 1: closed_period"), "{reason:?}");
    let answer = rig.send(&one, 2).await; // an operator has opened the period
    assert!(applied(&answer, "1"), "{answer:?}");
    assert_eq!(rig.states(), ["posted"]);
}

#[tokio::test]
async fn a_refused_write_is_refused_and_two_documents_are_several() {
    let rig = Rig::new("invoice").await;
    rig.world.lock().unwrap().create.push_back(Trouble::Refused);
    let one = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "10.00"}));
    assert!(matches!(rig.send(&one, 1).await, Answer::Refused(r) if r.class == ErrorClass::Validation));
    rig.send(&one, 1).await;
    rig.send(&one, 1).await;
    assert_eq!(rig.client.read_back(&rig.endpoint, &one, TIMEOUT).await.0, ReadBack::Several);
}

#[tokio::test]
async fn references_are_looked_up_once_and_missing_ones_are_waited_for() {
    let rig = Rig::new("invoice").await;
    let payload = json!({"ref": "INV-1", "total": "10.00", "party": {"$lookup": "party", "ref": "C-1"}});
    let one = posting(&rig.endpoint, &payload);
    let Answer::Again { reason, scope: Scope::Lane, .. } = rig.send(&one, 1).await else { panic!() };
    assert_eq!((reason.class, &*reason.code), (ErrorClass::MissingReference, "SNK-0007"));
    assert!(reason.message.contains("party `C-1` is not at the target"), "{reason:?}");
    rig.world.lock().unwrap().parties.push(json!({"code": "C-1", "id": 42}));
    assert!(applied(&rig.send(&one, 1).await, "1"));
    assert_eq!(rig.world.lock().unwrap().documents[0]["party"], json!(42), "its type is kept");
    rig.requests();
    rig.send(&one, 1).await;
    assert_eq!(rig.requests(), ["create", "post"], "the reference is remembered");
    let unknown = json!({"party": {"$lookup": "supplier", "ref": "S-1"}});
    let Answer::Refused(reason) = rig.send(&posting(&rig.endpoint, &unknown), 1).await else { panic!() };
    assert_eq!(&*reason.code, "SNK-0018");
}

#[tokio::test]
async fn a_change_that_comes_too_late_is_looked_at_again() {
    let rig = Rig::new("note").await;
    let first = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "1.00"}));
    assert!(applied(&rig.send(&first, 1).await, "1"));
    assert_eq!(rig.requests(), ["search", "create"]);
    let changed = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "2.00"}));
    rig.world.lock().unwrap().update.push_back(Trouble::Overtaken);
    let answer = rig.send(&changed, 1).await;
    assert!(
        matches!(&answer, Answer::Unfinished { reason, .. } if reason.class == ErrorClass::Stale),
        "{answer:?}"
    );
    let (seen, answer) = rig.look_and_go_on(&changed).await;
    assert_eq!(seen, ReadBack::Differs { document: Some("1".into()) });
    assert!(applied(&answer, "1"), "{answer:?}");
    let document = rig.world.lock().unwrap().documents[0].clone();
    assert_eq!((&document["total"], &document["note"]), (&json!("2.00"), &json!("by hand")));
}

/// A look that compares a part sees no difference where there may be one: a change of the rest would count as made.
#[tokio::test]
async fn what_is_not_compared_whole_is_written_again() {
    let payload = json!({"ref": "INV-1", "total": "1.00"});
    for (object, requests) in [("note", &["search", "update"][..]), ("whole", &["search"])] {
        let rig = Rig::new(object).await;
        let one = posting(&rig.endpoint, &payload);
        assert!(applied(&rig.send(&one, 1).await, "1"));
        rig.requests();
        assert!(applied(&rig.send(&one, 1).await, "1"));
        assert_eq!(rig.requests(), requests, "{object}");
        let (seen, answer) = rig.look_and_go_on(&one).await;
        assert_eq!(matches!(seen, ReadBack::Differs { .. }), object == "note", "{object}: {seen:?}");
        assert!(applied(&answer, "1"), "{answer:?}");
        assert_eq!(rig.states(), ["draft"], "{object}: one document");
    }
}

#[tokio::test]
async fn a_reference_with_a_condition_is_looked_up_anew_and_refuses_before_anything_is_sent() {
    let rig = Rig::new("invoice").await;
    let of = json!({"$lookup": "party", "ref": "C-1", "if": {"$.left": 100}, "done": {"$.left": 0}});
    let one = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "1.00", "party": of.clone()}));
    rig.world.lock().unwrap().parties.push(json!({"code": "C-1", "id": 42, "left": 40}));
    let Answer::Refused(reason) = rig.send(&one, 1).await else { panic!() };
    assert!(reason.message.contains("party `C-1` says 40 at `$.left`"), "{reason:?}");
    assert_eq!(rig.requests(), ["party"]);
    // Of a repeat nobody can say that it was not applied before.
    assert!(matches!(rig.send(&one, 2).await, Answer::Stuck(_)));
    rig.world.lock().unwrap().parties[0]["left"] = json!("100.00");
    assert!(applied(&rig.send(&one, 1).await, "1"));
    assert_eq!(rig.requests()[2..], ["party", "create", "post"], "it is not remembered");
    let done = Rig::new("invoice").await;
    done.world.lock().unwrap().parties.push(json!({"code": "C-1", "id": 42, "left": 0}));
    let one = posting(&done.endpoint, &json!({"ref": "INV-1", "total": "1.00", "party": of}));
    assert!(applied(&done.send(&one, 1).await, "1"), "the target says whether it was ours");
}

#[tokio::test]
async fn a_document_that_is_skipped_stays_as_the_first_look_finds_it() {
    let rig = Rig::new("kept").await;
    let first = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "1.00"}));
    assert!(applied(&rig.send(&first, 1).await, "1"));
    assert_eq!(rig.requests(), ["search", "create"]);
    let changed = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "2.00"}));
    let answer = rig.send(&changed, 1).await;
    assert!(applied(&answer, "1"), "{answer:?}");
    assert_eq!(rig.requests(), ["search"], "nothing is written");
    let (seen, _) = rig.client.read_back(&rig.endpoint, &changed, TIMEOUT).await;
    assert_eq!(seen, ReadBack::Differs { document: Some("1".into()) });
    let world = rig.world.lock().unwrap();
    assert_eq!((world.documents.len(), &world.documents[0]["total"]), (1, &json!("1.00")));
}

/// Without the rule a lost answer is `transient`; with it, it is what the rule says, and unknown either way.
#[tokio::test]
async fn a_rule_says_what_a_lost_answer_is() {
    let rule = "    - {when: {transport: [timeout, reset]}, class: transient, outcome: unknown}\n";
    let other = "    - {when: {transport: reset}, class: in_flight, outcome: unknown}\n";
    for (instead, expected) in
        [(rule, ErrorClass::Transient), ("", ErrorClass::Transient), (other, ErrorClass::InFlight)]
    {
        assert!(CONNECTOR.contains(rule));
        let rig = Rig::of(&CONNECTOR.replace(rule, instead), "invoice").await;
        rig.world.lock().unwrap().create.push_back(Trouble::AppliedAndLost);
        let one = posting(&rig.endpoint, &json!({"ref": "INV-1", "total": "10.00"}));
        let answer = rig.send(&one, 1).await;
        let Answer::Unknown(reason) = &answer else { panic!("{instead}: {answer:?}") };
        assert_eq!((reason.class, &*reason.code), (expected, "SNK-0005"), "{instead}");
    }
}

#[test]
fn what_a_definition_cannot_do_is_said() {
    let made = |from: &str, to: &str, object: &str| {
        assert!(CONNECTOR.contains(from), "{from}");
        let connector = Connector::parse("small", &CONNECTOR.replace(from, to)).map_err(|e| e.to_string())?;
        let values = BTreeMap::new();
        let account = Account {
            base_url: Some("http://erp.example"),
            class: None,
            on_unknown: OnUnknown::Park,
            auth: None,
            values: &values,
        };
        Endpoint::new(&connector, object, &account).map_err(|e| e.to_string())
    };
    let says = |result: Result<Endpoint, String>, what: &str| {
        let error = result.map(drop).unwrap_err();
        assert!(error.contains(what), "{error}");
    };
    says(made("x", "x", "invioce"), "no object `invioce`");
    says(made("x", "x", "invoice.void"), "no operation `void`");
    says(made("{{conn.company}}", "{{conn.compny}}", "invoice"), "compny");
    says(made("{{id}}/post", "{{idd}}/post", "invoice"), "`{{idd}}` stands for nothing");
    says(made("{{ref}}", "{{ref|upper}}", "invoice"), "there is no filter `upper`");
    says(made(", version: $.version", "", "note"), "a `lookup` with `version`");
    says(made("path: $.state", "path: state", "invoice"), "`state` is no path");
    says(made("outcome: unknown", "outcome: not_applied", "invoice"), "may have been applied");
    let endpoint = made("x", "x", "invoice").unwrap();
    let key = PostingKey { event: EventId(Uuid::from_u128(1)), route: RouteId(1), generation: 0 };
    let long = endpoint.posting(key, &"x".repeat(21), 1, Bytes::new()).unwrap_err();
    assert!(long.contains("20 characters"), "{long}");
    let odd = endpoint.posting(key, "A/1", 1, Bytes::new()).unwrap_err();
    assert!(odd.contains("`/`"), "{odd}");
}
