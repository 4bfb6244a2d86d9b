//! A sink as a process of its own that is killed (SIGKILL) with requests under way, on each of the two stores.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use common::{REGION, World, eventually, tenant};
use contract::OutcomeStatus;
use event::EventId;
use ledger::StoreKind;
use sandbox::Change;

const EVENTS: usize = 100;
const CONCURRENCY: usize = 8;
/// It is killed when the target has applied so many of them, and has others under way.
const KILLED_AT: [u64; 2] = [10, 40];

/// Ends with the test, however that ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap(); // SIGKILL
        self.0.wait().unwrap();
    }
}

/// A configuration file of the sink, on this store.
fn configure(world: &World, store: &str) -> PathBuf {
    let options = world.options();
    let path = world.dir.path().join("sink.toml");
    let mut text = format!(
        "admin_listen = '127.0.0.1:0'\nregion = '{REGION}'\ntenants = '{}'\nsignin = '{}'\ncommit_every = '300ms'\n\
         clock_skew = '100ms'\nledger = {{dir = '{}', store = '{store}', reserve_bytes = 0}}\nregistry = {{url = '{}'}}\n\
         log = {{filter = 'warn'}}\n[kafka]\nbootstrap = '{}'\n[kafka.consumer]\n",
        options.tenants.display(),
        options.signin.display(),
        world.ledger_dir().display(),
        options.registry.url,
        world.broker.bootstrap(),
    );
    for (name, value) in kafka::embedded::consumer_properties() {
        text.push_str(&format!("'{name}' = '{value}'\n"));
    }
    std::fs::write(&path, text).unwrap();
    path
}

fn start(config: &std::path::Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil-sink"));
    command.arg("--config").arg(config).arg("--until-stdin-ends").stdin(Stdio::piped());
    Process(command.spawn().unwrap())
}

/// Kills a sink twice, and lets a third one end everything and meet it all again.
async fn killed_twice(store: StoreKind, class: &str) {
    let world = World::start(class).await;
    world.change(Change { latency_ms: Some(200), log_requests: Some(true), ..Change::default() });
    let config = configure(&world, if store == StoreKind::Redb { "redb" } else { "sled" });
    let mut entities: BTreeMap<EventId, String> = BTreeMap::new();
    for i in 0..EVENTS {
        let entity = format!("PAY-{i}");
        entities.insert(world.pay(&entity, 1).await, entity);
    }
    for effects in KILLED_AT {
        let process = start(&config);
        eventually("requests are under way", async || {
            let totals = world.totals();
            totals.effects >= effects && totals.pending > 0
        })
        .await;
        drop(process);
        assert!((world.totals().effects as usize) < EVENTS, "nothing was left to do");
    }
    let process = start(&config);
    let outcomes = world.settled(EVENTS).await;
    let mut ends: BTreeMap<EventId, OutcomeStatus> = BTreeMap::new();
    for outcome in &outcomes {
        let before = ends.insert(outcome.event_id, outcome.status);
        assert!(before.is_none_or(|before| before == outcome.status), "two outcomes of {}", outcome.entity);
    }
    assert!(ends.keys().eq(entities.keys()), "an outcome for each event and no other");
    let buckets = std::fs::read_dir(world.ledger_dir()).unwrap();
    let names: Vec<String> = buckets.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let (own, other) = if store == StoreKind::Redb { ("redb-", "sled-") } else { ("sled-", "redb-") };
    assert!(names.iter().any(|name| name.starts_with(own)), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with(other) || name.starts_with("damaged")), "{names:?}");

    // Only the ledger can tell a repeat.
    for entity in entities.values() {
        world.pay(entity, 1).await;
    }
    world.all_committed().await;
    drop(process);
    eventually("the target has ended what it had", async || world.totals().pending == 0).await;
    let mut effects: BTreeMap<String, usize> = BTreeMap::new();
    for row in world.requests("acme").await.into_iter().filter(|row| row.fate.is_effect()) {
        *effects.entry(row.external_id).or_default() += 1;
    }
    let mut doubts = 0;
    for (event, entity) in &entities {
        let seen = effects.get(entity).copied().unwrap_or_default();
        match ends[event] {
            OutcomeStatus::Committed => assert_eq!(seen, 1, "{entity}"),
            OutcomeStatus::InDoubt => {
                doubts += 1;
                assert!(seen <= 1, "{entity}: {seen}");
            }
            other => panic!("{entity}: {other:?}"),
        }
    }
    let most = KILLED_AT.len() * CONCURRENCY;
    if class == "neither" {
        assert!(
            (1..=most).contains(&doubts),
            "{store:?}: {doubts} in doubt, the kills met nothing under way"
        );
    } else {
        assert_eq!(doubts, 0, "{store:?}");
    }
    assert_eq!(world.totals().duplicates, 0, "{store:?}");
    assert!(world.records(topics::names::dlq(REGION, Some(&tenant()))).await.is_empty());
}

/// One after the other: a process more at a time would only be slower.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_double_and_what_was_under_way_is_in_doubt_only_without_a_key() {
    for (store, class) in
        [(StoreKind::Sled, "neither"), (StoreKind::Redb, "neither"), (StoreKind::Redb, "keyed")]
    {
        killed_twice(store, class).await;
    }
}
