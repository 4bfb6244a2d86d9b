//! `POST /v1/webhooks/{tenant}/{connection}`.
#![allow(clippy::unwrap_used)]

mod common;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use common::{Answer, NOW, SHOPIFY_SECRET, STRIPE_OLD_SECRET, STRIPE_SECRET, World, answer};
use event::{EventId, ObjectKind};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The body of a real webhook, sent by localstripe.
const CUSTOMER_CREATED: &str = include_str!("../../../connectors/stripe/tests/customer.created.json");

fn mac(secret: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn stripe_signature(secret: &str, time: i64, body: &str) -> String {
    let signature = mac(secret, &[time.to_string().as_bytes(), b".", body.as_bytes()]);
    format!("t={time},v1={}", hex::encode(signature))
}

/// What the vendor posts: the recorded fixture may hold the request around it.
fn stripe_body() -> Value {
    let recorded: Value = serde_json::from_str(CUSTOMER_CREATED).unwrap();
    recorded.get("body").cloned().unwrap_or(recorded)
}

async fn stripe(world: &World, signature: &str, body: &str) -> Answer {
    let request = world
        .gateway
        .post("/v1/webhooks/acme/stripe")
        .header("content-type", "application/json; charset=utf-8");
    answer(request.header("stripe-signature", signature).body(body.to_owned())).await
}

async fn shopify(world: &World, connection: &str, topic: &str, body: &str) -> Answer {
    shopify_as(world, connection, topic, "wh-1", body).await
}

async fn shopify_as(world: &World, connection: &str, topic: &str, id: &str, body: &str) -> Answer {
    let signature = BASE64.encode(mac(SHOPIFY_SECRET, &[body.as_bytes()]));
    let request = world.gateway.post(&format!("/v1/webhooks/acme/{connection}"));
    let request = request.header("x-shopify-hmac-sha256", signature).header("x-shopify-topic", topic);
    answer(request.header("x-shopify-webhook-id", id).body(body.to_owned())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_genuine_webhook_becomes_an_event_and_its_redelivery_the_same_one() {
    let world = World::start().await;
    let body = stripe_body();
    let text = body.to_string();
    let first = stripe(&world, &stripe_signature(STRIPE_SECRET, NOW, &text), &text).await;
    assert_eq!(first.status, 202, "{first:?}");
    let item = &first.body["accepted"][0];
    let id = EventId::from_source_id(&"acme".parse().unwrap(), "stripe", body["id"].as_str().unwrap());
    assert_eq!((&item["event_id"], &item["type"]), (&json!(id.to_string()), &json!("customer.created")));
    assert_eq!(item["entity"], body["data"]["object"]["id"]);

    // Delivered again, later, signed anew with the secret that is being rotated out.
    world.gateway.clock.set((NOW + 3600) * 1_000_000);
    let again = stripe(&world, &stripe_signature(STRIPE_OLD_SECRET, NOW + 3600, &text), &text).await;
    assert_eq!(again.body["accepted"][0]["event_id"], item["event_id"], "{again:?}");
    assert_eq!(world.records(ObjectKind::Customer).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_and_replayed_webhooks_are_told_apart_and_nothing_is_published() {
    let world = World::start().await;
    let text = stripe_body().to_string();
    let good = stripe_signature(STRIPE_SECRET, NOW, &text);
    stripe(&world, &stripe_signature("whsec_of_somebody_else", NOW, &text), &text)
        .await
        .is_problem(401, "GTW-0021");
    stripe(&world, &good, &text.replace("customer", "costumer")).await.is_problem(401, "GTW-0021");
    let nonsense = stripe(&world, "nonsense", &text).await;
    assert_eq!(nonsense.is_problem(401, "GTW-0021").header("www-authenticate"), "", "no key helps here");
    // The signature is looked at before the body is parsed.
    stripe(&world, &good, "not json").await.is_problem(401, "GTW-0021");
    stripe(&world, &stripe_signature(STRIPE_SECRET, NOW - 301, &text), &text)
        .await
        .is_problem(401, "GTW-0022");
    world.gateway.clock.set((NOW + 301) * 1_000_000);
    stripe(&world, &good, &text).await.is_problem(401, "GTW-0022");
    assert_eq!(world.records(ObjectKind::Customer).await, 0);
    let metrics = world.gateway.metrics.encode().unwrap();
    let counter =
        "counterfoil_gateway_webhooks_total{connection=\"stripe\",result=\"GTW-0022\",tenant=\"acme\"} 2\n";
    assert!(metrics.contains(counter), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_exist_is_not_told_apart() {
    let world = World::start().await;
    let text = stripe_body().to_string();
    let signature = stripe_signature(STRIPE_SECRET, NOW, &text);
    let mut details = Vec::new();
    for path in ["nobody/stripe", "acme/nothing", "slow/stripe", "%00/stripe", "NOBODY/stripe"] {
        let request =
            world.gateway.post(&format!("/v1/webhooks/{path}")).header("stripe-signature", &signature);
        let answer = answer(request.body(text.clone())).await;
        details.push(answer.is_problem(404, "GTW-0020").body["detail"].clone());
    }
    details.dedup();
    assert_eq!(details.len(), 1, "{details:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_no_interest_are_acknowledged_and_broken_ones_are_not() {
    let world = World::start().await;
    let send = async |body: &str| stripe(&world, &stripe_signature(STRIPE_SECRET, NOW, body), body).await;
    let mut body = stripe_body();
    body["type"] = json!("payout.paid");
    let ignored = send(&body.to_string()).await;
    assert_eq!((ignored.status.as_u16(), &ignored.body), (200, &json!({"ignored": true})));

    send("not json").await.is_problem(400, "GTW-0007");
    send("{}").await.is_problem(422, "GTW-0023");
    // The mapping passes the id on; the contract does not take one so long.
    let mut body = stripe_body();
    body["data"]["object"]["id"] = json!("c".repeat(300));
    let answer = send(&body.to_string()).await;
    answer.is_problem(422, "GTW-0008");
    assert!(answer.errors().iter().any(|(_, path, _)| path == "data.id"), "{answer:?}");
    assert_eq!(world.records(ObjectKind::Customer).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shopify_is_verified_in_its_own_way() {
    let world = World::start().await;
    let body = json!({
        "id": 706405506930370084_u64, "email": "bob@biller.com", "first_name": "Bob", "last_name": "Biller",
        "created_at": "2026-11-22T09:00:00Z", "updated_at": "2026-11-22T09:00:00Z", "currency": "EUR",
    })
    .to_string();
    let answer = shopify(&world, "shopify", "customers/create", &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body["accepted"][0]["entity"], json!("706405506930370084"));
    // Captured and sent again under an id that nobody signed.
    let replayed = shopify_as(&world, "shopify", "customers/create", "wh-2", &body).await;
    assert_eq!(replayed.body["accepted"][0]["event_id"], answer.body["accepted"][0]["event_id"]);
    shopify(&world, "unmapped", "customers/create", &body).await.is_problem(422, "GTW-0023");
    shopify(&world, "stripe", "customers/create", &body).await.is_problem(401, "GTW-0021");
}
