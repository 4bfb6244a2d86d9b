//! Reading many partitions at once, each to an end that was known at the start.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::BorrowedMessage,
};

use crate::{
    Label, ReadError, Settings, SettingsError, context::LogContext, patience::patiently, reader::is_passing,
};

/// How long a question to the brokers may take.
const ASK: Duration = Duration::from_secs(10);

/// A stretch of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The first offset to read.
    pub start: i64,
    /// The offset to stop before.
    pub end: i64,
}

/// A record of a range.
#[derive(Clone, Copy, Debug)]
pub struct RangeRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    pub(crate) message: &'a BorrowedMessage<'a>,
}

impl RangeRecord<'_> {
    /// Its key with the headers that came with it, copied.
    pub fn label(&self) -> Label {
        Label::of(self.message)
    }
}

/// What [`RangeReader::read`] meets.
#[derive(Clone, Copy, Debug)]
pub enum Met<'a> {
    /// The next record of a range.
    Record(RangeRecord<'a>),
    /// The range is read to its end.
    End,
}

/// Reads ranges of partitions with one client. Blocking.
pub struct RangeReader {
    consumer: BaseConsumer<LogContext>,
}

impl RangeReader {
    /// A reader on the cluster of `settings`.
    ///
    /// # Errors
    /// Where the settings make no client.
    pub fn new(settings: &Settings) -> Result<Self, ReadError> {
        let mut config = settings.consumer_config("counterfoil-reader")?;
        config.set("fetch.wait.max.ms", "20").set("enable.partition.eof", "true");
        let consumer =
            BaseConsumer::from_config_and_context(&config, LogContext).map_err(SettingsError::Client)?;
        Ok(Self { consumer })
    }

    /// The first offset of a partition, and the offset that its next record will have.
    ///
    /// # Errors
    /// Where the brokers do not answer, or know no such partition.
    pub fn bounds(&self, topic: &Arc<str>, partition: i32) -> Result<(i64, i64), ReadError> {
        patiently(ASK, || self.consumer.fetch_watermarks(topic, partition, ASK)).map_err(|e| failed(topic, e))
    }

    /// How many partitions each topic of the cluster has.
    ///
    /// # Errors
    /// Where the brokers do not answer.
    pub fn topics(&self) -> Result<HashMap<String, usize>, ReadError> {
        let metadata = self.consumer.fetch_metadata(None, ASK).map_err(|e| failed(&Arc::from("(all)"), e))?;
        let known = metadata.topics().iter().filter(|t| t.error().is_none());
        Ok(known.map(|t| (t.name().to_owned(), t.partitions().len())).collect())
    }

    /// Reads every range to its end. `visit` gets the index of the range, and says whether to go on. Compacted
    /// partitions may lack records. `patience` is the longest silence of the brokers that is borne.
    ///
    /// # Errors
    /// Where a partition cannot be read, or the brokers keep silent.
    pub fn read(
        &self,
        ranges: &[Range],
        patience: Duration,
        mut visit: impl FnMut(usize, Met<'_>) -> bool,
    ) -> Result<(), ReadError> {
        let mut open: HashMap<(&str, i32), usize> = HashMap::new();
        let mut list = TopicPartitionList::with_capacity(ranges.len());
        for (index, range) in ranges.iter().enumerate() {
            if range.start >= range.end {
                if !visit(index, Met::End) {
                    return Ok(());
                }
                continue;
            }
            open.insert((&range.topic, range.partition), index);
            list.add_partition_offset(&range.topic, range.partition, Offset::Offset(range.start))
                .map_err(|e| failed(&range.topic, e))?;
        }
        let Some(first) = ranges.first() else { return Ok(()) };
        self.consumer.assign(&list).map_err(|e| failed(&first.topic, e))?;
        while !open.is_empty() {
            match self.consumer.poll(patience) {
                None => return Err(failed(&first.topic, KafkaError::NoMessageReceived)),
                // Which partition it was is not said: one that yields no further record is behind its last one.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    let ended = self.ended(ranges, &open, partition);
                    for index in ended {
                        open.remove(&(&*ranges[index].topic, ranges[index].partition));
                        if !visit(index, Met::End) {
                            return Ok(());
                        }
                    }
                }
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => return Err(failed(&first.topic, error)),
                Some(Ok(message)) => {
                    let Some(index) = open.get(&(message.topic(), message.partition())).copied() else {
                        continue;
                    };
                    let record = RangeRecord {
                        offset: message.offset(),
                        key: message.key(),
                        value: message.payload(),
                        message: &message,
                    };
                    let end = ranges[index].end;
                    if record.offset < end && !visit(index, Met::Record(record)) {
                        return Ok(());
                    }
                    if record.offset + 1 >= end {
                        open.remove(&(&*ranges[index].topic, ranges[index].partition));
                        if !visit(index, Met::End) {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads a partition from its beginning to the end that its leader shows, and returns the offset behind its last record. Of
    /// transactions only what is committed counts, and their marks are passed over, so an end that was asked for before might never
    /// be reached by a record.
    ///
    /// # Errors
    /// Where the partition cannot be read, or the brokers keep silent for longer than `patience`.
    pub fn read_all(
        &self,
        topic: &Arc<str>,
        partition: i32,
        patience: Duration,
        mut visit: impl FnMut(RangeRecord<'_>),
    ) -> Result<i64, ReadError> {
        let (mut next, _) = self.bounds(topic, partition)?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(|e| failed(topic, e))?;
        self.consumer.assign(&list).map_err(|e| failed(topic, e))?;
        loop {
            match self.consumer.poll(patience) {
                None => return Err(failed(topic, KafkaError::NoMessageReceived)),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(next),
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => return Err(failed(topic, error)),
                Some(Ok(message)) => {
                    next = message.offset() + 1;
                    let (key, value) = (message.key(), message.payload());
                    visit(RangeRecord { offset: message.offset(), key, value, message: &message });
                }
            }
        }
    }

    /// The open ranges of partitions with this number whose position has reached their end.
    fn ended(&self, ranges: &[Range], open: &HashMap<(&str, i32), usize>, partition: i32) -> Vec<usize> {
        let Ok(positions) = self.consumer.position() else { return Vec::new() };
        let reached = |index: &usize| {
            let range = &ranges[*index];
            let position = positions.find_partition(&range.topic, range.partition).map(|e| e.offset());
            range.partition == partition
                && matches!(position, Some(Offset::Offset(position)) if position >= range.end)
        };
        open.values().copied().filter(reached).collect()
    }
}

fn failed(topic: &Arc<str>, source: KafkaError) -> ReadError {
    ReadError::Kafka { topic: Arc::clone(topic), source }
}
