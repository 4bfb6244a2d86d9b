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

/// Delivers the events under these limits: when each write came to the target, microseconds. Each came once.
async fn arrivals(limits: &str, events: usize) -> Vec<i64> {
    let world = World::start("keyed").await;
    world.change(Change { log_requests: Some(true), ..Change::default() });
    limit(&world, limits);
    for i in 0..events {
        world.pay(&format!("P-{i}"), 1).await;
    }
    let sink = world.sink().await;
    let outcomes = world.settled(events).await;
    sink.stop().await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.attempts == 1));
    let arrivals: Vec<i64> = world.requests("acme").await.iter().map(|row| row.at).collect();
    assert_eq!(arrivals.len(), events);
    arrivals
}

/// Most of them in any stretch of so many microseconds.
fn most_within(arrivals: &[i64], stretch: i64) -> usize {
    let from = |start: &i64| arrivals.iter().filter(|at| (*start..*start + stretch).contains(at)).count();
    arrivals.iter().map(from).max().unwrap()
}

/// Five sixths of the quota's stretch: what comes to the target is the sink's count, but for the way between the two.
const QUOTA_SEEN: i64 = 2_500_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_less_its_reserve_is_never_exceeded() {
    let limited = arrivals("{concurrency: 16, quota: {max: 10, per: 3s, reserve_percent: 20}}", EVENTS).await;
    assert!(most_within(&limited, QUOTA_SEEN) <= 8, "more than 8 in 3 s: {limited:?}");
    let free = arrivals("{concurrency: 16}", EVENTS).await;
    assert!(
        most_within(&free, QUOTA_SEEN) > 8,
        "the target is too slow for the test to show anything: {free:?}"
    );
}

/// The most points that were missing in a bucket of the target's own, which every request takes 10 from and time gives 20 a second.
fn points_missing(arrivals: &[i64]) -> f64 {
    let (mut missing, mut last, mut most) = (0.0_f64, arrivals[0], 0.0_f64);
    for at in arrivals {
        missing = (missing - (at - last) as f64 / 1e6 * 20.0).max(0.0) + 10.0;
        (last, most) = (*at, most.max(missing));
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_points_is_never_overdrawn() {
    const REQUESTS: usize = 14;
    // A quarter of a second for the way to the target.
    const SLACK: f64 = 5.0;
    let limits = "{concurrency: 16, cost_bucket: {capacity: 40, per_second: 20, request: 10}}";
    let limited = points_missing(&arrivals(limits, REQUESTS).await);
    assert!(limited <= 40.0 + SLACK, "{limited} points of 40 were used");
    let free = points_missing(&arrivals("{concurrency: 16}", REQUESTS).await);
    assert!(free > 40.0 + SLACK, "the target is too slow for the test to show anything: {free}");
}

const SANDBOX: &str = include_str!("../../../connectors/sandbox.yaml");

/// The sandbox's definition, which says this besides.
fn defined(world: &World, besides: &str) -> Options {
    defined_as(world, &format!("{SANDBOX}{besides}\n"))
}

fn defined_as(world: &World, definition: &str) -> Options {
    let folder = world.dir.path().join("connectors");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("sandbox.yaml"), definition).unwrap();
    Options { connectors: Some(folder), ..world.options() }
}

/// The same, which says where answers tell what is left.
fn with_signals(world: &World) -> Options {
    let signal = "{limit: rate, kind: remaining_header, header: X-RateLimit-Remaining, max: X-RateLimit-Limit, \
                  reset: X-RateLimit-Reset, per: 1s}";
    defined(world, &format!("signals: [{signal}]"))
}

/// The most requests that the target had in hand at a time, while the definition says this and the connection's limits that.
async fn most_at_a_time(definition: &str, connection: &str) -> usize {
    let world = World::start("keyed").await;
    world.change(Change { latency_ms: Some(40), log_requests: Some(true), ..Change::default() });
    limit(&world, connection);
    for i in 0..EVENTS {
        world.pay(&format!("P-{i}"), 1).await;
    }
    let sink = world.sink_with(defined(&world, definition)).await;
    let outcomes = world.settled(EVENTS).await;
    sink.stop().await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.attempts == 1));
    let rows = world.requests("acme").await;
    let stretches: Vec<(i64, i64)> = rows.iter().map(|row| (row.at, row.ended_at.unwrap())).collect();
    assert_eq!(stretches.len(), EVENTS);
    let at = |moment: i64| stretches.iter().filter(|(from, to)| (*from..*to).contains(&moment)).count();
    stretches.iter().map(|(from, _)| at(*from)).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_definition_says_of_the_vendor_bounds_every_connection() {
    assert_eq!(most_at_a_time("limits: {concurrency: 1}", "{}").await, 1, "the connection says nothing");
    // Written past `tenants validate`, for example before the definition said it: the vendor's is kept all the same.
    assert_eq!(most_at_a_time("limits: {concurrency: 1}", "{concurrency: 8}").await, 1);
    let raised = "{concurrency: 8, raised: {concurrency: eight licences}}";
    assert!(
        most_at_a_time("limits: {concurrency: 1}", raised).await > 1,
        "the target is too fast to show anything"
    );
}

/// How long the events take under 16 requests a second, microseconds, while the definition says this of a payment.
async fn duration(payment: &str) -> i64 {
    let path = "    path: /api/v1/payments\n";
    assert!(SANDBOX.contains(path));
    let world = World::start("keyed").await;
    limit(&world, "{concurrency: 4, rate: {max: 16, per: 1s}}");
    for i in 0..EVENTS {
        world.pay(&format!("P-{i}"), 1).await;
    }
    // What begins with a look is carried out for one at a time.
    let single = SANDBOX.replace(", bulk: *puts", "").replace(", bulk: *creates", "");
    let definition = single.replace(path, &format!("{path}{payment}"));
    let sink = world.sink_with(defined_as(&world, &definition)).await;
    let outcomes = world.settled(EVENTS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.attempts == 1));
    sink.stop().await;
    let moments = || outcomes.iter().map(|o| o.settled_at);
    moments().max().unwrap() - moments().min().unwrap()
}

/// How long the events take where the target is asked every second for what is left of its second: in this field of its settings,
/// where a 4 stands.
async fn duration_with_probe(field: &str) -> i64 {
    let world = World::start("keyed").await;
    world.change(Change { latency_ms: Some(20), jitter_ms: Some(4), ..Change::default() });
    limit(&world, "{concurrency: 1}");
    for i in 0..EVENTS {
        world.pay(&format!("P-{i}"), 1).await;
    }
    let request = format!("GET {}/admin/accounts/acme", world.erp.url());
    let signal =
        format!("{{limit: rate, kind: probe, request: \"{request}\", every: 1s, path: $.{field}, per: 1s}}");
    let sink = world.sink_with(defined(&world, &format!("signals: [{signal}]"))).await;
    let outcomes = world.settled(EVENTS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.attempts == 1));
    sink.stop().await;
    let moments = || outcomes.iter().map(|o| o.settled_at);
    moments().max().unwrap() - moments().min().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_says_when_it_is_asked_holds_requests_back() {
    let (held, free) = (duration_with_probe("jitter_ms").await, duration_with_probe("not_there").await);
    // Four or five in a second, but for those that left before the first answer.
    assert!(held >= 2_500_000, "24 events took {held} µs");
    assert!(free < 2_500_000, "a question that is not answered harms nothing: {free} µs");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_an_operation_counts() {
    let (one, two) = (duration("").await, duration("    lookup_first: always\n").await);
    assert!(one < 1_900_000, "24 requests, 16 a second, took {one} µs");
    assert!(two >= 1_900_000, "48 requests, 16 a second and four more at a time, took {two} µs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_of_the_definition_is_kept_without_the_connection() {
    let world = World::start("keyed").await;
    // See the first test for the difference.
    world.change(Change { throttle_per_second: Some(16), ..Change::default() });
    limit(&world, "{concurrency: 16}");
    for i in 0..EVENTS {
        world.pay(&format!("P-{i}"), 1).await;
    }
    let sink = world.sink_with(defined(&world, "limits: {rate: {max: 8, per: 1s}}")).await;
    let outcomes = world.settled(EVENTS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.attempts == 1));
    assert_eq!(world.totals().requests as usize, EVENTS, "some were turned away");
    sink.stop().await;
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
