//! Publishing records once more, no faster than is asked for.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use contract::{DECISION_HEADER, REPLAY_HEADER, Replay};
use kafka::{Ack, Producer};

use crate::{
    commands::log::{Log, Record},
    settings::Settings,
};

/// Most records under way.
const UNDER_WAY: usize = 256;
/// How long the brokers may take to acknowledge one.
const ACK: Duration = Duration::from_secs(30);

/// Publishes at a steady rate. Blocking.
pub(super) struct Publisher {
    producer: Producer,
    every: Duration,
    next: Instant,
    under_way: VecDeque<Ack>,
}

impl Publisher {
    pub(super) fn new(settings: &Settings, per_second: u32) -> anyhow::Result<Self> {
        let producer = Producer::new(&settings.kafka)?;
        let every = Duration::from_secs(1) / per_second;
        Ok(Self { producer, every, next: Instant::now(), under_way: VecDeque::new() })
    }

    /// The event's bytes as they came, where they came, with the wish beside them.
    pub(super) fn publish(&mut self, log: &Log, record: &Record, wish: &Replay) -> anyhow::Result<()> {
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next += self.every;
        if self.under_way.len() >= UNDER_WAY {
            self.acknowledged(log)?;
        }
        let header = wish.to_header();
        let told = |name: &str| name == DECISION_HEADER || name == REPLAY_HEADER;
        let mut headers: Vec<(&str, &[u8])> = record.headers().filter(|(name, _)| !told(name)).collect();
        headers.push((REPLAY_HEADER, &header));
        let (topic, key, value) = (&record.topic, &record.label.key, Some(&record.value[..]));
        let sent = self.producer.enqueue(topic, record.partition, key, value, &headers);
        self.under_way.push_back(log.wait_for(sent)?);
        Ok(())
    }

    /// Waits until the brokers have all of them.
    pub(super) fn finish(mut self, log: &Log) -> anyhow::Result<()> {
        while !self.under_way.is_empty() {
            self.acknowledged(log)?;
        }
        Ok(())
    }

    fn acknowledged(&mut self, log: &Log) -> anyhow::Result<()> {
        if let Some(ack) = self.under_way.pop_front() {
            log.wait_for(async { tokio::time::timeout(ACK, ack.wait()).await })??;
        }
        Ok(())
    }
}
