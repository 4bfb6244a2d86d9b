//! What is on the topics: events, outcomes, dead letters, offsets.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use contract::{Decoder, Outcome, RegistryClient, decode_event, decode_outcome, split_wire};
use event::{ObjectKind, RecordKey, TenantId};
use kafka::{Producer, ReadRecord, Reader, Settings};
use parking_lot::Mutex;
use topics::{Placement, names};

use crate::{
    books::{Books, Poison},
    class::Class,
};

/// As in tenant.yaml and topics/, by default.
const SHARDS: usize = 4;
pub const PARTITIONS: i32 = 12;

/// The topics of a region.
#[derive(Clone)]
pub struct Topics {
    settings: Settings,
    region: String,
    producer: Producer,
}

/// A partition that is not at its end: topic, partition, committed, end.
pub type Behind = (String, i32, i64, i64);

impl Topics {
    pub fn new(bootstrap: &str, region: &str) -> anyhow::Result<Self> {
        let mut settings = Settings::new(bootstrap);
        // an unreadable record that was perhaps written could not be told from a mistake of the product's
        settings.producer.insert("message.timeout.ms".to_owned(), "110000".to_owned());
        let producer = Producer::new(&settings)?;
        Ok(Self { settings, region: region.to_owned(), producer })
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub const fn producer(&self) -> &Producer {
        &self.producer
    }

    /// The settings of a client that reaches the cluster at other addresses.
    pub fn settings_at(&self, bootstrap: String) -> Settings {
        Settings { bootstrap, ..self.settings.clone() }
    }

    pub fn of(&self, object: ObjectKind) -> String {
        names::object_topic(&self.region, object)
    }

    /// Where the events of an entity are.
    pub fn partition(&self, class: Class, object: ObjectKind, entity: &str) -> anyhow::Result<i32> {
        let key = RecordKey::new(class.tenant()?, object, entity)?.to_bytes();
        Ok(Placement::new(&class.tenant()?, SHARDS, PARTITIONS).partition(&key))
    }

    /// Puts raw bytes where an event of the tenant with this key belongs.
    pub async fn publish(
        &self,
        class: Class,
        object: ObjectKind,
        key: &[u8],
        value: Vec<u8>,
    ) -> anyhow::Result<Poison> {
        let placement = Placement::new(&class.tenant()?, SHARDS, PARTITIONS);
        let topic = self.of(object);
        let at = self.producer.send(&topic, placement.partition(key), key, &value, &[]).await?;
        Ok(Poison { topic, at, value })
    }

    /// Everything on a topic.
    pub async fn records(&self, topic: &str) -> anyhow::Result<Vec<ReadRecord>> {
        let (settings, topic) = (self.settings.clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let reader = Reader::from_beginning(&settings, &topic)?;
            let mut left = 0;
            for partition in 0..reader.partitions()? {
                let (low, end) = reader.bounds(partition)?;
                left += end - low;
            }
            let next =
                || reader.next(Duration::from_secs(20))?.context("a record that is there does not come");
            (0..left).map(|_| next()).collect()
        })
        .await
        .context("the reader panicked")?
    }

    /// The dead letters of a tenant, or of nobody.
    pub async fn dead_letters(&self, tenant: Option<&TenantId>) -> anyhow::Result<Vec<ReadRecord>> {
        self.records(&names::dlq(&self.region, tenant)).await
    }

    /// Partitions on which the group has not committed the end.
    pub async fn behind(&self, group: &str) -> anyhow::Result<Vec<Behind>> {
        let mut behind = Vec::new();
        for topic in Class::OBJECTS.map(|object| self.of(object)) {
            let ends = kafka::admin::end_offsets(&self.settings, &topic).await?;
            let committed = kafka::admin::committed(&self.settings, group, &topic).await?;
            let at = |partition: &i32| committed.get(partition).copied().flatten().unwrap_or(0);
            let differing = ends.iter().filter(|(partition, end)| at(partition) != **end);
            behind.extend(differing.map(|(partition, end)| (topic.clone(), *partition, at(partition), *end)));
        }
        Ok(behind)
    }
}

/// Every outcome event of the region, read as any downstream team would.
pub struct Outcomes {
    read: Arc<Mutex<Read>>,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct Read {
    /// For each event its outcomes in order; one that says the same status again is left out.
    by_event: HashMap<String, Vec<Outcome>>,
    trouble: Option<String>,
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Outcomes {
    pub async fn watch(topics: &Topics, registry: &str) -> anyhow::Result<Self> {
        let (settings, topic) = (topics.settings.clone(), names::outcome(&topics.region));
        let reader = tokio::task::spawn_blocking(move || Reader::from_beginning(&settings, &topic));
        let reader = reader.await.context("the reader panicked")??;
        let decoder = Decoder::new(RegistryClient::new(registry)?);
        let outcomes = Self { read: Arc::default(), stop: Arc::default() };
        let (read, stop) = (Arc::clone(&outcomes.read), Arc::clone(&outcomes.stop));
        let runtime = tokio::runtime::Handle::current();
        let watch = move || {
            while !stop.load(Ordering::Relaxed) {
                match next(&reader, &decoder, &runtime) {
                    Ok(Some(outcome)) => note(&mut read.lock().by_event, outcome),
                    Ok(None) => {}
                    Err(error) => {
                        read.lock().trouble = Some(format!("{error:#}"));
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new().name("outcomes".into()).spawn(watch)?;
        Ok(outcomes)
    }

    /// Accepted events that have no outcome yet.
    pub fn missing(&self, books: &Books) -> anyhow::Result<Vec<String>> {
        let read = self.read.lock();
        if let Some(trouble) = &read.trouble {
            anyhow::bail!("outcomes cannot be read: {trouble}");
        }
        let open = |id: &&String| !read.by_event.contains_key(*id);
        Ok(books.with(|pages| pages.issued.keys().filter(open).cloned().collect()))
    }

    pub fn by_event(&self) -> HashMap<String, Vec<Outcome>> {
        self.read.lock().by_event.clone()
    }
}

fn next(
    reader: &Reader,
    decoder: &Decoder,
    runtime: &tokio::runtime::Handle,
) -> anyhow::Result<Option<Outcome>> {
    let Some(record) = reader.next(Duration::from_millis(50))? else { return Ok(None) };
    let value = record.value.context("an outcome without a value")?;
    let (id, datum) = split_wire(&value)?;
    let schema = runtime.block_on(decoder.fetch(id))?;
    Ok(Some(decode_outcome(&schema, datum)?))
}

fn note(by_event: &mut HashMap<String, Vec<Outcome>>, outcome: Outcome) {
    let known = by_event.entry(outcome.event_id.to_string()).or_default();
    if known.iter().all(|seen| seen.status != outcome.status) {
        known.push(outcome);
    }
}

/// A position on a topic.
pub type Origin = (String, i32, i64);

/// Where the event of each id stands first.
pub async fn positions(
    originals: &BTreeMap<Origin, bytes::Bytes>,
    registry: &str,
) -> anyhow::Result<HashMap<String, Origin>> {
    let decoder = Decoder::new(RegistryClient::new(registry)?);
    let mut positions = HashMap::new();
    for (at, value) in originals {
        let Ok((id, datum)) = split_wire(value) else { continue }; // nobody can read it
        let schema = decoder.fetch(id).await?;
        let event = decode_event(&schema, datum)?;
        positions.entry(event.envelope.event_id.to_string()).or_insert_with(|| at.clone());
    }
    Ok(positions)
}

/// The values of all records of the input topics, by where they stand.
pub async fn originals(topics: &Topics) -> anyhow::Result<BTreeMap<Origin, bytes::Bytes>> {
    let mut originals = BTreeMap::new();
    for topic in Class::OBJECTS.map(|object| topics.of(object)) {
        for record in topics.records(&topic).await? {
            let at = (record.topic.to_string(), record.partition, record.offset);
            originals.insert(at, record.value.unwrap_or_default());
        }
    }
    Ok(originals)
}
