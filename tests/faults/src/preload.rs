//! A history: changelogs as sinks have left them after many events, so that a takeover has a ledger of that size behind it.

use std::time::Duration;

use delivery::{Outcome, ResolvedBy, Status};
use event::{EntityId, EventId, PostingKey, RouteId};
use ledger::{Entry, Stored};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    class::Class,
    moments::micros,
    topic::{PARTITIONS, Topics},
    world::World,
};

/// Records that are under way at once.
const BATCH: u64 = 10_000;
/// How long sinks may take to copy a million of them.
const COPY: Duration = Duration::from_secs(600);
/// Nothing more is copied when the count stands still for so long.
const STILL: Duration = Duration::from_secs(5);
/// The part of them that is counted at least: what a sink had read of a partition that was taken from it again counts nowhere.
const COUNTED: f64 = 0.98;
const RESTORED: &str = "counterfoil_sink_restored_records_total";
const COPIED: &str = "counterfoil_sink_standby_records_total";

/// Appends `keys` outcomes of earlier events to the changelogs, spread over all partitions.
pub async fn append(topics: &Topics, keys: u64) -> anyhow::Result<()> {
    let changelogs = Class::OBJECTS.map(|object| topics::names::ledger(&topics.of(object)));
    let now = micros() / 1_000;
    let mut next = 0;
    while next < keys {
        let mut under_way = Vec::new();
        for n in next..keys.min(next + BATCH) {
            let changelog = &changelogs[n as usize % changelogs.len()];
            let partition = i32::try_from(n / changelogs.len() as u64 % PARTITIONS as u64)?;
            let record = outcome(n, now);
            let (key, value) = (record.changelog_key(), record.changelog_value()?);
            under_way.push(topics.producer().enqueue(changelog, partition, &key, Some(&value), &[]).await?);
        }
        for ack in under_way {
            ack.wait().await?;
        }
        next += BATCH;
    }
    Ok(())
}

/// What the ledger keeps of a posting that was committed at its first attempt.
fn outcome(n: u64, now: i64) -> Stored {
    Stored {
        key: PostingKey { event: EventId(Uuid::new_v4()), route: RouteId(n % 6 + 2), generation: 0 },
        entity: EntityId(Uuid::new_v4()),
        entry: Entry::Outcome(Outcome {
            status: Status::Committed,
            document: Some(format!("D-{n}").into()),
            attempts: 1,
            first_attempt_at: Some(now),
            settled_at: now,
            reason: None,
            resolved_by: ResolvedBy::Answer,
            source_version: 1,
            request_hash: n,
        }),
        term: 0,
    }
}

/// Waits until each of the first two sinks has read `keys` records, its own or as copies, and reads no more. Returns the seconds.
pub async fn copied(world: &World, keys: u64) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for sink in &world.sinks[..2] {
        let (mut last, mut since) = (0.0, Instant::now());
        loop {
            let have = sink.now(RESTORED, "").await + sink.now(COPIED, "").await;
            if have > last {
                (last, since) = (have, Instant::now());
            }
            if have >= keys as f64 * COUNTED && since.elapsed() >= STILL {
                break;
            }
            let late = || format!("{have} of {keys} records are copied after {COPY:?}");
            anyhow::ensure!(begun.elapsed() < COPY, late());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}
