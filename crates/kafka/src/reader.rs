//! Reading partitions without a group: to restore a ledger, to look at outcomes and dead letters.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Header, Headers as _},
};

use crate::{Settings, SettingsError, context::LogContext, patience::patiently};

/// How long a question to the brokers may take.
const ASK: Duration = Duration::from_secs(10);

/// A record as it stands on a topic.
#[derive(Clone, Debug)]
pub struct ReadRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// The key, if it has one.
    pub key: Option<Bytes>,
    /// The value; none is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<(String, Bytes)>,
    /// Its time, milliseconds since 1970-01-01 UTC: the producer's or the broker's, as the topic is configured.
    pub timestamp: Option<i64>,
}

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The settings make no client.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The brokers do not answer, or refuse.
    #[error("topic `{topic}` cannot be read")]
    Kafka {
        /// The topic.
        topic: Arc<str>,
        /// What the client said.
        #[source]
        source: KafkaError,
    },
}

/// Reads partitions of one topic from given offsets on. Blocking.
pub struct Reader {
    consumer: BaseConsumer<LogContext>,
    topic: Arc<str>,
}

impl Reader {
    /// A reader of `topic` that is not assigned anything yet.
    ///
    /// # Errors
    /// Where the settings make no client.
    pub fn new(settings: &Settings, topic: &str) -> Result<Self, ReadError> {
        let mut config = settings.consumer_config("counterfoil-reader")?;
        config.set("fetch.wait.max.ms", "20");
        let consumer =
            BaseConsumer::from_config_and_context(&config, LogContext).map_err(SettingsError::Client)?;
        Ok(Self { consumer, topic: Arc::from(topic) })
    }

    /// A reader of all partitions of `topic`, from the beginning.
    ///
    /// # Errors
    /// Where the settings make no client, or the brokers do not answer.
    pub fn from_beginning(settings: &Settings, topic: &str) -> Result<Self, ReadError> {
        let reader = Self::new(settings, topic)?;
        let starts: Vec<(i32, i64)> = (0..reader.partitions()?)
            .map(|p| reader.bounds(p).map(|(low, _)| (p, low)))
            .collect::<Result<_, _>>()?;
        reader.start(&starts)?;
        Ok(reader)
    }

    /// How many partitions the topic has.
    ///
    /// # Errors
    /// Where the brokers do not answer, or know no such topic.
    pub fn partitions(&self) -> Result<i32, ReadError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), ASK).map_err(|e| self.failed(e))?;
        let topic = metadata.topics().first().filter(|t| t.error().is_none() && !t.partitions().is_empty());
        let unknown = || {
            self.failed(KafkaError::MetadataFetch(rdkafka::error::RDKafkaErrorCode::UnknownTopicOrPartition))
        };
        topic.map(|t| t.partitions().len() as i32).ok_or_else(unknown)
    }

    /// The first offset of a partition, and the offset that its next record will have.
    ///
    /// # Errors
    /// Where the brokers do not answer.
    pub fn bounds(&self, partition: i32) -> Result<(i64, i64), ReadError> {
        patiently(ASK, || self.consumer.fetch_watermarks(&self.topic, partition, ASK))
            .map_err(|e| self.failed(e))
    }

    /// Reads these partitions from these offsets on.
    ///
    /// # Errors
    /// Where the client refuses.
    pub fn start(&self, from: &[(i32, i64)]) -> Result<(), ReadError> {
        let mut list = TopicPartitionList::with_capacity(from.len());
        for (partition, offset) in from {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
                .map_err(|e| self.failed(e))?;
        }
        self.consumer.assign(&list).map_err(|e| self.failed(e))
    }

    /// The next record, or none if there is none within `timeout`.
    ///
    /// # Errors
    /// Where the partition can no longer be read from where it stands.
    pub fn next(&self, timeout: Duration) -> Result<Option<ReadRecord>, ReadError> {
        match self.consumer.poll(timeout) {
            None => Ok(None),
            Some(Err(error)) if is_passing(&error) => Ok(None),
            Some(Err(error)) => Err(self.failed(error)),
            Some(Ok(message)) => Ok(Some(self.record(&message))),
        }
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> ReadRecord {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let owned = |h: Header<'_, &[u8]>| {
                (h.key.to_owned(), Bytes::copy_from_slice(h.value.unwrap_or_default()))
            };
            headers.iter().map(owned).collect()
        });
        ReadRecord {
            topic: Arc::clone(&self.topic),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers,
            timestamp: message.timestamp().to_millis(),
        }
    }

    fn failed(&self, source: KafkaError) -> ReadError {
        ReadError::Kafka { topic: Arc::clone(&self.topic), source }
    }
}

/// Errors that librdkafka gets over by itself.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, CoordinatorLoadInProgress, CoordinatorNotAvailable,
        MessageTimedOut, NotCoordinator, OperationTimedOut, Resolve, WaitingForCoordinator,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(
            AllBrokersDown
                | BrokerTransportFailure
                | CoordinatorLoadInProgress
                | CoordinatorNotAvailable
                | MessageTimedOut
                | NotCoordinator
                | OperationTimedOut
                | Resolve
                | WaitingForCoordinator
        )
    ) || matches!(error, KafkaError::NoMessageReceived | KafkaError::PartitionEOF(_))
}
