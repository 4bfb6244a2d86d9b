//! Brokers and registry come and go: never a 202 without an acknowledgement, and no restart needed.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{
    ACME_KEY, World, answer, customer, eventually, free_address, options, start_broker, start_gateway,
};
use event::ObjectKind;
use kafka::embedded::{Fault, Request};
use registry::EmbeddedRegistry;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_down_is_503_and_comes_back_without_a_restart() {
    let world = World::start().await;
    assert_eq!(world.gateway.send(&customer("C-1", 1)).await.status, 202);
    world.broker.set_down(true).unwrap();

    let start = Instant::now();
    let batch = json!([customer("C-1", 2), customer("C-2", 2)]);
    let refused = world.gateway.send(&batch).await;
    refused.is_problem(503, "GTW-0011");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    // 1.5 s of the client library, 3 s of grace at most, and a slow machine.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let results = refused.body["results"].as_array().unwrap();
    assert!(
        results.iter().all(|r| r["accepted"] == json!(false) && r["event_id"].is_string()),
        "{refused:?}"
    );
    eventually("readiness notices", async || (!world.gateway.readiness.is_ready()).then_some(())).await;
    assert!(world.gateway.readiness.report()["kafka"].is_some());

    world.broker.set_down(false).unwrap();
    let accepted = eventually("events are taken again", async || {
        let answer = world.gateway.send(&batch).await;
        (answer.status == 202).then_some(answer)
    })
    .await;
    let ids =
        |items: &Value| items.as_array().unwrap().iter().map(|i| i["event_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&accepted.body["accepted"]), ids(&refused.body["results"]), "a resend is the same events");
    world.gateway.until_ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_record_is_told_apart_from_an_outage() {
    let world = World::start().await;
    world.broker.fail(Request::Produce, &[Fault::TooLarge]).unwrap();
    let answer = world.gateway.send(&customer("C-1", 1)).await;
    answer.is_problem(413, "GTW-0013");
    assert_eq!(answer.header("retry-after"), "");
    assert_eq!(world.gateway.send(&customer("C-1", 1)).await.status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_in_part_says_which_part() {
    let world = World::start().await;
    // The two entities are on different partitions, hence in different batches of the client; only one of them fails.
    let (first, second) = two_partitions();
    world.broker.fail(Request::Produce, &[Fault::NotAuthorized]).unwrap();
    let batch = json!([customer(&first, 1), customer(&second, 1)]);
    let answer = world.gateway.send(&batch).await;
    // Waiting does not help: somebody must give the permission.
    answer.is_problem(507, "GTW-0014");
    assert_eq!(answer.header("retry-after"), "");
    let accepted: Vec<bool> =
        answer.body["results"].as_array().unwrap().iter().map(|r| r["accepted"].as_bool().unwrap()).collect();
    let published = usize::try_from(world.records(ObjectKind::Customer).await).unwrap();
    assert_eq!(accepted.iter().filter(|a| **a).count(), published, "{answer:?}");
    assert!(accepted.contains(&false), "{answer:?}");
    for result in answer.body["results"].as_array().unwrap() {
        assert_eq!(result["code"].is_string(), result["accepted"] == json!(false), "{answer:?}");
    }
}

fn two_partitions() -> (String, String) {
    let placement = topics::Placement::new(&"acme".parse().unwrap(), 4, 12);
    let partition = |n: i32| placement.partition(format!("acme/customer/C-{n}").as_bytes());
    let other = (2..).find(|n| partition(*n) != partition(1)).unwrap();
    ("C-1".to_owned(), format!("C-{other}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_down_at_start_is_waited_for() {
    let broker = start_broker();
    let address = free_address();
    let gateway = start_gateway(options(&broker, &format!("http://{address}"))).await;
    let answer = gateway.send(&customer("C-1", 1)).await;
    answer.is_problem(503, "GTW-0012");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(!gateway.readiness.is_ready());
    // What is wrong with an event is told all the same.
    gateway.send(&json!({"type": "customer.created"})).await.is_problem(422, "GTW-0008");

    let registry = EmbeddedRegistry::start(address).await.unwrap();
    registry.set_available(false);
    eventually("a 503 of the registry is waited for as well", async || {
        gateway.readiness.report()["topics and schemas"].clone().filter(|reason| reason.contains("503"))
    })
    .await;
    registry.set_available(true);
    gateway.until_ready().await;
    assert_eq!(gateway.send(&customer("C-1", 1)).await.status, 202);
    registry.set_available(false);
    // Ids are kept: the registry is not needed for what is open.
    assert_eq!(gateway.send(&customer("C-1", 2)).await.status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_with_other_partitions_is_never_written_to() {
    let specs = topics::Specs::embedded().unwrap().all_for("eu", &[]).unwrap();
    let mut plans = specs;
    plans.iter_mut().filter(|p| p.name == "cf.eu.party.customer.v1").for_each(|p| p.partitions = 6);
    let broker = kafka::embedded::Broker::start(&plans, 1).unwrap();
    let registry = EmbeddedRegistry::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let gateway = start_gateway(options(&broker, &registry.url())).await;
    let reason = eventually("the check names the topic", async || {
        gateway.readiness.report()["topics and schemas"]
            .clone()
            .filter(|reason| reason.contains("6 partitions"))
    })
    .await;
    assert!(reason.contains("cf.eu.party.customer.v1"), "{reason}");
    gateway.send(&customer("C-1", 1)).await.is_problem(503, "GTW-0012");
    // The other objects are open.
    let product = json!({
        "type": "product.deactivated", "source": "shop", "source_version": 1, "occurred_at": "2026-11-22T10:00:00Z",
        "data": {"id": "P-1", "name": "Lamp"},
    });
    let answer = gateway.send(&product).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unregistered_schema_is_not_registered_where_that_is_the_pipelines_job() {
    let broker = start_broker();
    let registry = EmbeddedRegistry::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut options = options(&broker, &registry.url());
    options.registry.register = false;
    let gateway = start_gateway(options).await;
    eventually("the check says so", async || {
        gateway.readiness.report()["topics and schemas"]
            .clone()
            .filter(|reason| reason.contains("is not registered"))
    })
    .await;
    gateway.send(&customer("C-1", 1)).await.is_problem(503, "GTW-0012");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_finishes_what_was_begun() {
    let world = World::start().await;
    world.broker.set_rtt(Duration::from_millis(300)).unwrap();
    let gateway = &world.gateway;
    let request = gateway.post("/v1/events").bearer_auth(ACME_KEY).json(&customer("C-1", 1));
    let in_flight = tokio::spawn(answer(request));
    eventually("the request is on its way", async || {
        gateway.metrics.encode().unwrap().contains("counterfoil_gateway_requests_in_flight 1\n").then_some(())
    })
    .await;
    gateway.shutdown.trigger();
    assert_eq!(in_flight.await.unwrap().status, 202);
    eventually("not ready", async || (!gateway.readiness.is_ready()).then_some(())).await;
    eventually("the door is closed", async || tokio::net::TcpStream::connect(gateway.address).await.err())
        .await;
    assert!(gateway.readiness.report().contains_key("draining"));
    let World { gateway, .. } = world;
    assert_eq!(gateway.served.await.unwrap(), gateway::Drained { cut: 0, flushed: true });
}
