//! What is in doubt at a target of class N is listed with its evidence, and an operator's decisions are carried out: once
//! each, with outcome event, dead letter and gauge.

use contract::{Outcome, OutcomeStatus};
use sandbox::Change;
use serde_json::Value;

use crate::harness::{
    World, counterfoil,
    events::customer,
    succeeds,
    tenants::{Target, Tenant},
    until,
};

const GAUGE: &str = "counterfoil_sink_in_doubt";

/// `counterfoil indoubt …` as an operator types it; what it printed.
async fn indoubt(world: &World, arguments: &[&str]) -> Value {
    let mut command = counterfoil(&["indoubt"]);
    command.args(arguments).args(["--bootstrap", &world.cluster.bootstrap]);
    command.args(["--registry", &world.cluster.registry, "--region", &world.region, "--json"]);
    serde_json::from_str(&succeeds(command).await).unwrap()
}

async fn decide(world: &World, event: &str, verdict: &[&str]) {
    let decision = ["resolve", event, "--reason", "looked at the ERP", "--operator", "kim", "--as"];
    indoubt(world, &[&decision[..], verdict].concat()).await;
}

/// The newest outcome of an event, once it is one that `fits`.
async fn outcome(world: &World, event: &str, fits: OutcomeStatus) -> Outcome {
    until(&format!("outcome {fits:?} of {event}"), async || {
        world.outcomes.of_event(event).last().is_some_and(|o| o.status == fits)
    })
    .await;
    world.outcomes.of_event(event).pop().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_what_is_in_doubt_and_decides() {
    let tenant = Tenant::new("neither", Target::Neither);
    let world = World::start(std::slice::from_ref(&tenant)).await;
    let gateway = world.gateway().await;
    let sink = world.sink("ledger");
    let down = |down| Change { down: Some(down), ..Change::default() };
    world.erp.change(&tenant.id, down(true)).await;
    let events = [customer("C-1", 1), customer("C-2", 1), customer("C-3", 1)];
    let ids = gateway.door.accepts(&tenant, &events).await;
    for id in &ids {
        let doubt = outcome(&world, id, OutcomeStatus::InDoubt).await;
        assert!(doubt.attempts == 1 && doubt.first_attempt_at.is_some() && doubt.error_code.is_some());
    }
    until("the gauge to show them", async || sink.admin.metric(GAUGE, "").await == 3.0).await;
    world.erp.change(&tenant.id, down(false)).await;

    let listed = indoubt(&world, &["list"]).await;
    let listed = listed["in_doubt"].as_array().unwrap();
    assert_eq!(listed.len(), 3, "{listed:?}");
    let shown = indoubt(&world, &["show", &ids[0]]).await;
    assert_eq!((&shown["entity"], &shown["attempts"]), (&Value::from("C-1"), &Value::from(1)));

    decide(&world, &ids[0], &["retry"]).await;
    let retried = outcome(&world, &ids[0], OutcomeStatus::Committed).await;
    assert_eq!(retried.attempts, 2);
    decide(&world, &ids[1], &["rejected"]).await;
    let rejected = outcome(&world, &ids[1], OutcomeStatus::Rejected).await;
    assert_eq!(rejected.error_code.as_deref(), Some("SNK-0017"));
    assert!(rejected.detail.unwrap().contains("kim: looked at the ERP"));
    decide(&world, &ids[2], &["committed", "--document", "CUS-AT-THE-ERP"]).await;
    let committed = outcome(&world, &ids[2], OutcomeStatus::Committed).await;
    assert_eq!(committed.target_document_id.as_deref(), Some("CUS-AT-THE-ERP"));

    assert_eq!(world.erp.totals(&tenant.id).await.effects, 1, "the one that was tried again");
    assert_eq!(world.topics.dead_letters(Some(&tenant.id())).await.len(), 1);
    assert_eq!(indoubt(&world, &["list"]).await["in_doubt"].as_array().unwrap().len(), 0);
    until("the gauge to fall", async || sink.admin.metric(GAUGE, "").await == 0.0).await;
    // Who comes next reads all of it in the changelog.
    sink.drains().await;
    let sink = world.sink("another");
    let canary = gateway.door.accepts(&tenant, &[customer("C-4", 1)]).await;
    outcome(&world, &canary[0], OutcomeStatus::Committed).await;
    assert_eq!(world.erp.totals(&tenant.id).await.effects, 2);
    assert_eq!(sink.admin.metric("counterfoil_sink_invariant_violations_count", "").await, 0.0);
    sink.drains().await;
    gateway.drains().await;
}
