//! Following partitions without a group, as their records come.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use crate::{RangeRecord, ReadError, Settings, SettingsError, context::LogContext, reader::is_passing};

/// A partition to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The first offset to read. Where it is gone, the oldest record there is comes first: compare the offsets.
    pub offset: i64,
}

/// Follows any partitions with one client. Blocking.
pub struct Tail {
    consumer: BaseConsumer<LogContext>,
    /// The place of each followed partition in the list that was given.
    places: HashMap<Arc<str>, HashMap<i32, usize>>,
}

impl Tail {
    /// A tail that follows nothing yet.
    ///
    /// # Errors
    /// Where the settings make no client.
    pub fn new(settings: &Settings) -> Result<Self, ReadError> {
        let mut config = settings.consumer_config("counterfoil-standby")?;
        config
            .set("auto.offset.reset", "earliest")
            // Of all that it follows; its reader is a disk.
            .set("queued.max.messages.kbytes", "16384");
        let consumer =
            BaseConsumer::from_config_and_context(&config, LogContext).map_err(SettingsError::Client)?;
        Ok(Self { consumer, places: HashMap::new() })
    }

    /// Follows these partitions from now on, and no others: of those, nothing that was fetched comes any more.
    ///
    /// # Errors
    /// Where the client refuses.
    pub fn follow(&mut self, starts: &[Start]) -> Result<(), ReadError> {
        self.places.clear();
        let mut list = TopicPartitionList::with_capacity(starts.len());
        for (place, start) in starts.iter().enumerate() {
            list.add_partition_offset(&start.topic, start.partition, Offset::Offset(start.offset))
                .map_err(|e| failed(&start.topic, e))?;
            self.places.entry(Arc::clone(&start.topic)).or_default().insert(start.partition, place);
        }
        self.consumer.assign(&list).map_err(|e| failed("(all)", e))
    }

    /// Shows the next record to `visit`, with its partition's place in the list. False if none came within `timeout`.
    ///
    /// # Errors
    /// Where a partition cannot be read.
    pub fn next(
        &self,
        timeout: Duration,
        visit: impl FnOnce(usize, RangeRecord<'_>),
    ) -> Result<bool, ReadError> {
        match self.consumer.poll(timeout) {
            None => Ok(false),
            Some(Err(error)) if is_passing(&error) => Ok(false),
            Some(Err(error)) => Err(failed("(any)", error)),
            Some(Ok(message)) => {
                let place = self.places.get(message.topic()).and_then(|p| p.get(&message.partition()));
                if let Some(place) = place {
                    let (key, value) = (message.key(), message.payload());
                    visit(*place, RangeRecord { offset: message.offset(), key, value, message: &message });
                }
                Ok(true)
            }
        }
    }
}

fn failed(topic: &str, source: KafkaError) -> ReadError {
    ReadError::Kafka { topic: Arc::from(topic), source }
}
