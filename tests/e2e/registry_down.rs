//! The registry is away: sinks wait, nothing becomes a dead letter, and nothing is lost.

use event::ObjectKind;
use testkit::{kafka, registry::Apicurio};

use crate::harness::{
    Cluster, World, blocking,
    events::{customer, payment},
    tenants::{Target, Tenant},
    until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_wait_for_it_and_nothing_is_a_dead_letter() {
    let apicurio = std::sync::Arc::new(blocking(|| Apicurio::start().unwrap()).await);
    let stop = async || {
        let apicurio = apicurio.clone();
        blocking(move || apicurio.stop().unwrap()).await;
    };
    let restart = async || {
        let apicurio = apicurio.clone();
        blocking(move || apicurio.restart().unwrap()).await;
    };
    let bootstrap = blocking(|| kafka::shared().unwrap().bootstrap().to_owned()).await;
    let acme = Tenant::new("acme", Target::Upsert);
    let cluster = Cluster { bootstrap, registry: apicurio.url().to_owned() };
    let world = World::on(cluster, std::slice::from_ref(&acme)).await;
    let gateway = world.gateway().await;
    let customers: Vec<_> = (0..10).map(|n| customer(&format!("C-{n}"), 1)).collect();
    let mut accepted = gateway.door.accepts(&acme, &customers).await;

    // A sink that starts knows no schema at all.
    stop().await;
    let sink = world.sink("ledger");
    until("a sink that waits", async || sink.admin.report().await.contains("registry")).await;
    assert!(!sink.admin.is_ready().await);
    assert_eq!(world.erp.totals(&acme.id).await.requests, 0);
    restart().await;
    world.all_committed(&acme, &accepted).await;

    // A sink that runs meets a schema that it does not know yet; the gateway knows it, and needs no registry.
    stop().await;
    let before = world.erp.totals(&acme.id).await.requests;
    let payments: Vec<_> = (0..10).map(|n| payment(&format!("P-{n}"), 1)).collect();
    accepted.extend(gateway.door.accepts(&acme, &payments).await);
    let sink = sink.says("registry does not answer, asking again").await;
    assert_eq!(world.erp.totals(&acme.id).await.requests, before);
    restart().await;
    world.all_committed(&acme, &accepted).await;
    assert!(world.topics.dead_letters(None).await.is_empty());
    for object in [ObjectKind::Customer, ObjectKind::Payment] {
        world.topics.committed_to_the_end(&world.group(), object).await;
    }
    sink.drains().await;
}
