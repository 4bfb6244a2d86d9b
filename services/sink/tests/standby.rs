//! Standby copies: whoever takes a partition over has its ledger already.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{REGION, RunningSink, World, eventually, tenant};
use delivery::{Outcome, ResolvedBy, Status};
use event::{EntityId, EventId, ObjectKind, PostingKey, RouteId};
use kafka::{Journal, JournalError, JournalRecord, Journaled};
use ledger::{Entry, StoreKind, Stored};
use sink::Options;
use topics::names;

const PARTITIONS: usize = 12;

fn options(world: &World, name: &str, standby: bool, store: StoreKind) -> Options {
    let mut options = world.options();
    options.ledger.dir = world.dir.path().join(name);
    options.ledger.store = store;
    options.standby = standby;
    options
}

async fn restored_partitions(sinks: &[&RunningSink]) -> usize {
    let mut count = 0;
    for sink in sinks {
        count += sink.metric("takeover_seconds_count").await as usize;
    }
    count
}

/// Two sinks that share the partitions, at rest.
async fn two_sinks(
    world: &World,
    standby: bool,
    store: StoreKind,
    partitions: usize,
) -> (RunningSink, RunningSink) {
    let a = world.sink_with(options(world, "a", standby, store)).await;
    let b = world.sink_with(options(world, "b", standby, store)).await;
    eventually("both sinks have partitions", async || {
        a.metric("takeover_seconds_count").await > 0.0
            && b.metric("takeover_seconds_count").await > 0.0
            && restored_partitions(&[&a, &b]).await >= partitions
            && a.is_ready().await
            && b.is_ready().await
    })
    .await;
    (a, b)
}

/// Delivers with two sinks, ends one, and lets the other one meet every event again. Returns how many records of the
/// changelogs were written before, and how many the survivor read when it took over.
async fn one_takes_over(standby: bool, store: StoreKind) -> (usize, usize) {
    const EVENTS: usize = 200;
    let world = World::start("neither").await;
    let (a, b) = two_sinks(&world, standby, store, PARTITIONS).await;
    for i in 0..EVENTS {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    world.settled(EVENTS).await;
    let changelog =
        world.records(names::ledger(&names::object_topic(REGION, ObjectKind::Payment))).await.len();
    if standby {
        // Each partition is owned by one and copied by the other.
        eventually("all records are copied", async || {
            let copied = a.metric("standby_records_total").await + b.metric("standby_records_total").await;
            copied as usize >= changelog
        })
        .await;
    }
    let before = b.metric("restored_records_total").await;
    a.stop().await;
    // Only a ledger can tell that these are over.
    for i in 0..EVENTS {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    eventually("the survivor met every event again", async || {
        b.metric("duplicates_total").await as usize >= EVENTS
    })
    .await;
    let restored = (b.metric("restored_records_total").await - before) as usize;
    // Given back, the partitions are followed again: nothing is lost between the two.
    let a = world.sink_with(options(&world, "a", standby, store)).await;
    eventually("the other one is back", async || {
        a.metric("takeover_seconds_count").await > 0.0 && a.is_ready().await
    })
    .await;
    for i in EVENTS..EVENTS + 50 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    world.settled(EVENTS + 50).await;
    b.stop().await;
    for i in 0..EVENTS + 50 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    eventually("all of them again", async || a.metric("duplicates_total").await as usize >= EVENTS + 50)
        .await;
    a.stop().await;
    let totals = world.totals();
    assert_eq!((totals.documents, totals.duplicates), (EVENTS as u64 + 50, 0));
    (changelog, restored)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_reads_only_the_tail() {
    for store in [StoreKind::Sled, StoreKind::Redb] {
        let (changelog, restored) = one_takes_over(true, store).await;
        assert!(changelog >= 400, "an Intent and an outcome for each");
        assert!(
            restored < changelog / 20,
            "{store:?}: {restored} of {changelog} records were read at the takeover"
        );
    }
}

/// That the test above can fail.
#[tokio::test(flavor = "multi_thread")]
async fn without_copies_a_takeover_reads_everything() {
    let (changelog, restored) = one_takes_over(false, StoreKind::Sled).await;
    assert!(restored > changelog / 8, "{restored} of {changelog}");
}

/// How long a takeover of `COUNTERFOIL_TAKEOVER_KEYS` keys takes, with copies and without.
#[tokio::test(flavor = "multi_thread")]
async fn takeover() {
    let keys = std::env::var("COUNTERFOIL_TAKEOVER_KEYS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let with = measure(keys, true).await;
    let without = measure(keys, false).await;
    println!("{with}\n{without}");
    assert!(with.restored * 20 < without.restored.max(1), "{with}\n{without}");
}

struct Takeover {
    keys: usize,
    standby: bool,
    /// Keys that the survivor read when it took over.
    restored: usize,
    /// From an assignment to a complete ledger, on average over the partitions taken over.
    complete: f64,
    /// From the end of the other sink until events of all partitions have their effect, the group's own time included.
    effects_after: Duration,
}

impl std::fmt::Display for Takeover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "takeover of {} keys, standby {}: {} records read; {:.3} s from assignment to the first send; {:.1} s from the \
             other's end until all had their effects",
            self.keys,
            self.standby,
            self.restored,
            self.complete,
            self.effects_after.as_secs_f64()
        )
    }
}

const OBJECTS: [ObjectKind; 5] =
    [ObjectKind::Customer, ObjectKind::Contact, ObjectKind::Invoice, ObjectKind::Order, ObjectKind::Payment];

async fn measure(keys: usize, standby: bool) -> Takeover {
    let world = World::start("upsert").await;
    // More partitions: the embedded broker keeps 5 MiB of each.
    let route = "route: payments\non: [\"customer.*\", \"contact.*\", \"invoice.*\", \"order.*\", \"payment.*\"]\nto: erp\n";
    std::fs::write(world.dir.path().join("tenants/acme/routes/payments.yaml"), route).unwrap();
    let all = OBJECTS.len() * PARTITIONS;
    // Each of the two sinks has half of the keys.
    let settings = world.broker.settings();
    tokio::task::spawn_blocking(move || fill(&settings, 2 * keys)).await.unwrap();
    let (a, b) = two_sinks(&world, standby, StoreKind::Sled, all).await;
    if standby {
        eventually("everything is copied", async || {
            let copied = b.metric("standby_records_total").await + b.metric("restored_records_total").await;
            copied as usize >= 2 * keys
        })
        .await;
    }
    let names = ["restored_records_total", "takeover_seconds_sum", "takeover_seconds_count"];
    let mut before = [0.0; 3];
    for (value, name) in before.iter_mut().zip(names) {
        *value = b.metric(name).await;
    }
    a.stop().await;
    let since = Instant::now();
    let effects = world.totals().effects;
    for i in 0..40 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    // The first ones are of partitions that the survivor had before; the last one needs those of the other.
    eventually("all effects", async || world.totals().effects - effects >= 40).await;
    let effects_after = since.elapsed();
    eventually("all partitions", async || restored_partitions(&[&b]).await >= all).await;
    let mut after = [0.0; 3];
    for (value, name) in after.iter_mut().zip(names) {
        *value = b.metric(name).await;
    }
    b.stop().await;
    let [restored, seconds, partitions] = [0, 1, 2].map(|i| after[i] - before[i]);
    Takeover {
        keys,
        standby,
        restored: restored as usize,
        complete: seconds / partitions.max(1.0),
        effects_after,
    }
}

/// Puts so many outcomes into the changelogs, evenly.
fn fill(settings: &kafka::Settings, keys: usize) {
    let acked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&acked);
    let journal = Journal::new(settings, move |journaled| {
        assert!(matches!(journaled, Journaled::Acked(..)), "{journaled:?}");
        count.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    let topics: Vec<String> =
        OBJECTS.iter().map(|object| names::ledger(&names::object_topic(REGION, *object))).collect();
    for n in 0..keys {
        let stored = Stored {
            key: PostingKey {
                event: EventId::derive(
                    &tenant(),
                    "fill",
                    "payment.received".parse().unwrap(),
                    &n.to_string(),
                    1,
                ),
                route: RouteId(7),
                generation: 0,
            },
            entity: EntityId::of_record_key(&(n as u64).to_be_bytes()),
            entry: Entry::Outcome(outcome(n)),
            term: 0,
        };
        let record = JournalRecord {
            topic: &topics[n % topics.len()],
            partition: Some((n / topics.len() % PARTITIONS) as i32),
            key: &stored.changelog_key(),
            value: &stored.changelog_value().unwrap(),
            headers: &[],
        };
        while let Err(error) = journal.send(&record, n) {
            assert!(matches!(error, JournalError::Full), "{error}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(journal.flush(Duration::from_secs(120)));
    assert_eq!(acked.load(Ordering::Relaxed), keys);
}

fn outcome(n: usize) -> Outcome {
    Outcome {
        status: Status::Committed,
        document: Some(Arc::from(format!("INV-{n:09}"))),
        attempts: 1,
        first_attempt_at: Some(1_764_000_000_000),
        settled_at: 1_764_000_000_050,
        reason: None,
        resolved_by: ResolvedBy::Answer,
        source_version: 1,
        request_hash: n as u64,
    }
}
