//! What can go wrong between us and the brokers.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

use crate::SettingsError;

/// Why a record was not acknowledged; [`ProduceError::code`] names its page in docs/errors.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The brokers did not acknowledge in time. The record may or may not be on the topic.
    #[error("kafka did not acknowledge the record in time")]
    Unavailable(#[source] KafkaError),
    /// The client's own queue is full and did not empty in time. The record was not sent.
    #[error("the queue of records waiting for kafka is full")]
    QueueFull(#[source] KafkaError),
    /// The record is larger than the client or the topic allows. It was not written.
    #[error("the record is larger than the topic {topic} allows")]
    TooLarge {
        /// The topic.
        topic: String,
        /// What the client said.
        #[source]
        source: KafkaError,
    },
    /// The cluster has no such topic or partition. The record was not written.
    #[error("kafka has no partition {partition} of topic {topic}")]
    UnknownTopic {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What the client said.
        #[source]
        source: KafkaError,
    },
    /// The brokers refuse the record for good, for want of a permission for instance. It was not written.
    #[error("kafka refuses the record for topic {topic}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the client said.
        #[source]
        source: KafkaError,
    },
    /// The idempotent producer met an error that it cannot go on from. The record may or may not be on the topic.
    /// The next record is sent by a new producer.
    #[error("the kafka producer failed for good and was replaced")]
    Fatal(#[source] KafkaError),
}

impl ProduceError {
    /// The stable code, docs/errors/`<code>`.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "TOP-0101",
            Self::QueueFull(_) => "TOP-0102",
            Self::TooLarge { .. } => "TOP-0103",
            Self::UnknownTopic { .. } => "TOP-0104",
            Self::Fatal(_) => "TOP-0105",
            Self::Refused { .. } => "TOP-0106",
        }
    }

    /// Whether the same record may go through later, with nothing changed by a person.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::QueueFull(_) | Self::Fatal(_))
    }

    pub(crate) fn new(source: KafkaError, topic: &str, partition: i32) -> Self {
        let topic = || topic.to_owned();
        match source.rdkafka_error_code() {
            Some(Code::QueueFull) => Self::QueueFull(source),
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => {
                Self::TooLarge { topic: topic(), source }
            }
            Some(Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition) => {
                Self::UnknownTopic { topic: topic(), partition, source }
            }
            Some(Code::Fatal | Code::Fenced) => Self::Fatal(source),
            Some(
                Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::InvalidTopic
                | Code::InvalidRequiredAcks
                | Code::InvalidRecord
                | Code::InvalidMessage
                | Code::PolicyViolation
                | Code::InvalidArgument,
            ) => Self::Refused { topic: topic(), source },
            _ => Self::Unavailable(source),
        }
    }
}

/// Why a question or an order to the cluster failed; [`AdminError::code`] names its page in docs/errors.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The settings make no client.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The cluster did not answer in time.
    #[error("kafka did not answer in time")]
    Unavailable(#[source] KafkaError),
    /// The cluster refused an operation on a topic.
    #[error("kafka refused to {operation} topic {topic}")]
    Refused {
        /// What was asked for: `create`, `alter` or `describe`.
        operation: &'static str,
        /// The topic.
        topic: String,
        /// What the cluster said.
        #[source]
        source: KafkaError,
    },
    /// The cluster has no such topic.
    #[error("kafka has no topic {0}")]
    UnknownTopic(String),
    /// The plan holds a change that is never made.
    #[error(transparent)]
    Plan(#[from] topics::TopicsError),
    /// The blocking part of the work did not come to its end.
    #[error("the kafka request was abandoned")]
    Abandoned(#[from] tokio::task::JoinError),
}

impl AdminError {
    /// The stable code, docs/errors/`<code>`.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(error) => error.code(),
            Self::Unavailable(_) | Self::Abandoned(_) => "TOP-0101",
            Self::UnknownTopic(_) => "TOP-0104",
            Self::Refused { .. } => "TOP-0107",
            Self::Plan(error) => error.code(),
        }
    }
}
