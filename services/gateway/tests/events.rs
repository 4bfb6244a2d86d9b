//! What `POST /v1/events` accepts.
#![allow(clippy::unwrap_used)]

mod common;

use common::{ACME_KEY, World, answer, customer};
use event::{EventId, ObjectKind, TenantId};
use serde_json::{Value, json};

fn accepted(body: &Value) -> &Vec<Value> {
    body["accepted"].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_is_answered_with_its_place_and_a_resend_is_the_same_event() {
    let world = World::start().await;
    let first = world.gateway.send(&customer("C-1", 7)).await;
    assert_eq!(first.status, 202, "{first:?}");
    let tenant: TenantId = "acme".parse().unwrap();
    let id = EventId::derive(&tenant, "shop-eu", "customer.created".parse().unwrap(), "C-1", 7);
    let item = &accepted(&first.body)[0];
    assert_eq!(item["event_id"], json!(id.to_string()));
    assert_eq!((&item["entity"], &item["type"]), (&json!("C-1"), &json!("customer.created")));
    assert_eq!(item["topic"], json!("cf.eu.party.customer.v1"));
    assert_eq!(item["offset"], json!(0));
    let placement = topics::Placement::new(&tenant, 4, 12);
    assert_eq!(item["partition"], json!(placement.partition(b"acme/customer/C-1")));

    let again = world.gateway.send(&customer("C-1", 7)).await;
    let resent = &accepted(&again.body)[0];
    assert_eq!((&resent["event_id"], &resent["partition"]), (&item["event_id"], &item["partition"]));
    assert_ne!(
        accepted(&world.gateway.send(&customer("C-1", 8)).await.body)[0]["event_id"],
        item["event_id"]
    );
    assert_eq!(world.records(ObjectKind::Customer).await, 3);
    let text = world.gateway.metrics.encode().unwrap();
    let counter = "counterfoil_gateway_events_accepted_total{tenant=\"acme\",type=\"customer.created\"} 3\n";
    assert!(text.contains(counter), "{text}");
    assert!(
        text.contains("counterfoil_gateway_requests_total{route=\"events\",status=\"2xx\"} 3\n"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_id_and_version_events_of_one_instant_are_told_apart_by_what_they_say() {
    let world = World::start().await;
    let event = |name: &str| {
        let mut event = customer("C-1", 1);
        event.as_object_mut().unwrap().remove("source_version");
        event["data"]["name"] = json!(name);
        event
    };
    let answer = world.gateway.send(&json!([event("Ada"), event("Ada Lovelace"), event("Ada")])).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let ids: Vec<_> = accepted(&answer.body).iter().map(|item| item["event_id"].clone()).collect();
    assert_ne!(ids[0], ids[1], "neither is a resend of the other");
    assert_eq!(ids[0], ids[2], "the same again is the same event");
    // Where the source gives a version, that alone decides.
    let mut other = customer("C-1", 1);
    let first = world.gateway.send(&other).await;
    other["data"]["name"] = json!("Ada King");
    let second = world.gateway.send(&other).await;
    assert_eq!(accepted(&first.body)[0]["event_id"], accepted(&second.body)[0]["event_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_keep_their_order_and_come_in_two_forms() {
    let world = World::start().await;
    let events: Vec<Value> = (0..100).map(|version| customer("C-1", version)).collect();
    let answer = world.gateway.send(&json!(events)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let offsets: Vec<i64> =
        accepted(&answer.body).iter().map(|item| item["offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, (0..100).collect::<Vec<_>>());

    let answer = world.gateway.send(&json!({"events": [customer("C-2", 1), customer("C-3", 1)]})).await;
    let entities: Vec<_> = accepted(&answer.body).iter().map(|item| item["entity"].clone()).collect();
    assert_eq!(entities, [json!("C-2"), json!("C-3")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_comes_in_either_header_and_the_request_id_comes_back() {
    let world = World::start().await;
    let request =
        world.gateway.post("/v1/events").header("x-api-key", ACME_KEY).header("x-request-id", "mine-1");
    let answer = answer(request.json(&customer("C-1", 1))).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-request-id")), (202, "mine-1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloud_events_in_all_modes_are_one_event() {
    let world = World::start().await;
    let cloud = json!({
        "specversion": "1.0", "id": "evt-1", "source": "shop-eu", "type": "customer.created", "subject": "C-1",
        "time": "2026-11-22T11:00:00+01:00", "sourceversion": 7, "correlationid": "order-run", "shopcolor": "blue",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "data": {"id": "C-1", "name": "Ada Lovelace"},
    });
    let send = async |media: &str, body: String| {
        answer(world.gateway.events().header("content-type", media).body(body)).await
    };
    let structured = send("application/cloudevents+json; charset=utf-8", cloud.to_string()).await;
    assert_eq!(structured.status, 202, "{structured:?}");
    let tenant: TenantId = "acme".parse().unwrap();
    let id = json!(EventId::from_source_id(&tenant, "shop-eu", "evt-1").to_string());
    assert_eq!(accepted(&structured.body)[0]["event_id"], id);

    let batch = send("application/cloudevents-batch+json", json!([cloud, cloud]).to_string()).await;
    assert_eq!(accepted(&batch.body).iter().map(|item| &item["event_id"]).collect::<Vec<_>>(), [&id, &id]);

    let mut request = world.gateway.events().json(&cloud["data"]);
    for name in ["specversion", "id", "source", "type", "subject", "time", "sourceversion"] {
        let value = cloud[name].as_str().map_or_else(|| cloud[name].to_string(), str::to_owned);
        request = request.header(format!("ce-{name}"), value);
    }
    let binary = answer(request.header("ce-shopname", "Caf%C3%A9")).await;
    assert_eq!(binary.status, 202, "{binary:?}");
    assert_eq!(accepted(&binary.body)[0]["event_id"], id);
    assert_eq!(world.records(ObjectKind::Customer).await, 4);
}
