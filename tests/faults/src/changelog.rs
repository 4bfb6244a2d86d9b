//! What the changelogs say of Intents: followed from the beginning, because compaction forgets all but the newest one of a posting.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use kafka::{ReadRecord, Reader};
use ledger::{Entry, Stored};
use parking_lot::Mutex;
use topics::names;

use crate::{class::Class, topic::Topics};

const POLL: Duration = Duration::from_millis(50);
/// How long the follower may take to the end of what is written, when nobody writes any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// An Intent of a posting's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    pub hash: u64,
    /// When the changelog had it, microseconds since 1970-01-01 UTC.
    pub at: i64,
}

/// An Intent that a range of records shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first offset that it does not cover.
    pub until: i64,
    /// When the changelog had it, microseconds since 1970-01-01 UTC.
    pub at: i64,
}

/// Every Intent that was ever in the changelogs.
#[derive(Clone, Debug, Default)]
pub struct Intents {
    /// By event id.
    pub own: HashMap<String, Vec<Own>>,
    /// By input topic and partition.
    pub ranges: HashMap<(String, i32), Vec<Range>>,
}

#[derive(Default)]
struct Read {
    intents: Intents,
    /// The next offset of each partition of each changelog.
    next: HashMap<(String, i32), i64>,
    trouble: Option<String>,
}

/// The changelogs of the region, as far as they are written.
pub struct Changelog {
    read: Arc<Mutex<Read>>,
    stop: Arc<AtomicBool>,
}

impl Drop for Changelog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Changelog {
    pub async fn follow(topics: &Topics) -> anyhow::Result<Self> {
        let changelog = Self { read: Arc::default(), stop: Arc::default() };
        for input in Class::OBJECTS.map(|object| topics.of(object)) {
            let (settings, topic) = (topics.settings().clone(), names::ledger(&input));
            let reader = tokio::task::spawn_blocking(move || Reader::from_beginning(&settings, &topic));
            let reader = reader.await.context("the reader panicked")??;
            let (read, stop) = (Arc::clone(&changelog.read), Arc::clone(&changelog.stop));
            let follow = move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Err(error) = next(&reader, &input, &read) {
                        read.lock().trouble = Some(format!("{error:#}"));
                        return;
                    }
                }
            };
            std::thread::Builder::new().name("changelog".into()).spawn(follow)?;
        }
        Ok(changelog)
    }

    /// Everything that is written now.
    pub async fn intents(&self, topics: &Topics) -> anyhow::Result<Intents> {
        let mut ends = HashMap::new();
        for input in Class::OBJECTS.map(|object| topics.of(object)) {
            let of_topic = kafka::admin::end_offsets(topics.settings(), &names::ledger(&input)).await?;
            ends.extend(of_topic.into_iter().map(|(partition, end)| ((input.clone(), partition), end)));
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            {
                let read = self.read.lock();
                if let Some(trouble) = &read.trouble {
                    anyhow::bail!("a changelog cannot be read: {trouble}");
                }
                if ends.iter().all(|(place, end)| read.next.get(place).copied().unwrap_or(0) >= *end) {
                    return Ok(read.intents.clone());
                }
            }
            anyhow::ensure!(tokio::time::Instant::now() < deadline, "a changelog is not read to its end");
            tokio::time::sleep(POLL).await;
        }
    }
}

fn next(reader: &Reader, input: &str, read: &Mutex<Read>) -> anyhow::Result<()> {
    let Some(record) = reader.next(POLL)? else { return Ok(()) };
    let mut read = read.lock();
    note(&mut read.intents, input, &record)?;
    read.next.insert((input.to_owned(), record.partition), record.offset + 1);
    Ok(())
}

fn note(intents: &mut Intents, input: &str, record: &ReadRecord) -> anyhow::Result<()> {
    let (Some(key), Some(value)) = (&record.key, &record.value) else { return Ok(()) };
    let Stored { key, entry, .. } = Stored::from_changelog(key, value)?;
    let Entry::Intent(intent) = entry else { return Ok(()) };
    let at = record.timestamp.context("a record without a time")? * 1_000;
    // The Intent of a range belongs to no event, and has its end where others have their deadline.
    if key.event.0.is_nil() {
        let place = (input.to_owned(), record.partition);
        intents.ranges.entry(place).or_default().push(Range { until: intent.deadline, at });
    } else {
        let own = Own { hash: intent.request_hash, at };
        intents.own.entry(key.event.to_string()).or_default().push(own);
    }
    Ok(())
}
