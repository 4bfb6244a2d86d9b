//! `counterfoil demo`, as a new user runs it.

use serde_json::Value;

use crate::harness::{Cluster, counterfoil, region, slot, succeeds};

/// What the summary must hold, each a number.
const FIELDS: [&str; 10] = [
    "accepted",
    "committed",
    "duplicates_at_target",
    "events_per_second",
    "in_doubt",
    "lost",
    "p50_ms",
    "p99_ms",
    "rejected",
    "superseded",
];

/// Runs it to its end, with its sink killed halfway, and checks its summary.
async fn demo(events: u64, more: &[&str]) {
    let _slot = slot().await;
    let events_text = events.to_string();
    let mut command = counterfoil(&["demo", "--once", "--json", "--events", &events_text]);
    command.args(more);
    let printed = succeeds(command).await;
    println!("{printed}");
    let summary: Value = serde_json::from_str(&printed).unwrap();
    let missing: Vec<_> = FIELDS.iter().filter(|field| !summary[**field].is_number()).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {summary}");
    let count = |field: &str| summary[field].as_u64().unwrap();
    assert_eq!(
        (count("accepted"), count("crashes"), count("lost"), count("duplicates_at_target")),
        (events, 1, 0, 0),
        "{summary}"
    );
    let settled = ["committed", "rejected", "in_doubt", "superseded"].map(count);
    assert_eq!(settled.iter().sum::<u64>(), events, "{summary}");
    assert!(settled[0] > events * 9 / 10, "most of the feed is good: {summary}");
    let number = |field: &str| summary[field].as_f64().unwrap();
    assert!(number("p50_ms") > 0.0 && number("p50_ms") <= number("p99_ms"), "{summary}");
    assert!(number("events_per_second") > 0.0, "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() {
    demo(2_000, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_real_kafka_and_registry() {
    let events = if cfg!(debug_assertions) { 4_000 } else { 20_000 };
    let Cluster { bootstrap, registry } = Cluster::shared().await;
    demo(events, &["--bootstrap", &bootstrap, "--registry", &registry, "--region", &region()]).await;
}
