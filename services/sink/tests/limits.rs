//! What a target allows over time is kept without waiting for it to say no.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::World;
use contract::{OutcomeStatus, REPLAY_HEADER, Replay, ReplayShare};
use event::ObjectKind;
use sandbox::Change;
use sink::Options;

const EVENTS: usize = 24;

fn limit(world: &World, limits: &str) {
    let url = format!("{}/acme", world.erp.url());
    let connection = format!(
        "connection: erp\nconnector: sandbox\nbase_url: \"{url}\"\nclass: keyed\negress: {{allow_private: true}}\nlimits: {limits}\ntimeout: 1s\n"
    );
    std::fs::write(world.dir.path().join("tenants/acme/connections/erp.yaml"), connection).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_would_throttle_is_never_given_reason_to() {
    let world = World::start("keyed").await;
    // Between our counting and the target's lies the way to it: a tenth of a second in a rate of eight would be seen.
    world.change(Change { throttle_per_second: Some(16), ..Change::default() });
    limit(&world, "{concurrency: 16, rate: {max: 8, per: 1s}}");
    for i in 0..EVENTS {
        world.pay(&format!("P-{i}"), 1).await;
    }
    let sink = world.sink().await;
    let outcomes = world.settled(EVENTS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.attempts == 1));
    let first = outcomes.iter().map(|o| o.settled_at).min().unwrap();
    let last = outcomes.iter().map(|o| o.settled_at).max().unwrap();
    assert!(last - first >= 1_900_000, "three seconds' worth within {} µs", last - first);
    assert_eq!(world.totals().requests as usize, EVENTS, "some were turned away");
    sink.stop().await;
}

/// The sandbox's definition, which says besides where answers tell what is left.
fn with_signals(world: &World) -> Options {
    let folder = world.dir.path().join("connectors");
    std::fs::create_dir(&folder).unwrap();
    let definition = format!(
        "{}signals:\n  - {{limit: rate, kind: remaining_header, header: X-RateLimit-Remaining, max: X-RateLimit-Limit, reset: X-RateLimit-Reset, per: 1s}}\n",
        include_str!("../../../connectors/sandbox.yaml")
    );
    std::fs::write(folder.join("sandbox.yaml"), definition).unwrap();
    Options { connectors: Some(folder), ..world.options() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_tells_of_its_limit_is_kept_where_nobody_has_set_one() {
    let world = World::start("keyed").await;
    world.change(Change { throttle_per_second: Some(8), ..Change::default() });
    limit(&world, "{concurrency: 4}");
    for i in 0..EVENTS {
        world.pay(&format!("P-{i}"), 1).await;
    }
    let sink = world.sink_with(with_signals(&world)).await;
    let outcomes = world.settled(EVENTS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.attempts == 1));
    assert_eq!(world.totals().requests as usize, EVENTS, "some were turned away");
    sink.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_word_of_it_some_are_turned_away_and_posted_all_the_same() {
    let world = World::start("keyed").await;
    world.change(Change { throttle_per_second: Some(8), ..Change::default() });
    limit(&world, "{concurrency: 4}");
    for i in 0..EVENTS {
        world.pay(&format!("P-{i}"), 1).await;
    }
    let sink = world.sink().await;
    let outcomes = world.settled(EVENTS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed));
    assert!(
        world.totals().requests as usize > EVENTS,
        "nobody was turned away: the other test shows nothing"
    );
    sink.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_locks_is_asked_for_one_after_the_other() {
    let world = World::start("keyed").await;
    // All of these payments are of one customer; each of them takes a while.
    world.change(Change { latency_ms: Some(50), ..Change::default() });
    limit(&world, "{concurrency: 16, serialize_on: customer_id}");
    for i in 0..EVENTS {
        world.pay(&format!("P-{i}"), 1).await;
    }
    let sink = world.sink().await;
    let outcomes = world.settled(EVENTS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.attempts == 1));
    let mut stretches: Vec<(i64, i64)> =
        outcomes.iter().map(|o| (o.first_attempt_at.unwrap(), o.settled_at)).collect();
    stretches.sort_unstable();
    let last = stretches.iter().map(|(_, settled)| *settled).max().unwrap();
    assert!(last - stretches[0].0 >= EVENTS as i64 * 50_000, "two were under way at a time");
    sink.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_state_that_waits_only_the_newest_is_posted() {
    let world = World::start("upsert").await;
    let route = "route: payments\non: [\"payment.*\"]\nto: erp\npolicy: {posts: state}\n";
    std::fs::write(world.dir.path().join("tenants/acme/routes/payments.yaml"), route).unwrap();
    for version in 1..=EVENTS as i64 {
        world.pay("P-1", version).await;
    }
    world.pay("P-2", 1).await;
    let sink = world.sink().await;
    let outcomes = world.settled(EVENTS + 1).await;
    let committed: Vec<i64> = outcomes
        .iter()
        .filter(|o| o.entity == "P-1" && o.status == OutcomeStatus::Committed)
        .map(|o| o.source_version)
        .collect();
    assert!(committed.contains(&(EVENTS as i64)), "the newest is there: {committed:?}");
    assert!(committed.len() < EVENTS / 2, "{} of {EVENTS} versions were posted", committed.len());
    for outcome in outcomes.iter().filter(|o| o.status != OutcomeStatus::Committed) {
        let known = (outcome.status, outcome.error_code.as_deref(), outcome.attempts);
        assert_eq!(known, (OutcomeStatus::Superseded, Some("SNK-0016"), 0));
    }
    assert_eq!(world.totals().effects as usize, committed.len() + 1);
    assert_eq!(world.totals().out_of_order, 0);
    sink.stop().await;
}

/// A stretch of the past was asked for before, and more of it than fits into a second.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_just_happened_does_not_wait_for_a_backfill() {
    const PAST: usize = 80;
    let world = World::start("keyed").await;
    world.change(Change { latency_ms: Some(20), ..Change::default() });
    limit(&world, "{concurrency: 1, shares: {live: 16, backfill: 1}}");
    let replay = Replay {
        generation: 1,
        route: None,
        share: ReplayShare::Backfill,
        at: std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as i64,
        operator: "kim".into(),
        reason: "a test".into(),
    };
    let header = replay.to_header();
    for i in 0..PAST {
        let (_, key, value) = world.payment(&format!("OLD-{i}"), 1);
        let headers: &[(&str, &[u8])] = &[(REPLAY_HEADER, &header)];
        world.publish_with(ObjectKind::Payment, &key, Some(&value), headers).await;
    }
    for i in 0..EVENTS {
        world.pay(&format!("NEW-{i}"), 1).await;
    }
    let sink = world.sink().await;
    let mut outcomes = world.settled(PAST + EVENTS).await;
    outcomes.sort_by_key(|outcome| outcome.settled_at);
    let last = outcomes.iter().rposition(|outcome| outcome.generation == 0).unwrap();
    assert!(last < PAST, "the last live event came as number {last} of {}", PAST + EVENTS);
    assert!(outcomes[last + 1..].iter().all(|outcome| outcome.generation == 1));
    assert_eq!(world.totals().effects as usize, PAST + EVENTS, "and the backfill came to its end");
    sink.stop().await;
}
