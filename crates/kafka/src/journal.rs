//! The sink's producer: many records in flight, each acknowledged by a callback with the caller's own number.

use std::time::Duration;

use rdkafka::{
    ClientContext, Message,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};

use crate::{Position, Settings, SettingsError, context};

/// The caller's number for a record: it comes back with the acknowledgement.
pub type Token = usize;

/// How a record ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Journaled {
    /// All in-sync replicas have it.
    Acked(Token, Position),
    /// The brokers refuse it for what it is (too large, no such topic): the same record will never be accepted.
    Refused(Token, String),
    /// The client is of no more use; the process must start again.
    Broken(Token, String),
}

/// A record to journal.
#[derive(Clone, Debug)]
pub struct JournalRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; none leaves it to murmur2 over the key.
    pub partition: Option<i32>,
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Headers in their order.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The client's queue is full: try again after the next acknowledgement.
    #[error("the producer's queue is full")]
    Full,
    /// The record cannot be sent at all.
    #[error("the record cannot be sent")]
    Refused(#[source] KafkaError),
}

/// An idempotent producer that never gives a record up: outcomes must get through, however long the brokers are away.
///
/// Its memory is bounded by its caller's windows.
pub struct Journal {
    producer: ThreadedProducer<Context>,
}

struct Context {
    report: Box<dyn Fn(Journaled) + Send + Sync>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Token;

    fn delivery(&self, result: &DeliveryResult<'_>, token: Token) {
        (self.report)(match result {
            Ok(message) => {
                Journaled::Acked(token, Position { partition: message.partition(), offset: message.offset() })
            }
            Err((error, _)) if is_refusal(error) => Journaled::Refused(token, error.to_string()),
            Err((error, _)) => Journaled::Broken(token, error.to_string()),
        });
    }
}

impl Journal {
    /// A journal on the cluster of `settings`. `report` is called on the client's own thread.
    ///
    /// # Errors
    /// Where the settings make no client.
    pub fn new(
        settings: &Settings,
        report: impl Fn(Journaled) + Send + Sync + 'static,
    ) -> Result<Self, SettingsError> {
        let mut config = settings.producer_config()?;
        // 0 means for ever.
        config.set("message.timeout.ms", "0");
        // Nobody waits for most of these records: fewer, larger requests cost a fifth less of the processor.
        config.set("linger.ms", "5");
        let context = Context { report: Box::new(report) };
        let producer =
            ThreadedProducer::from_config_and_context(&config, context).map_err(SettingsError::Client)?;
        Ok(Self { producer })
    }

    /// Puts a record into the queue; records of one partition keep their order.
    ///
    /// # Errors
    /// [`JournalError::Full`] for now, [`JournalError::Refused`] for good.
    pub fn send(&self, record: &JournalRecord<'_>, token: Token) -> Result<(), JournalError> {
        let mut base = BaseRecord::with_opaque_to(record.topic, token).key(record.key).payload(record.value);
        if let Some(partition) = record.partition {
            base = base.partition(partition);
        }
        if !record.headers.is_empty() {
            let empty = OwnedHeaders::new_with_capacity(record.headers.len());
            base = base.headers(
                record
                    .headers
                    .iter()
                    .fold(empty, |all, (key, value)| all.insert(Header { key, value: Some(*value) })),
            );
        }
        self.producer.send(base).map_err(|(error, _)| match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => JournalError::Full,
            error => JournalError::Refused(error),
        })
    }

    /// Waits until the queue is empty or `deadline` has passed. Blocking. Tells whether it is empty.
    pub fn flush(&self, deadline: Duration) -> bool {
        self.producer.flush(deadline).is_ok()
    }
}

fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        InvalidMessage, InvalidMessageSize, InvalidTopic, MessageSizeTooLarge, TopicAuthorizationFailed,
        UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(
            InvalidMessage
                | InvalidMessageSize
                | InvalidTopic
                | MessageSizeTooLarge
                | TopicAuthorizationFailed
                | UnknownPartition
                | UnknownTopic
                | UnknownTopicOrPartition
        )
    )
}
