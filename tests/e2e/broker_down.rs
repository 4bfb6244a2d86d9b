//! The brokers are away: no 202, no loss, and everything goes on by itself when they are back.

use std::sync::Arc;

use event::ObjectKind;
use testkit::{
    kafka::{Kafka, Options},
    registry::Apicurio,
};

use crate::harness::{
    Cluster, World, blocking,
    events::customer,
    tenants::{Target, Tenant},
    until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_says_so_and_a_resend_becomes_one_document() {
    let kafka = Arc::new(blocking(|| Kafka::start(&Options::owned()).unwrap()).await);
    let registry = blocking(|| Apicurio::shared().unwrap().url().to_owned()).await;
    let acme = Tenant::new("acme", Target::Keyed);
    let cluster = Cluster { bootstrap: kafka.bootstrap().to_owned(), registry };
    let world = World::on(cluster, std::slice::from_ref(&acme)).await;
    let gateway = world.gateway().await;
    let sink = world.sink("ledger");
    let mut accepted = gateway.door.accepts(&acme, &[customer("C-1", 1)]).await;
    world.all_committed(&acme, &accepted).await;

    let broker = Arc::clone(&kafka);
    blocking(move || broker.kill9().unwrap()).await;
    let batch = [customer("C-1", 2), customer("C-2", 1)];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let refused = gateway.door.send(&acme, &batch).await.unwrap();
        assert_eq!((refused.status, &refused.body["code"]), (503, &"GTW-0011".into()), "{refused:?}");
        assert!(refused.retry_after.unwrap() >= 1, "{refused:?}");
        let results = refused.body["results"].as_array().unwrap();
        assert!(results.iter().all(|result| result["accepted"] == false), "{refused:?}");
        ids = results.iter().map(|r| r["event_id"].as_str().unwrap().to_owned()).collect();
    }
    until("a gateway that says it is not ready", async || gateway.admin.report().await.contains("kafka"))
        .await;

    let broker = Arc::clone(&kafka);
    blocking(move || broker.restart().unwrap()).await;
    let mut answer = None;
    until("an accepted resend", async || {
        let sent = gateway.door.send(&acme, &batch).await.unwrap();
        assert!([202, 503].contains(&sent.status), "{sent:?}");
        answer = (sent.status == 202).then_some(sent);
        answer.is_some()
    })
    .await;
    assert_eq!(answer.unwrap().accepted(), ids, "the same events, as they were refused");
    accepted.extend(ids);
    world.all_committed(&acme, &accepted).await;
    let totals = world.erp.totals(&acme.id).await;
    assert_eq!((totals.documents, totals.effects), (2, 3));
    gateway.admin.ready(&gateway.process).await;
    world.topics.committed_to_the_end(&world.group(), ObjectKind::Customer).await;
    sink.drains().await;
    gateway.drains().await;
}
