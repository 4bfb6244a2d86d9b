//! The idempotent producer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _},
};
use tracing::{error, warn};

use crate::{ProduceError, Settings, SettingsError, context::LogContext};

/// How long a record waits for room in the client's queue.
const QUEUE_WAIT: Duration = Duration::from_secs(1);
/// How often it looks for that room.
const QUEUE_POLL: Duration = Duration::from_millis(5);
/// How long a producer that failed for good has to report on its records before it is dropped.
const RETIREMENT: Duration = Duration::from_secs(2);

type Client = FutureProducer<LogContext>;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

/// An idempotent producer with acks=all. Cloning is cheap; all clones share one client.
///
/// An idempotent producer can fail for good (a sequence that the broker does not accept, a fenced epoch). It then refuses
/// everything until it is replaced, which happens on the next send or ping. What was under way may then be on the
/// topic twice: consumers tell by the event id.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    config: ClientConfig,
    current: RwLock<Current>,
}

#[derive(Clone)]
struct Current {
    client: Client,
    /// Counts the producers that failed for good before this one.
    generation: u64,
}

/// A record on its way.
#[must_use = "the record is not safe until its acknowledgement has come"]
pub struct Ack {
    future: DeliveryFuture,
    producer: Producer,
    generation: u64,
    topic: String,
    partition: i32,
}

impl Producer {
    /// A producer for the cluster of `settings`. It does not wait for a connection; see [`Producer::ping`].
    ///
    /// # Errors
    /// Where the settings make no client.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let config = settings.producer_config()?;
        let client = create(&config).map_err(SettingsError::Client)?;
        let current = RwLock::new(Current { client, generation: 0 });
        Ok(Self { shared: Arc::new(Shared { config, current }) })
    }

    /// Sends a record and waits until all in-sync replicas have it.
    ///
    /// It ends within `message.timeout.ms` and two seconds, whatever the brokers do.
    ///
    /// # Errors
    /// See [`ProduceError`]; whether the record may be on the topic all the same is said there.
    pub async fn send(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        value: &[u8],
        headers: &[(&str, &[u8])],
    ) -> Result<Position, ProduceError> {
        self.enqueue(topic, partition, key, Some(value), headers).await?.wait().await
    }

    /// Sends a tombstone, which makes compaction forget `key`.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub async fn send_tombstone(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
    ) -> Result<Position, ProduceError> {
        self.enqueue(topic, partition, key, None, &[]).await?.wait().await
    }

    /// Puts a record (a tombstone, if `value` is none) into the queue, waiting up to a second for room.
    ///
    /// Records of one partition keep the order in which they were enqueued, so a caller that needs order enqueues one
    /// after the other and waits for the acknowledgements together.
    ///
    /// # Errors
    /// [`ProduceError::QueueFull`], or what the client refuses at once.
    pub async fn enqueue(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<Ack, ProduceError> {
        let start = Instant::now();
        loop {
            match self.try_enqueue(topic, partition, key, value, headers) {
                Err(ProduceError::QueueFull(_)) if start.elapsed() < QUEUE_WAIT => {
                    tokio::time::sleep(QUEUE_POLL).await;
                }
                result => return result,
            }
        }
    }

    /// Waits until every record in the queue is acknowledged or given up, at most until `deadline` has passed.
    ///
    /// # Errors
    /// [`ProduceError::Unavailable`] where records are left.
    pub async fn flush(&self, deadline: Duration) -> Result<(), ProduceError> {
        let client = self.current().client;
        blocking(move || client.flush(deadline)).await
    }

    /// Asks the cluster for its metadata, for readiness. Replaces a producer that failed for good.
    ///
    /// # Errors
    /// [`ProduceError::Unavailable`] where no broker answers within `timeout`.
    pub async fn ping(&self, timeout: Duration) -> Result<(), ProduceError> {
        let mut current = self.current();
        if current.client.client().fatal_error().is_some() {
            self.replace(current.generation);
            current = self.current();
        }
        blocking(move || current.client.client().fetch_metadata(None, timeout).map(drop)).await
    }

    /// Whether the client failed for good. The next [`Producer::send`] or [`Producer::ping`] replaces it.
    pub fn is_fatal(&self) -> bool {
        self.shared.current.read().client.client().fatal_error().is_some()
    }

    /// How many times the client failed for good and was replaced.
    pub fn replacements(&self) -> u64 {
        self.shared.current.read().generation
    }

    /// Records in the queue or under way.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.shared.current.read().client.in_flight_count()).unwrap_or(0)
    }

    fn current(&self) -> Current {
        self.shared.current.read().clone()
    }

    fn try_enqueue(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<Ack, ProduceError> {
        let Current { client, generation } = self.current();
        let mut record = FutureRecord::to(topic).partition(partition).key(key);
        record.payload = value;
        if !headers.is_empty() {
            let empty = OwnedHeaders::new_with_capacity(headers.len());
            let insert = |all: OwnedHeaders, (key, value): &(&str, &[u8])| {
                all.insert(Header { key, value: Some(*value) })
            };
            record = record.headers(headers.iter().fold(empty, insert));
        }
        match client.send_result(record) {
            Ok(future) => {
                Ok(Ack { future, producer: self.clone(), generation, topic: topic.to_owned(), partition })
            }
            Err((error, _)) => Err(self.failed(error, topic, partition, generation)),
        }
    }

    /// The error for the caller; replaces the client where it is of no more use.
    fn failed(&self, error: KafkaError, topic: &str, partition: i32, generation: u64) -> ProduceError {
        let current = self.current();
        let fatal = current.generation != generation || current.client.client().fatal_error().is_some();
        if fatal {
            self.replace(generation);
        }
        match ProduceError::new(error, topic, partition) {
            // A client that is being retired purges its queue: that is no outage.
            ProduceError::Unavailable(source) if fatal => ProduceError::Fatal(source),
            error => error,
        }
    }

    /// Puts a new client in the place of the one of `generation`, once.
    fn replace(&self, generation: u64) {
        let mut current = self.shared.current.write();
        if current.generation != generation {
            return;
        }
        let reason = current.client.client().fatal_error().map(|(code, text)| format!("{code}: {text}"));
        match create(&self.shared.config) {
            Ok(client) => {
                warn!(reason, generation, "kafka producer failed for good, replaced");
                let old = std::mem::replace(&mut *current, Current { client, generation: generation + 1 });
                drop(current);
                retire(old.client);
            }
            Err(error) => error!(%error, reason, "kafka producer failed for good and cannot be replaced"),
        }
    }
}

impl Ack {
    /// Waits until all in-sync replicas have the record.
    ///
    /// # Errors
    /// See [`ProduceError`].
    pub async fn wait(self) -> Result<Position, ProduceError> {
        let Self { future, producer, generation, topic, partition } = self;
        let error = match future.await {
            Ok(Ok(delivery)) => {
                return Ok(Position { partition: delivery.partition, offset: delivery.offset });
            }
            Ok(Err((error, _))) => error,
            Err(_) => KafkaError::Canceled,
        };
        Err(producer.failed(error, &topic, partition, generation))
    }
}

fn create(config: &ClientConfig) -> Result<Client, KafkaError> {
    config.create_with_context(LogContext)
}

/// Drops a client where blocking does no harm: it joins a thread and waits for librdkafka's own.
fn retire(client: Client) {
    let retirement = move || {
        if let Err(error) = client.flush(RETIREMENT) {
            warn!(%error, "retired kafka producer leaves records unacknowledged");
        }
        drop(client);
    };
    if let Err(error) = std::thread::Builder::new().name("kafka-retire".into()).spawn(retirement) {
        warn!(%error, "retired kafka producer was dropped in place");
    }
}

/// Runs a blocking call of librdkafka, away from the async workers.
async fn blocking(
    call: impl FnOnce() -> Result<(), KafkaError> + Send + 'static,
) -> Result<(), ProduceError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(ProduceError::Unavailable),
        Err(_) => Err(ProduceError::Unavailable(KafkaError::Canceled)),
    }
}
