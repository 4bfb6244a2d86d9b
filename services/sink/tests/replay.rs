//! An event delivered again, because an operator wants it so: what is over stays over, unless a new generation is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use common::{World, eventually, now, tenant};
use contract::{Outcome, OutcomeStatus, REPLAY_HEADER, Replay, ReplayShare};
use event::ObjectKind;
use sandbox::Change;
use sink::Options;

fn replay(generation: u16, route: Option<&str>) -> Replay {
    Replay {
        share: ReplayShare::Redrive,
        generation,
        route: route.map(Into::into),
        at: now(),
        operator: "kim".into(),
        reason: "a test".into(),
    }
}

async fn again(world: &World, entity: &str, version: i64, replay: &Replay) {
    let (_, key, value) = world.payment(entity, version);
    let header = replay.to_header();
    let headers: &[(&str, &[u8])] = &[(REPLAY_HEADER, &header)];
    world.publish_with(ObjectKind::Payment, &key, Some(&value), headers).await;
}

async fn of_generation(world: &World, generation: u16, number: usize) -> Vec<Outcome> {
    let mut found = Vec::new();
    eventually("the generation has its outcomes", async || {
        found = world.outcomes().await.into_iter().filter(|o| o.generation == generation).collect();
        found.len() >= number
    })
    .await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_an_outcome_is_not_sent_again_and_a_new_generation_has_one_effect_of_its_own() {
    let world = World::start("keyed").await;
    let sink = world.sink().await;
    for version in [1, 2] {
        world.pay("PAY-1", version).await;
    }
    world.settled(2).await;
    for version in [1, 2] {
        again(&world, "PAY-1", version, &replay(0, None)).await;
    }
    again(&world, "PAY-1", 2, &replay(1, Some("another"))).await;
    eventually("both are known", async || sink.metric("duplicates_total").await == 2.0).await;
    assert_eq!(world.totals().effects, 2);

    let forced = replay(1, Some("payments"));
    for version in [1, 2] {
        again(&world, "PAY-1", version, &forced).await;
    }
    let mut outcomes = of_generation(&world, 1, 2).await;
    outcomes.sort_by_key(|o| o.source_version);
    let ends: Vec<_> = outcomes.iter().map(|o| o.status).collect();
    assert_eq!(ends, [OutcomeStatus::Superseded, OutcomeStatus::Committed], "the order of versions holds");
    assert_eq!(world.totals().effects, 3);
    // The same wish twice is one.
    again(&world, "PAY-1", 2, &forced).await;
    eventually("it is known", async || sink.metric("duplicates_total").await == 3.0).await;
    assert_eq!((world.totals().effects, world.totals().out_of_order), (3, 0));
    sink.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_event_is_delivered_once_its_cause_is_mended() {
    let world = World::start("keyed").await;
    let route = world.dir.path().join("tenants/acme/routes/payments.yaml");
    let rules = "mapping: {rules: [{must: '.amount != .amount', message: \"nothing is right\"}]}\n";
    let plain = std::fs::read_to_string(&route).unwrap();
    std::fs::write(&route, format!("{plain}{rules}")).unwrap();
    let sink = world.sink().await;
    world.pay("PAY-1", 1).await;
    let outcomes = world.settled(1).await;
    assert_eq!(outcomes[0].status, OutcomeStatus::Rejected, "{outcomes:?}");
    sink.stop().await;
    std::fs::write(&route, plain).unwrap();
    let sink = world.sink().await;
    again(&world, "PAY-1", 1, &replay(0, None)).await;
    eventually("it is known", async || sink.metric("duplicates_total").await >= 1.0).await;
    assert_eq!(world.totals().effects, 0, "a rejection never changes");
    again(&world, "PAY-1", 1, &replay(1, None)).await;
    let outcomes = of_generation(&world, 1, 1).await;
    assert_eq!(outcomes[0].status, OutcomeStatus::Committed);
    assert_eq!((world.totals().effects, world.dead_letters().await.len()), (1, 1));
    sink.stop().await;
}

fn member(world: &World, name: &str) -> Options {
    let mut options = world.options();
    options.ledger.dir = world.dir.path().join(name);
    options
}

/// One member leaves in the middle of it, and another one comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_on_while_partitions_change_hands() {
    const EVENTS: usize = 90;
    let world = World::start("keyed").await;
    let stays = world.sink_with(member(&world, "stays")).await;
    let leaves = world.sink_with(member(&world, "leaves")).await;
    eventually("both have partitions", async || {
        stays.metric("takeover_seconds_count").await > 0.0
            && leaves.metric("takeover_seconds_count").await > 0.0
    })
    .await;
    for i in 0..EVENTS {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    world.settled(EVENTS).await;
    world.change(Change { latency_ms: Some(30), ..Change::default() });
    let forced = replay(1, Some("payments"));
    for i in 0..EVENTS / 2 {
        again(&world, &format!("PAY-{i}"), 1, &forced).await;
    }
    leaves.stop().await;
    let comes = world.sink_with(member(&world, "comes")).await;
    for i in EVENTS / 2..EVENTS {
        again(&world, &format!("PAY-{i}"), 1, &forced).await;
    }
    let mut ends: HashMap<_, HashSet<OutcomeStatus>> = HashMap::new();
    eventually("each event has an outcome of its new generation", async || {
        ends.clear();
        for outcome in world.outcomes().await.into_iter().filter(|outcome| outcome.generation == 1) {
            ends.entry(outcome.event_id).or_default().insert(outcome.status);
        }
        ends.len() == EVENTS
    })
    .await;
    eventually("the new one has partitions", async || comes.metric("takeover_seconds_count").await > 0.0)
        .await;
    assert!(ends.values().all(|ends| *ends == HashSet::from([OutcomeStatus::Committed])), "{ends:?}");
    assert_eq!(world.totals().effects as usize, 2 * EVENTS, "one of each event, and one of each generation");
    stays.stop().await;
    comes.stop().await;
}

/// What the ledger has forgotten may have been posted: only a new generation, which was never posted, may go out.
#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_horizon_only_a_new_generation_is_sent() {
    let world = World::start("keyed").await;
    let mut options = world.options();
    options.ledger.horizon = Duration::from_secs(3_600);
    let sink = world.sink_with(options).await;
    let (_, key, value) = world.payment_at(now() - 7_200_000_000, &tenant(), "PAY-1", 1);
    for generation in [0, 1] {
        let header = replay(generation, None).to_header();
        let headers: &[(&str, &[u8])] = &[(REPLAY_HEADER, &header)];
        world.publish_with(ObjectKind::Payment, &key, Some(&value), headers).await;
    }
    let forgotten = of_generation(&world, 0, 1).await;
    let known = (forgotten[0].status, forgotten[0].error_code.as_deref(), forgotten[0].attempts);
    assert_eq!(known, (OutcomeStatus::InDoubt, Some("SNK-0015"), 0));
    assert_eq!(of_generation(&world, 1, 1).await[0].status, OutcomeStatus::Committed);
    assert_eq!(world.totals().effects, 1);
    sink.stop().await;
}
