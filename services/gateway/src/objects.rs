//! Which objects are open: their topic is as specified and their schema is registered.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use contract::{Contracts, RegistryClient, RegistryError};
use event::ObjectKind;
use service_kit::Check;
use topics::names;

/// Between attempts; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The registry's id of each open object's schema. An id never changes: the gateway writes one version.
#[derive(Clone, Debug, Default)]
pub struct OpenObjects(Arc<[OnceLock<u32>; ObjectKind::ALL.len()]>);

impl OpenObjects {
    /// The id of the object's schema, if the object is open.
    pub fn schema_id(&self, object: ObjectKind) -> Option<u32> {
        self.0[object as usize].get().copied()
    }

    /// Opens the object, unless it is open already.
    pub fn open(&self, object: ObjectKind, schema_id: u32) {
        self.0[object as usize].get_or_init(|| schema_id);
    }

    /// The objects that are not open yet.
    pub fn closed(&self) -> Vec<ObjectKind> {
        ObjectKind::ALL.into_iter().filter(|object| self.schema_id(*object).is_none()).collect()
    }
}

/// Opens one object after the other, for as long as it takes: a registry or a cluster that is away is waited for.
pub struct Opener {
    /// What it opens.
    pub open: OpenObjects,
    /// Name and specified partition count of every object's topic, in the order of [`ObjectKind::ALL`].
    pub topics: Vec<(Arc<str>, i32)>,
    /// The cluster that must have these topics.
    pub kafka: kafka::Settings,
    /// The registry.
    pub registry: RegistryClient,
    /// Whether to register what is not registered yet.
    pub register: bool,
    /// Passes when all objects are open.
    pub check: Check,
}

/// Why an object is not open.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("the registry does not give an id for {subject}")]
    Registry {
        subject: String,
        #[source]
        source: RegistryError,
    },
    #[error("{0} is not registered")]
    Unregistered(String),
    #[error("topic {topic} cannot be examined")]
    Kafka {
        topic: Arc<str>,
        #[source]
        source: kafka::AdminError,
    },
    #[error(transparent)]
    Partitions(#[from] topics::TopicsError),
}

impl Closed {
    /// Whether it will not pass by waiting: a person must act.
    fn needs_a_person(&self) -> bool {
        match self {
            Self::Registry { source, .. } => !source.is_retryable(),
            Self::Unregistered(_) | Self::Partitions(_) => true,
            Self::Kafka { source, .. } => !matches!(source, kafka::AdminError::Unavailable(_)),
        }
    }
}

impl Opener {
    /// Returns when all objects are open.
    pub async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut last = String::new();
        loop {
            match self.open_all().await {
                Ok(()) => return self.check.pass(),
                Err(closed) => {
                    let reason = chain(&closed);
                    if reason != last && closed.needs_a_person() {
                        tracing::error!(reason, "events cannot be taken");
                    }
                    self.check.fail(reason.clone());
                    last = reason;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One failure does not keep the other objects closed, except where nobody answers at all.
    async fn open_all(&self) -> Result<(), Closed> {
        let mut first = Ok(());
        for object in self.open.closed() {
            match self.open_one(object).await {
                Ok(id) => self.open.open(object, id),
                Err(closed) if closed.needs_a_person() => first = first.and(Err(closed)),
                Err(closed) => return Err(closed),
            }
        }
        first
    }

    async fn open_one(&self, object: ObjectKind) -> Result<u32, Closed> {
        let (topic, desired) = &self.topics[object as usize];
        self.check_topic(topic, *desired).await?;
        let subject = names::subject(topic);
        let schema = &Contracts::embedded().object(object).json;
        let id = self.registry.latest_id(&subject, schema).await;
        match id.map_err(|source| Closed::Registry { subject: subject.clone(), source })? {
            Some(id) => Ok(id),
            None if !self.register => Err(Closed::Unregistered(subject)),
            None => {
                let id = self.registry.register(&subject, schema).await;
                id.map_err(|source| Closed::Registry { subject, source })
            }
        }
    }

    /// Another partition count than the specified one would put events where no sink expects them.
    async fn check_topic(&self, topic: &Arc<str>, desired: i32) -> Result<(), Closed> {
        let partitions = kafka::admin::watermarks(&self.kafka, topic).await;
        let partitions = partitions.map_err(|source| Closed::Kafka { topic: topic.clone(), source })?;
        let actual = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        if actual == desired {
            return Ok(());
        }
        Err(topics::TopicsError::PartitionCount { topic: topic.to_string(), actual, desired }.into())
    }
}

/// An error with its causes, for a status page.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
