//! What an operator pauses sends nothing, holds nobody else, outlives a restart, and goes on in order.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{REGION, World, eventually};
use contract::{Command, OutcomeStatus, Subject, Verb};

/// `payment.received` takes one route and `payment.updated` another, both to the same connection.
fn two_routes(world: &World) {
    for (name, on) in [("payments", "payment.received"), ("updates", "payment.updated")] {
        let text = format!("route: {name}\non: [{on}]\nto: erp\n");
        std::fs::write(world.dir.path().join(format!("tenants/acme/routes/{name}.yaml")), text).unwrap();
    }
}

async fn say(world: &World, verb: Verb, connection: Option<&str>, route: Option<&str>) {
    let subject = Subject {
        tenant: "acme".into(),
        connection: connection.map(Into::into),
        route: route.map(Into::into),
    };
    let command = Command { command: verb, subject, operator: "ann".into(), reason: "a test".into(), at: 1 };
    let topic = topics::names::control(REGION);
    let sent = world.producer.send(&topic, 0, &command.key(), &command.value().unwrap(), &[]).await;
    sent.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_route_holds_no_other_and_goes_on_in_order() {
    const EACH: usize = 40;
    let world = World::start("keyed").await;
    two_routes(&world);
    say(&world, Verb::Pause, None, Some("payments")).await;
    let mut options = world.options();
    options.window = 8;
    let sink = world.sink_with(options.clone()).await;
    for i in 0..EACH {
        world.pay(&format!("HELD-{i}"), 1).await;
        world.pay(&format!("GOES-{i}"), 2).await;
    }
    let outcomes = world.settled(EACH).await;
    assert!(outcomes.iter().all(|o| o.route == "updates" && o.status == OutcomeStatus::Committed));
    assert_eq!(sink.metric("paused_count").await, 1.0);
    // It is still paused after a restart.
    sink.stop().await;
    let sink = world.sink_with(options).await;
    world.pay("GOES-LATE", 2).await;
    world.settled(EACH + 1).await;
    assert_eq!(world.totals().effects as usize, EACH + 1);

    say(&world, Verb::Resume, None, Some("payments")).await;
    let outcomes = world.settled(2 * EACH + 1).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed));
    assert_eq!(sink.metric("paused_count").await, 0.0);
    sink.stop().await;
    let totals = world.totals();
    assert_eq!((totals.effects as usize, totals.duplicates, totals.out_of_order), (2 * EACH + 1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_sink_pauses_a_connection_and_a_tenant_and_both_must_be_resumed() {
    let world = World::start("keyed").await;
    let sink = world.sink().await;
    world.pay("PAY-1", 1).await;
    world.settled(1).await;
    say(&world, Verb::Pause, Some("erp"), None).await;
    say(&world, Verb::Pause, None, None).await;
    eventually("the sink knows", async || sink.metric("paused_count").await == 1.0).await;
    world.pay("PAY-2", 1).await;
    say(&world, Verb::Resume, None, None).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(world.totals().effects, 1, "its connection is still paused");
    say(&world, Verb::Resume, Some("erp"), None).await;
    world.settled(2).await;
    assert_eq!(world.totals().effects, 2);
    sink.stop().await;
}
