//! `POST /v1/webhooks/{tenant}/{connection}`: the ways in which systems prove who they are, and what they want to be answered.
#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, time::Instant};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use common::{Answer, BASIC_OLD_SECRET, BASIC_SECRET, NOW, PLAIN_SECRET, World, answer};
use event::ObjectKind;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

/// Its body is what the vendor posts.
const CUSTOMER_CREATED: &str = include_str!("../../../connectors/chargebee/tests/customer_created.json");
/// The address that the vendor was given; a proxy forwards it to the gateway's own.
const PUBLIC: &str = "https://hooks.example.com/in";

const TENANTS: [(&str, &str); 5] = [
    (
        "acme/connections/billing.yaml",
        "connection: billing\nconnector: chargebee\nwebhook: {secrets: [\"env:BASIC_OLD\", \"env:BASIC\"]}\n",
    ),
    (
        "acme/connections/door.yaml",
        "connection: door\nconnector: door\nwebhook: {secrets: [\"env:PLAIN\"]}\n",
    ),
    (
        "acme/connections/keyed.yaml",
        "connection: keyed\nconnector: keyed\nwebhook: {secrets: [\"env:PLAIN\"]}\n",
    ),
    (
        "acme/connections/quiet.yaml",
        "connection: quiet\nconnector: quiet\nwebhook: {scheme: xero, secrets: [\"env:PLAIN\"], source: quiet}\n",
    ),
    (
        "acme/connections/crm.yaml",
        "connection: crm\nconnector: crm\nwebhook: {scheme: hubspot, secrets: [\"env:PLAIN\"], source: crm, url: \"https://hooks.example.com/in\"}\n",
    ),
];

/// Makes a customer of a body `{"name": …}`, and refuses to be shown a secret.
const PROGRAM: &str = r#"
if .headers."x-key" != null { abort "a secret is in the input" }
if .body.events == [] { return null }
{
  "type": "customer.created", "source": .source || "door", "source_version": 1, "occurred_at": "2026-11-22T10:00:00Z",
  "id": string!(.body.name),
  "data": {"id": string!(.body.name), "name": string!(.body.name)},
}
"#;

/// A folder of connectors over the embedded ones.
fn connectors() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("door/webhook.yaml", "verify: shared_secret\nquery: code\n");
    write("keyed/webhook.yaml", "verify: shared_secret\nheader: X-Key\n");
    for system in ["door", "keyed", "quiet", "crm"] {
        write(&format!("{system}/webhook.vrl"), PROGRAM);
    }
    dir
}

async fn world() -> World {
    let folder = connectors();
    World::of(|options| options.connectors = Some(folder.path().to_owned()), &TENANTS).await
}

fn mac(secret: &str, parts: &[&str]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    BASE64.encode(mac.finalize().into_bytes())
}

async fn post(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = world.gateway.post(&format!("/v1/webhooks/acme/{path}")).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_and_a_password_are_a_proof_and_two_of_them_while_they_are_changed() {
    let world = world().await;
    let send =
        async |given: &str| post(&world, "billing", &[("authorization", given)], CUSTOMER_CREATED).await;
    let basic = |secret: &str| format!("Basic {}", BASE64.encode(secret));
    let first = send(&basic(BASIC_SECRET)).await;
    assert_eq!(first.status, 202, "{first:?}");
    let again = send(&basic(BASIC_OLD_SECRET)).await;
    assert_eq!(first.body["accepted"][0]["event_id"], again.body["accepted"][0]["event_id"], "{again:?}");
    for wrong in [
        basic("counterfoil:a long passwort"),
        basic("counterfoil"),
        basic(""),
        format!("Bearer {}", BASE64.encode(BASIC_SECRET)),
        format!("Basic {BASIC_SECRET}"),
        "Basic".to_owned(),
        format!("Basic {}", "A".repeat(5000)),
    ] {
        send(&wrong).await.is_problem(401, "GTW-0021");
    }
    post(&world, "billing", &[], CUSTOMER_CREATED).await.is_problem(401, "GTW-0021");
    let twice = [("authorization", basic(BASIC_SECRET)), ("authorization", basic("x"))];
    let twice = twice.each_ref().map(|(name, value)| (*name, value.as_str()));
    post(&world, "billing", &twice, CUSTOMER_CREATED).await.is_problem(401, "GTW-0021");
    assert_eq!(world.records(ObjectKind::Customer).await, 2, "the first one, and the same again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_the_address_is_found_there_once() {
    let world = world().await;
    let body = json!({"name": "Ada"}).to_string();
    let send = async |query: &str| post(&world, &format!("door{query}"), &[], &body).await;
    let coded = "plain%2Fsecret%2Bwith%3Dsigns";
    for good in [format!("?code={coded}"), format!("?a=1&code={coded}&b=2")] {
        assert_eq!(send(&good).await.status, 202, "{good}");
    }
    for wrong in ["", "?", "?code=", "?code=other", "?Code=plain%2Fsecret%2Bwith%3Dsigns", "?code=%"] {
        send(wrong).await.is_problem(401, "GTW-0021");
    }
    // Which of two counts could be decided otherwise by whoever stands in front of us.
    send(&format!("?code={coded}&code=other")).await.is_problem(401, "GTW-0021");
    let header = [("code", PLAIN_SECRET)];
    post(&world, "door", &header, &body).await.is_problem(401, "GTW-0021");
    assert_eq!(world.records(ObjectKind::Customer).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_sent_as_it_is_gets_into_no_event() {
    let world = world().await;
    let body = json!({"name": "Ada"}).to_string();
    let good = post(&world, "keyed", &[("x-key", PLAIN_SECRET)], &body).await;
    assert_eq!(good.status, 202, "{good:?}");
    post(&world, "keyed", &[("x-key", "another")], &body).await.is_problem(401, "GTW-0021");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_wants_an_empty_answer_gets_one_and_401_for_a_wrong_signature() {
    let world = world().await;
    let handshake = json!({"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": "S0m3"});
    let send = async |secret: &str, body: &Value| {
        let body = body.to_string();
        let signature = mac(secret, &[&body]);
        let request = world.gateway.post("/v1/webhooks/acme/quiet").header("x-xero-signature", signature);
        let start = Instant::now();
        let answer = request.body(body).send().await.unwrap();
        assert!(start.elapsed().as_secs() < 5);
        assert!(
            answer.headers().get("set-cookie").is_none() && answer.headers().get("content-type").is_none()
        );
        let status = answer.status().as_u16();
        assert_eq!(answer.bytes().await.unwrap().len(), 0, "{status}");
        status
    };
    assert_eq!(send(PLAIN_SECRET, &handshake).await, 200);
    assert_eq!(send("somebody else's secret", &handshake).await, 401);
    assert_eq!(send(PLAIN_SECRET, &json!({"name": "Ada"})).await, 200);
    // What is refused is still refused: the sender keeps it.
    assert_eq!(send(PLAIN_SECRET, &json!({"name": 7})).await, 422);
    assert_eq!(world.records(ObjectKind::Customer).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_signs_the_address_signs_the_one_that_it_was_given() {
    let world = world().await;
    let body = json!({"name": "Ada"}).to_string();
    let send = async |url: &str, time: i64| {
        let time = time.to_string();
        let signature = mac(PLAIN_SECRET, &["POST", url, &body, &time]);
        let headers =
            [("x-hubspot-signature-v3", signature.as_str()), ("x-hubspot-request-timestamp", &time)];
        post(&world, "crm", &headers, &body).await
    };
    let now = NOW * 1_000;
    assert_eq!(send(PUBLIC, now - 299_999).await.status, 202, "milliseconds");
    send("https://hooks.example.com/in/", now).await.is_problem(401, "GTW-0021");
    let own = format!("http://{}/v1/webhooks/acme/crm", world.gateway.address);
    send(&own, now).await.is_problem(401, "GTW-0021");
    send(PUBLIC, now - 301_000).await.is_problem(401, "GTW-0022");
    send(PUBLIC, NOW).await.is_problem(401, "GTW-0022");
    assert_eq!(world.records(ObjectKind::Customer).await, 1);
}
