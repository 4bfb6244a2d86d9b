//! The way to the brokers, behind a trait so that the rest can be tested without them.

use std::{future::Future, pin::Pin, sync::Arc};

use kafka::{Position, ProduceError, Producer};

/// A boxed future.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A record as it goes to the brokers.
#[derive(Clone, Debug)]
pub struct Record {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition, chosen by us.
    pub partition: i32,
    /// The record key's bytes.
    pub key: Vec<u8>,
    /// The value in Confluent's wire format.
    pub value: Vec<u8>,
    /// The state of the tenant that it was let in under, if that is new.
    pub revision: Option<u64>,
}

/// Why a record was not acknowledged.
#[derive(Debug, thiserror::Error)]
#[error("the record was not acknowledged ({code})")]
pub struct PublishError {
    /// The stable code of the cause.
    pub code: &'static str,
    /// What can be done about it.
    pub kind: PublishErrorKind,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What can be done about a record that was not acknowledged. Of several of one request, the last kind is told: until that
/// is seen to, the others need not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublishErrorKind {
    /// Send it again later.
    Retriable,
    /// Nothing, until a person has changed the topic or its permissions.
    Refused,
    /// Make it smaller.
    TooLarge,
}

/// An acknowledgement to come.
pub type Pending = Boxed<'static, Result<Position, PublishError>>;

/// Takes records; says when the brokers have them.
pub trait Publisher: Send + Sync {
    /// Puts a record into the queue. Records of one partition keep the order of these calls.
    ///
    /// # Errors
    /// When the record is refused at once.
    fn enqueue<'a>(&'a self, record: &'a Record) -> Boxed<'a, Result<Pending, PublishError>>;
}

impl Publisher for Producer {
    fn enqueue<'a>(&'a self, record: &'a Record) -> Boxed<'a, Result<Pending, PublishError>> {
        Box::pin(async move {
            let Record { topic, partition, key, value, revision } = record;
            let stamp = revision.map(control::revision_stamp);
            let header = stamp.as_ref().map(|stamp| (control::REVISION_HEADER, &stamp[..]));
            let ack = Self::enqueue(self, topic, *partition, key, Some(value), header.as_slice()).await?;
            let wait = async move { ack.wait().await.map_err(PublishError::from) };
            Ok(Box::pin(wait) as Pending)
        })
    }
}

impl From<ProduceError> for PublishError {
    fn from(error: ProduceError) -> Self {
        let kind = match &error {
            ProduceError::TooLarge { .. } => PublishErrorKind::TooLarge,
            error if error.is_retriable() => PublishErrorKind::Retriable,
            _ => PublishErrorKind::Refused,
        };
        Self { code: error.code(), kind, source: Box::new(error) }
    }
}
