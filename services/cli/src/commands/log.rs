//! What the topics say: outcomes, and the records that their events came in.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use contract::{Decoder, Outcome, OutcomeStatus, WriterSchema, decode_event, decode_outcome, split_wire};
use event::{Envelope, EventId, ObjectKind, RecordKey, TenantId};
use kafka::{Label, Met, Range, RangeReader, RangeRecord};
use tokio::runtime::Handle;
use topics::names;

use crate::{
    error::{self, CommandError},
    settings::Settings,
};

/// The longest silence of the brokers that is borne.
const PATIENCE: Duration = Duration::from_secs(30);

/// A record as it came.
pub(crate) struct Record {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) label: Label,
    pub(crate) value: Bytes,
}

impl Record {
    /// The headers that came with it.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.label.headers.iter().flat_map(|headers| headers.iter());
        headers.map(|(name, value)| (name.as_str(), value.as_ref()))
    }
}

/// What is in doubt by the region's outcome events, oldest first. Reads all of them: the newest of an event counts.
pub(crate) async fn in_doubt(settings: &Settings, decoder: Decoder) -> anyhow::Result<Vec<Outcome>> {
    let log = Log::new(settings.clone(), decoder);
    tokio::task::spawn_blocking(move || log.in_doubt()).await?
}

/// The first record of the outcome's event.
pub(crate) async fn record_of(
    settings: &Settings,
    decoder: Decoder,
    outcome: &Outcome,
) -> anyhow::Result<Record> {
    let topic: Arc<str> = Arc::from(names::object_topic(&settings.region, outcome.event_type.object()));
    let key = RecordKey::new(outcome.tenant.clone(), outcome.event_type.object(), outcome.entity.as_str())?;
    let (key, event) = (key.to_bytes(), outcome.event_id);
    let log = Log::new(settings.clone(), decoder);
    let at = Arc::clone(&topic);
    let found = tokio::task::spawn_blocking(move || log.record(&at, &key, event)).await??;
    found.ok_or_else(|| error::command(CommandError::RecordGone { event, topic: topic.to_string() }))
}

/// Reads topics whole. Blocking.
pub(crate) struct Log {
    settings: Settings,
    decoder: Decoder,
    runtime: Handle,
}

impl Log {
    /// A reader of the region's topics, for a thread that may block.
    pub(crate) fn new(settings: Settings, decoder: Decoder) -> Self {
        Self { settings, decoder, runtime: Handle::current() }
    }

    /// Waits for something, on a thread that may block.
    pub(crate) fn wait_for<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Every outcome there is, in the order of each event.
    pub(crate) fn outcomes(&self, mut visit: impl FnMut(Outcome)) -> anyhow::Result<()> {
        let topic: Arc<str> = Arc::from(names::outcome(&self.settings.region));
        self.read(&topic, |_, record| {
            let Some(value) = record.value else { return Ok(true) };
            let (id, datum) = split_wire(value)?;
            visit(decode_outcome(&*self.schema(id)?, datum)?);
            Ok(true)
        })
    }

    fn in_doubt(&self) -> anyhow::Result<Vec<Outcome>> {
        let mut doubts = HashMap::new();
        self.outcomes(|outcome| {
            let posting = (outcome.event_id, outcome.route.clone(), outcome.generation);
            if outcome.status == OutcomeStatus::InDoubt {
                doubts.insert(posting, outcome);
            } else {
                doubts.remove(&posting);
            }
        })?;
        let mut doubts: Vec<Outcome> = doubts.into_values().collect();
        doubts.sort_by_key(|outcome| (outcome.settled_at, outcome.event_id.0));
        Ok(doubts)
    }

    fn record(&self, topic: &Arc<str>, key: &[u8], event: EventId) -> anyhow::Result<Option<Record>> {
        let mut found = None;
        self.read(topic, |partition, record| {
            let (Some(value), true) = (record.value, record.key == Some(key)) else { return Ok(true) };
            let (id, datum) = split_wire(value)?;
            if decode_event(&*self.schema(id)?, datum)?.envelope.event_id == event {
                let (topic, value) = (Arc::clone(topic), Bytes::copy_from_slice(value));
                found = Some(Record { topic, partition, label: record.label(), value });
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// The events that an object's topic has now, in the order of each partition; a record that is no event is passed over.
    pub(crate) fn events(
        &self,
        object: ObjectKind,
        tenant: &TenantId,
        mut visit: impl FnMut(Envelope, Record) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let topic: Arc<str> = Arc::from(names::object_topic(&self.settings.region, object));
        self.read(&topic, |partition, record| {
            let of_tenant = RecordKey::tenant_of(record.key.unwrap_or_default()).as_ref() == Some(tenant);
            let (Some(value), true) = (record.value, of_tenant) else { return Ok(true) };
            let Ok((id, datum)) = split_wire(value) else { return Ok(true) };
            let Ok(event) = decode_event(&*self.schema(id)?, datum) else { return Ok(true) };
            let (topic, value) = (Arc::clone(&topic), Bytes::copy_from_slice(value));
            visit(event.envelope, Record { topic, partition, label: record.label(), value })
        })
    }

    /// Every record that is there now, until `visit` wants no more.
    fn read(
        &self,
        topic: &Arc<str>,
        mut visit: impl FnMut(i32, RangeRecord<'_>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let reader = RangeReader::new(&self.settings.kafka)?;
        let partitions = reader.topics()?.get(&**topic).copied();
        let partitions =
            partitions.ok_or_else(|| error::command(CommandError::NoTopic { topic: topic.to_string() }))?;
        let mut ranges = Vec::with_capacity(partitions);
        for partition in 0..partitions as i32 {
            let (start, end) = reader.bounds(topic, partition)?;
            ranges.push(Range { topic: Arc::clone(topic), partition, start, end });
        }
        let mut failure = Ok(());
        reader.read(&ranges, PATIENCE, |index, met| match met {
            Met::End => true,
            Met::Record(record) => match visit(ranges[index].partition, record) {
                Ok(goes_on) => goes_on,
                Err(error) => {
                    let at = format!("{topic}/{} offset {}", ranges[index].partition, record.offset);
                    failure = Err(error.context(at));
                    false
                }
            },
        })?;
        failure
    }

    fn schema(&self, id: u32) -> anyhow::Result<Arc<WriterSchema>> {
        match self.decoder.cached(id) {
            Some(schema) => Ok(schema),
            None => self.runtime.block_on(self.decoder.fetch(id)).map_err(error::registry),
        }
    }
}
