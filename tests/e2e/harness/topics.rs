//! What is on the topics: outcomes, dead letters, offsets.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use contract::{Decoder, Outcome, RegistryClient, decode_outcome, split_wire};
use event::{ObjectKind, TenantId};
use kafka::{Position, Producer, ReadRecord, Reader, Settings};
use topics::{Placement, names};

use super::{PATIENCE, POLL, blocking, until};

/// As in tenant.yaml and topics/, by default.
const SHARDS: usize = 4;
const PARTITIONS: i32 = 12;

/// The topics of a region.
#[derive(Clone)]
pub struct Topics {
    pub settings: Settings,
    pub region: String,
}

impl Topics {
    pub fn new(bootstrap: &str, region: &str) -> Self {
        Self { settings: Settings::new(bootstrap), region: region.to_owned() }
    }

    pub fn of(&self, object: ObjectKind) -> String {
        names::object_topic(&self.region, object)
    }

    /// Puts raw bytes where an event of `tenant` with this key belongs.
    pub async fn publish(&self, tenant: &TenantId, object: ObjectKind, key: &[u8], value: &[u8]) -> Position {
        let partition = Placement::new(tenant, SHARDS as _, PARTITIONS as _).partition(key);
        let producer = Producer::new(&self.settings).unwrap();
        producer.send(&self.of(object), partition, key, value, &[]).await.unwrap()
    }

    /// Everything on a topic.
    pub async fn records(&self, topic: &str) -> Vec<ReadRecord> {
        let (settings, topic) = (self.settings.clone(), topic.to_owned());
        blocking(move || {
            let reader = Reader::from_beginning(&settings, &topic).unwrap();
            let bounds = |partition| reader.bounds(partition).unwrap();
            let count: i64 = (0..reader.partitions().unwrap()).map(bounds).map(|(low, end)| end - low).sum();
            let next = || reader.next(Duration::from_secs(20)).unwrap().expect("a record that is there");
            (0..count).map(|_| next()).collect()
        })
        .await
    }

    /// The dead letters of a tenant, or of nobody.
    pub async fn dead_letters(&self, tenant: Option<&TenantId>) -> Vec<ReadRecord> {
        self.records(&names::dlq(&self.region, tenant)).await
    }

    /// OFF-2: waits until the group has committed the end of every partition, exactly.
    pub async fn committed_to_the_end(&self, group: &str, object: ObjectKind) {
        let topic = self.of(object);
        let ends = kafka::admin::end_offsets(&self.settings, &topic).await.unwrap();
        until(&format!("offsets of {topic} to be committed up to {ends:?}"), async || {
            self.committed(group, &topic).await == ends
        })
        .await;
    }

    /// Partitions on which the group has not committed the end: `(topic, partition, committed, end)`.
    pub async fn behind(&self, group: &str) -> Vec<(String, i32, i64, i64)> {
        let mut behind = Vec::new();
        for topic in
            [ObjectKind::Customer, ObjectKind::Invoice, ObjectKind::Payment].map(|object| self.of(object))
        {
            let ends = kafka::admin::end_offsets(&self.settings, &topic).await.unwrap();
            let committed = self.committed(group, &topic).await;
            let differing = ends.into_iter().filter(|(partition, end)| committed[partition] != *end);
            behind.extend(
                differing.map(|(partition, end)| (topic.clone(), partition, committed[&partition], end)),
            );
        }
        behind
    }

    async fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        let committed = kafka::admin::committed(&self.settings, group, topic).await.unwrap();
        committed.into_iter().map(|(partition, offset)| (partition, offset.unwrap_or(0))).collect()
    }
}

/// Every outcome event of the region, read as any downstream team would.
pub struct Outcomes {
    read: Arc<Mutex<Vec<Outcome>>>,
    stop: Arc<AtomicBool>,
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Outcomes {
    pub async fn watch(topics: &Topics, registry: &str) -> Self {
        let (settings, topic) = (topics.settings.clone(), names::outcome(&topics.region));
        let reader = blocking(move || Reader::from_beginning(&settings, &topic).unwrap()).await;
        let decoder = Decoder::new(RegistryClient::new(registry).unwrap());
        let outcomes = Self { read: Arc::default(), stop: Arc::default() };
        let (read, stop) = (Arc::clone(&outcomes.read), Arc::clone(&outcomes.stop));
        let runtime = tokio::runtime::Handle::current();
        let watch = move || {
            while !stop.load(Ordering::Relaxed) {
                let Some(record) = reader.next(Duration::from_millis(50)).unwrap() else { continue };
                let (id, datum) = split_wire(record.value.as_ref().unwrap()).unwrap();
                let schema = runtime.block_on(decoder.fetch(id)).unwrap();
                read.lock().unwrap().push(decode_outcome(&schema, datum).unwrap());
            }
        };
        std::thread::Builder::new().name("outcomes".into()).spawn(watch).unwrap();
        outcomes
    }

    /// Every outcome so far, by event id. Each event of the scenarios takes one route. An outcome is announced again when
    /// the event comes again, and must say the same then of everything but that record's own acceptance.
    pub fn by_event(&self) -> HashMap<String, Outcome> {
        let mut outcomes: HashMap<String, Outcome> = HashMap::new();
        for outcome in self.read.lock().unwrap().iter() {
            let first = outcomes.entry(outcome.event_id.to_string()).or_insert_with(|| outcome.clone());
            let again = Outcome { accepted_at: first.accepted_at, ..outcome.clone() };
            assert_eq!(*first, again, "two outcomes of one event");
        }
        outcomes
    }

    /// Every outcome of one event so far, in order.
    pub fn of_event(&self, event: &str) -> Vec<Outcome> {
        let read = self.read.lock().unwrap();
        read.iter().filter(|outcome| outcome.event_id.to_string() == event).cloned().collect()
    }

    /// Waits until each of these events has an outcome; or those that have none.
    pub async fn of(&self, events: &[String]) -> Result<HashMap<String, Outcome>, Vec<String>> {
        let mut missing = events.to_vec();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let outcomes = self.by_event();
            missing.retain(|id| !outcomes.contains_key(id));
            if missing.is_empty() {
                return Ok(outcomes);
            }
            if Instant::now() >= deadline {
                return Err(missing);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
