//! Bad input gets a clear answer, and nothing of it is published.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};

use common::{ACME_KEY, Answer, FAR_KEY, SLOW_KEY, World, answer, customer};
use event::ObjectKind;
use serde_json::{Value, json};

async fn raw(world: &World, media: &str, body: impl Into<String>) -> Answer {
    answer(world.gateway.events().header("content-type", media).body(body.into())).await
}

fn with(field: &str, value: Value) -> Value {
    let mut event = customer("C-1", 1);
    event[field] = value;
    event
}

fn without(field: &str) -> Value {
    let mut event = customer("C-1", 1);
    event.as_object_mut().unwrap().remove(field);
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_is_checked_first() {
    let world = World::start().await;
    let post = || world.gateway.post("/v1/events").body("not even looked at");
    answer(post()).await.is_problem(401, "GTW-0001");
    let wrong = answer(post().bearer_auth("acme-key-9876543210")).await;
    wrong.is_problem(401, "GTW-0001");
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    answer(post().header("authorization", format!("Basic {ACME_KEY}"))).await.is_problem(401, "GTW-0001");
    answer(world.gateway.post("/v1/events").bearer_auth(FAR_KEY).json(&customer("C-1", 1)))
        .await
        .is_problem(421, "GTW-0003");
    world.gateway.send(&with("tenant", json!("globex"))).await.is_problem(403, "GTW-0002");
    assert_eq!(world.records(ObjectKind::Customer).await, 0);
    assert_eq!(world.gateway.send(&with("tenant", json!("acme"))).await.status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_that_cannot_be_read() {
    let world = World::start().await;
    let answer = raw(&world, "application/json", "{\"type\": ").await;
    assert!(
        answer.is_problem(400, "GTW-0007").body["detail"].as_str().unwrap().contains("line 1"),
        "{answer:?}"
    );
    for body in
        ["", "\u{1}", "7", "[]", "{\"events\": []}", "{\"events\": 1}", "{\"events\": [{}], \"more\": 1}"]
    {
        raw(&world, "application/json", body).await.is_problem(400, "GTW-0007");
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    raw(&world, "application/json", deep).await.is_problem(400, "GTW-0007");
    raw(&world, "application/cloudevents-batch+json", "{}").await.is_problem(400, "GTW-0007");
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", ""] {
        raw(&world, media, customer("C-1", 1).to_string()).await.is_problem(415, "GTW-0006");
    }
    let packed = world.gateway.events().header("content-encoding", "gzip").json(&customer("C-1", 1));
    common::answer(packed).await.is_problem(415, "GTW-0006");
    assert_eq!(world.records(ObjectKind::Customer).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_and_batches_have_limits() {
    let world = World::with(|options| {
        options.limits.body_bytes = 4096;
        options.limits.batch_events = 3;
    })
    .await;
    raw(&world, "application/json", " ".repeat(4097)).await.is_problem(413, "GTW-0004");
    let batch: Vec<Value> = (0..4).map(|n| customer("C-1", n)).collect();
    world.gateway.send(&json!(batch)).await.is_problem(413, "GTW-0009");

    // A length that is not announced is counted while reading.
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nx-api-key: {ACME_KEY}\r\ncontent-type: application/json\r\n"
    );
    let chunk = format!("800\r\n{}\r\n", " ".repeat(0x800));
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{}", chunk.repeat(3));
    let slow = format!("{head}content-length: 100\r\n\r\n{{");
    for (request, status) in [(chunked, "413"), (slow, "408")] {
        let address = world.gateway.address;
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = vec![0; 12];
            stream.read_exact(&mut answer).unwrap();
            String::from_utf8(answer).unwrap()
        });
        assert_eq!(answer.await.unwrap(), format!("HTTP/1.1 {status}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_fields_are_named_by_path() {
    let world = World::start().await;
    let cases = [
        (with("type", json!("customer.create")), "type", "GTW-0103"),
        (with("type", json!("client.created")), "type", "GTW-0103"),
        (with("type", json!(7)), "type", "GTW-0102"),
        (without("type"), "type", "GTW-0101"),
        (without("source"), "source", "GTW-0101"),
        (with("source", json!("shop\u{0}eu")), "source", "GTW-0105"),
        (without("occurred_at"), "occurred_at", "GTW-0101"),
        (with("occurred_at", json!("yesterday")), "occurred_at", "GTW-0105"),
        (with("source_version", json!(-1)), "source_version", "GTW-0105"),
        (with("source_version", json!("7a")), "source_version", "GTW-0102"),
        (with("sourceversion", json!(7)), "sourceversion", "GTW-0104"),
        (with("traceparent", json!("00-xyz")), "traceparent", "GTW-0105"),
        (with("extensions", json!({"color": 7})), "extensions.color", "GTW-0102"),
        (with("extensions", json!("blue")), "extensions", "GTW-0102"),
        (without("data"), "data", "GTW-0101"),
        (with("data", json!([])), "data", "GTW-0102"),
        (with("data", json!({"name": "Ada"})), "data.id", "CON-0101"),
        (with("data", json!({"id": 7, "name": "Ada"})), "data.id", "CON-0102"),
        (with("data", json!({"id": "C-1"})), "data.name", "CON-0101"),
        (with("data", json!({"id": "C-1", "name": "Ada", "emial": "a@b"})), "data.emial", "CON-0103"),
        (json!("event"), "", "GTW-0102"),
    ];
    for (event, path, code) in cases {
        let answer = world.gateway.send(&json!([event])).await;
        answer.is_problem(422, "GTW-0008");
        assert_eq!(answer.errors(), [(0, path.to_owned(), code.to_owned())], "{answer:?}");
    }
    assert_eq!(world.records(ObjectKind::Customer).await, 0);
    let text = world.gateway.metrics.encode().unwrap();
    assert!(text.contains("events_rejected_total{tenant=\"acme\",type=\"customer.created\"}"), "{text}");
    assert!(text.contains("events_rejected_total{tenant=\"acme\",type=\"unknown\"}"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_event_keeps_the_whole_batch_out_and_all_errors_are_told_at_once() {
    let world = World::start().await;
    let mut third = without("source");
    third["data"] = json!({"id": "C-3", "name": 7});
    let batch = json!([customer("C-1", 1), with("type", json!("nothing")), third]);
    let answer = world.gateway.send(&batch).await;
    answer.is_problem(422, "GTW-0008");
    let expected = [(1, "type", "GTW-0103"), (2, "source", "GTW-0101"), (2, "data.name", "CON-0102")];
    assert_eq!(answer.errors(), expected.map(|(i, p, c)| (i, p.to_owned(), c.to_owned())));
    assert_eq!(world.records(ObjectKind::Customer).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_cloud_events_are_named_by_attribute() {
    let world = World::start().await;
    let good = json!({
        "specversion": "1.0", "id": "evt-1", "source": "shop-eu", "type": "customer.created",
        "time": "2026-11-22T10:00:00Z", "data": {"id": "C-1", "name": "Ada"},
    });
    let cases = [
        ("specversion", json!("0.3"), "GTW-0105"),
        ("id", Value::Null, "GTW-0101"),
        ("time", Value::Null, "GTW-0101"),
        ("subject", json!("C-2"), "GTW-0106"),
        ("datacontenttype", json!("text/xml"), "GTW-0105"),
        ("data_base64", json!("e30="), "GTW-0104"),
        ("shopcolor", json!({}), "GTW-0102"),
    ];
    for (attribute, value, code) in cases {
        let mut event = good.clone();
        event[attribute] = value;
        let answer = raw(&world, "application/cloudevents+json", event.to_string()).await;
        answer.is_problem(422, "GTW-0008");
        assert_eq!(answer.errors(), [(0, attribute.to_owned(), code.to_owned())], "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_the_tenants_own() {
    let world = World::start().await;
    let send = async |count: u64| {
        let batch: Vec<Value> = (0..count).map(|n| customer("C-1", n)).collect();
        answer(world.gateway.post("/v1/events").bearer_auth(SLOW_KEY).json(&batch)).await
    };
    send(3).await.is_problem(413, "GTW-0009");
    assert_eq!(send(2).await.status, 202);
    // A slow machine may see the quota grow back for a moment; twenty times in a row it cannot.
    let mut refused = send(2).await;
    for _ in 0..20 {
        if refused.status == 202 {
            refused = send(2).await;
        }
    }
    refused.is_problem(429, "GTW-0010");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(world.gateway.send(&customer("C-1", 1)).await.status, 202);
    let text = world.gateway.metrics.encode().unwrap();
    assert!(text.contains("counterfoil_gateway_quota_rejections_total{tenant=\"slow\"} 1\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_paths_and_methods_are_problems_too() {
    let world = World::start().await;
    answer(world.gateway.post("/v2/events")).await.is_problem(404, "GTW-0030");
    let get = world.gateway.client.get(format!("http://{}/v1/events", world.gateway.address));
    let refused = answer(get.header("x-request-id", "<script>")).await;
    assert_eq!(refused.is_problem(405, "GTW-0031").header("allow"), "POST");
    assert_ne!(refused.header("x-request-id"), "<script>");
}
