//! Of what a vendor allows and what a connection says, the lesser is in force.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;

fn vendor(yaml: &str) -> vendor::Limits {
    let sandbox = include_str!("../../../../../connectors/sandbox.yaml");
    target::Connector::parse("sandbox", &format!("{sandbox}limits: {yaml}\n")).unwrap().limits
}

fn per(max: u64, seconds: u64) -> PerTime {
    PerTime { max, per: Duration::from_secs(seconds) }
}

fn rate(max: u64, per_ms: u64) -> Limit {
    Limit::Rate { max, per_ms }
}

/// What is in force, and which limits are too much.
fn met(said: &Limits, yaml: &str) -> (Allowed, Vec<&'static str>) {
    let (allowed, excess) = allowed(said, &vendor(yaml));
    (allowed, excess.iter().map(|excess| excess.limit).collect())
}

const ALL: &str = "{concurrency: 5, rate: {max: 60, per: 1m}, quota: {max: 5000}, \
                   cost_bucket: {capacity: 100, per_second: 50, request: 10}, exec_time: {max: 20m, per: 5m}}";

#[test]
fn what_a_connection_does_not_say_is_the_vendors_and_what_nobody_says_the_usual() {
    let (allowed, excess) = met(&Limits::default(), ALL);
    let budgets = vec![
        rate(60, 60_000),
        rate(4_500, 86_400_000),
        Limit::Cost { capacity: 100, per_second: 50, cost: 10 },
        Limit::Time { max_ms: 1_200_000, per_ms: 300_000 },
    ];
    assert_eq!((allowed.concurrency, allowed.budgets), (5, budgets));
    assert!(excess.is_empty() && allowed.raised.is_empty());
    let (allowed, _) = met(&Limits::default(), "{}");
    assert_eq!((allowed.concurrency, allowed.budgets), (DEFAULT_CONCURRENCY, vec![]));
    let many =
        |said| met(&Limits { concurrency: said, ..Limits::default() }, "{concurrency: 52}").0.concurrency;
    assert_eq!(
        (many(None), many(Some(52)), many(Some(53))),
        (DEFAULT_CONCURRENCY, 52, 52),
        "more only if it is said"
    );
}

#[test]
fn a_connection_allows_itself_less() {
    let said = Limits {
        concurrency: Some(2),
        rate: Some(per(30, 60)),
        quota: Some(RequestQuota { whole: per(5_000, 86_400), reserve_percent: 50 }),
        cost_bucket: Some(CostBucket { capacity: 80, per_second: 40, request: None }),
        exec_time: Some(per(60_000, 300)),
        ..Limits::default()
    };
    let (allowed, excess) = met(&said, ALL);
    let budgets = vec![
        rate(30, 60_000),
        rate(2_500, 86_400_000),
        Limit::Cost { capacity: 80, per_second: 40, cost: 10 },
        Limit::Time { max_ms: 60_000, per_ms: 300_000 },
    ];
    assert_eq!((allowed.concurrency, allowed.budgets, excess), (2, budgets, vec![]));
}

#[test]
fn limits_over_different_times_hold_both() {
    let with = |rate| Limits { rate: Some(rate), ..Limits::default() };
    let (allowed, excess) = met(&with(per(8, 1)), "{rate: {max: 60, per: 1m}}");
    assert_eq!((allowed.budgets, excess), (vec![rate(60, 60_000), rate(8, 1_000)], vec![]));
    let (allowed, excess) = met(&with(per(100, 60)), "{rate: {max: 2, per: 1s}}");
    assert_eq!((allowed.budgets, excess), (vec![rate(2, 1_000), rate(100, 60_000)], vec![]));
    // It would never be what holds a request back.
    for (said, yaml) in
        [(per(61, 1), "{rate: {max: 60, per: 1m}}"), (per(121, 60), "{rate: {max: 2, per: 1s}}")]
    {
        let (allowed, excess) = met(&with(said), yaml);
        assert_eq!((allowed.budgets.len(), excess), (1, vec!["rate"]), "{yaml}");
    }
}

fn more() -> Limits {
    Limits {
        concurrency: Some(6),
        rate: Some(per(61, 60)),
        quota: Some(RequestQuota { whole: per(5_001, 86_400), reserve_percent: 50 }),
        cost_bucket: Some(CostBucket { capacity: 80, per_second: 60, request: Some(5) }),
        exec_time: Some(per(1_200_001, 300)),
        ..Limits::default()
    }
}

#[test]
fn what_is_more_than_the_vendors_is_told_and_not_done() {
    let (allowed, excess) = met(&more(), ALL);
    let vendors = met(&Limits::default(), ALL).0;
    assert_eq!(allowed.concurrency, 5);
    assert_eq!(allowed.budgets[..2], vendors.budgets[..2], "the reserve is the vendor's too");
    assert_eq!(
        allowed.budgets[2],
        Limit::Cost { capacity: 80, per_second: 50, cost: 10 },
        "of each part the lesser"
    );
    assert_eq!(allowed.budgets[3], vendors.budgets[3]);
    assert_eq!(excess, ["concurrency", "rate", "quota", "cost_bucket", "exec_time"]);
}

#[test]
fn with_a_reason_it_is_in_force_and_the_reason_shown() {
    let raised = excess_names().map(|name| (name.to_owned(), format!("{name} bought"))).into();
    let (allowed, excess) = met(&Limits { raised, ..more() }, ALL);
    let budgets = vec![
        rate(61, 60_000),
        rate(2_500, 86_400_000),
        Limit::Cost { capacity: 80, per_second: 60, cost: 5 },
        Limit::Time { max_ms: 1_200_001, per_ms: 300_000 },
    ];
    assert_eq!((allowed.concurrency, &allowed.budgets, excess), (6, &budgets, vec![]));
    let told = allowed.to_string();
    assert!(told.starts_with("6 at a time, 61 per 1m, 2500 per 24h, 80 points, 60 per s, "), "{told}");
    assert!(told.contains(", concurrency raised: concurrency bought, rate raised: rate bought"), "{told}");
    // A reason for one is none for another.
    let raised = [("rate".to_owned(), "bought".to_owned())].into();
    let (allowed, excess) = met(&Limits { raised, ..more() }, ALL);
    assert_eq!((allowed.concurrency, &allowed.budgets[0]), (5, &rate(61, 60_000)));
    assert_eq!(excess, ["concurrency", "quota", "cost_bucket", "exec_time"]);
}

fn excess_names() -> [&'static str; 5] {
    ["concurrency", "rate", "quota", "cost_bucket", "exec_time"]
}
