//! An operator pauses a route: nothing of it is sent, other routes and tenants go on, and afterwards all of it comes in order.

use std::process::Command;

use crate::harness::{
    World, counterfoil,
    events::{customer, payment},
    fails, succeeds,
    tenants::{Target, Tenant},
    until,
};

/// `counterfoil pause|resume|paused …` as an operator types it; what it printed.
async fn operator(world: &World, arguments: &[&str]) -> String {
    succeeds(command(world, arguments)).await
}

fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = counterfoil(arguments);
    command.args(["--bootstrap", &world.cluster.bootstrap, "--region", &world.region, "--tenants"]);
    command.arg(world.folder());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_route_sends_nothing_and_then_everything_in_order() {
    let tenant = Tenant::new("upsert", Target::Upsert);
    let world = World::start(std::slice::from_ref(&tenant)).await;
    let gateway = world.gateway().await;
    let sink = world.sink("ledger");
    let account = ["--operator", "kim", "--reason", "wrong mapping"];
    // A misspelt name would pause nothing.
    let misspelt = [&["pause", "route", "upsert", "custmers"][..], &account].concat();
    let said = fails(command(&world, &misspelt)).await;
    assert!(said.contains("CFG-0309") && said.contains("customers"), "{said}");
    operator(&world, &[&["pause", "route", "upsert", "customers"][..], &account].concat()).await;
    let label = "route=\"customers\"";
    until("the sink to hold the route", async || {
        sink.admin.metric("counterfoil_sink_paused_count", label).await == 1.0
    })
    .await;
    assert!(operator(&world, &["paused"]).await.contains("paused by kim"));

    let versions = |versions: std::ops::RangeInclusive<u64>| {
        versions.flat_map(|version| (0..10).map(move |n| customer(&format!("C-{n}"), version)))
    };
    let held = gateway.door.accepts(&tenant, &versions(1..=3).collect::<Vec<_>>()).await;
    let payments: Vec<_> = (0..30).map(|n| payment(&format!("P-{n}"), 1)).collect();
    let others = gateway.door.accepts(&tenant, &payments).await;
    world.outcomes.of(&others).await.unwrap();
    assert_eq!(world.erp.totals(&tenant.id).await.effects, 30, "payments only");
    // A restart forgets nothing of it.
    sink.drains().await;
    let sink = world.sink("another");
    let canary = gateway.door.accepts(&tenant, &[payment("P-CANARY", 1)]).await;
    world.outcomes.of(&canary).await.unwrap();
    assert_eq!(world.erp.totals(&tenant.id).await.effects, 31);

    operator(&world, &[&["resume", "route", "upsert", "customers"][..], &account].concat()).await;
    let all: Vec<String> = [held, others, canary].concat();
    world.all_committed(&tenant, &all).await;
    assert_eq!(world.erp.totals(&tenant.id).await.effects, 61);
    assert!(operator(&world, &["paused"]).await.contains("nothing is paused"));
    sink.drains().await;
    gateway.drains().await;
}
