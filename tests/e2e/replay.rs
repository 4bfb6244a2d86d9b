//! A tenant's events, delivered again with `counterfoil replay`: what is over stays over, what was rejected goes out once its cause is
//! mended, and a forced generation has one effect more for each document.

use contract::OutcomeStatus;
use sandbox::Change;
use serde_json::Value;

use crate::harness::{
    World, counterfoil,
    events::{invoice, payment},
    succeeds,
    tenants::{Target, Tenant},
    until,
};

async fn replay(world: &World, arguments: &[&str]) -> u64 {
    let mut command = counterfoil(&["replay", "keyed", "--reason", "a test", "--operator", "kim", "--json"]);
    command.args(arguments).args(["--bootstrap", &world.cluster.bootstrap]);
    command.args(["--registry", &world.cluster.registry, "--region", &world.region]);
    let done: Value = serde_json::from_str(&succeeds(command).await).unwrap();
    done["published"].as_u64().unwrap()
}

async fn ended(world: &World, events: &[String], generation: u16, status: OutcomeStatus) {
    until(&format!("{status:?} in generation {generation} of {events:?}"), async || {
        events.iter().all(|event| {
            let outcomes = world.outcomes.of_event(event);
            outcomes.iter().any(|o| o.generation == generation && o.status == status)
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_delivered_again_as_an_operator_wants_it() {
    let tenant = Tenant::new("keyed", Target::Keyed);
    let world = World::start(std::slice::from_ref(&tenant)).await;
    let (gateway, sink) = (world.gateway().await, world.sink("ledger"));
    let closed = |before: &str| Change { books_closed_before: Some(before.into()), ..Change::default() };
    let good = [payment("P-1", 1), payment("P-1", 2), payment("P-2", 1)];
    let good = gateway.door.accepts(&tenant, &good).await;
    ended(&world, &good, 0, OutcomeStatus::Committed).await;
    world.erp.change(&tenant.id, closed("2999-01-01")).await;
    let bad = gateway.door.accepts(&tenant, &[invoice("I-1"), invoice("I-2")]).await;
    ended(&world, &bad, 0, OutcomeStatus::Rejected).await;
    world.erp.change(&tenant.id, closed("")).await;

    assert_eq!(replay(&world, &["--dry-run"]).await, 5);
    assert_eq!(replay(&world, &[]).await, 5);
    until("the sink to know them", async || {
        sink.admin.metric("counterfoil_sink_duplicates_total", "").await >= 5.0
    })
    .await;
    assert_eq!(world.erp.totals(&tenant.id).await.effects, 3, "what has an outcome keeps it");

    assert_eq!(replay(&world, &["--rejected", "--code", "SNK-9999"]).await, 0);
    assert_eq!(replay(&world, &["--rejected", "--type", "invoice.posted"]).await, 2);
    ended(&world, &bad, 1, OutcomeStatus::Committed).await;
    assert_eq!(world.erp.totals(&tenant.id).await.effects, 5);
    assert_eq!(replay(&world, &["--rejected"]).await, 0, "none is rejected any more");

    // The older version of P-1 stays behind the newer one; P-2 has an effect more.
    assert_eq!(replay(&world, &["--force", "--entity", "P-1"]).await, 2);
    assert_eq!(replay(&world, &["--force", "--event", &good[2]]).await, 1);
    ended(&world, &good[..1], 1, OutcomeStatus::Superseded).await;
    ended(&world, &good[1..], 1, OutcomeStatus::Committed).await;
    let totals = world.erp.totals(&tenant.id).await;
    assert_eq!((totals.effects, totals.out_of_order), (7, 0));
    assert_eq!(sink.admin.metric("counterfoil_sink_invariant_violations_count", "").await, 0.0);
    sink.drains().await;
    gateway.drains().await;
}
