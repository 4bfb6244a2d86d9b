//! An in-memory Kafka-protocol broker for the demo, evaluation and tests: librdkafka's MockCluster.
//!
//! It is a real TCP listener on loopback, but no Kafka: no admin API, no compaction, no transactions worth the name, about
//! 5 MiB or 100,000 batches kept of each partition, and nothing after its end. Offsets that were trimmed away are lost, so
//! whoever feeds it must not run further ahead of the slowest reader than that.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    config::RDKafkaLogLevel,
    error::KafkaError,
    mocking::MockCluster,
    producer::{FutureProducer, Producer as _},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use topics::TopicPlan;

use crate::{Settings, context::LogContext};

/// What a partition keeps, in bytes; the oldest records beyond it are gone.
pub const PARTITION_BYTES: usize = 5 << 20;

/// All brokers of the cluster, to the mock's functions.
const ALL: i32 = -1;

/// The broker that a cluster always has.
const FIRST: i32 = 1;

/// The embedded broker failed; the only cause seen is a system without sockets or threads to spare.
#[derive(Debug, thiserror::Error)]
#[error("the embedded broker failed")]
pub struct BrokerError(#[source] KafkaError);

impl BrokerError {
    /// The stable code, docs/errors/`<code>`.md.
    pub fn code(&self) -> &'static str {
        "TOP-0109"
    }
}

/// The embedded broker. It listens until it is dropped.
pub struct Broker {
    // The cluster lives inside of this client and dies with it.
    host: FutureProducer<LogContext>,
}

/// A kind of request that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Kafka's names
pub enum Request {
    Produce,
    Fetch,
    Metadata,
    OffsetCommit,
    OffsetFetch,
    FindCoordinator,
    JoinGroup,
    Heartbeat,
    InitProducerId,
}

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut instead of an answer.
    Disconnect,
    /// Another broker leads the partition.
    NotLeader,
    /// Too few replicas are in sync.
    NotEnoughReplicas,
    /// The record is too large for the topic.
    TooLarge,
    /// The topic is closed to this client.
    NotAuthorized,
    /// The record's sequence number is wrong: an idempotent producer fails for good.
    OutOfOrderSequence,
    /// The group moves on without this member.
    IllegalGeneration,
    /// The coordinator is still loading.
    CoordinatorLoading,
    /// Another broker coordinates the group.
    NotCoordinator,
}

impl Broker {
    /// Starts `brokers` brokers on loopback ports and creates `topics` with one replica each.
    ///
    /// # Errors
    /// Where librdkafka cannot set the cluster up.
    pub fn start(topics: &[TopicPlan], brokers: u8) -> Result<Self, BrokerError> {
        let host = ClientConfig::new()
            .set("test.mock.num.brokers", brokers.max(1).to_string())
            .set("client.id", "counterfoil-embedded-broker")
            // It notices the outages that tests make; they are not news.
            .set_log_level(RDKafkaLogLevel::Critical)
            .create_with_context(LogContext)
            .map_err(BrokerError)?;
        let broker = Self { host };
        broker.awake(|| {
            topics.iter().try_for_each(|topic| broker.create_topic(&topic.name, topic.partitions))
        })?;
        Ok(broker)
    }

    /// Does `work` while the cluster's thread is kept busy: at rest it may notice an order only at its next turn, a second
    /// later.
    fn awake<T>(&self, work: impl FnOnce() -> T) -> T {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // Only the traffic counts.
                    drop(self.host.client().fetch_metadata(None, Duration::from_millis(20)));
                }
            });
            let result = work();
            done.store(true, Ordering::Relaxed);
            result
        })
    }

    /// The brokers' addresses: `host:port`, separated by commas.
    pub fn bootstrap(&self) -> String {
        self.cluster().map_or_else(|_| String::new(), |cluster| cluster.bootstrap_servers())
    }

    /// Settings for a client of this broker.
    pub fn settings(&self) -> Settings {
        Settings { consumer: consumer_properties(), ..Settings::new(self.bootstrap()) }
    }

    /// Creates a topic; there is no admin API to do it with.
    ///
    /// # Errors
    /// Where there is one of that name, or the name is none.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), BrokerError> {
        self.cluster()?.create_topic(name, partitions, 1).map_err(BrokerError)
    }

    /// Cuts all connections and accepts none, or accepts them again. The logs stay.
    ///
    /// # Errors
    /// Where librdkafka does not do it.
    pub fn set_down(&self, down: bool) -> Result<(), BrokerError> {
        let cluster = self.cluster()?;
        if down { cluster.broker_down(ALL) } else { cluster.broker_up(ALL) }.map_err(BrokerError)
    }

    /// Takes the leader of a topic's partition away, or gives it one again: what is written to it waits at its producer.
    ///
    /// # Errors
    /// Where librdkafka does not do it.
    pub fn set_leader(&self, topic: &str, partition: i32, there: bool) -> Result<(), BrokerError> {
        let leader = there.then_some(FIRST);
        self.cluster()?.partition_leader(topic, partition, leader).map_err(BrokerError)
    }

    /// Makes whoever asks for a topic from now on be told of this fault, or of none any more.
    ///
    /// # Errors
    /// Where librdkafka does not do it.
    pub fn refuse_topic(&self, topic: &str, fault: Option<Fault>) -> Result<(), BrokerError> {
        let error = fault.map_or(RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, Fault::native);
        self.cluster()?.topic_error(topic, error).map_err(BrokerError)
    }

    /// Delays every answer.
    ///
    /// # Errors
    /// Where librdkafka does not do it.
    pub fn set_rtt(&self, delay: Duration) -> Result<(), BrokerError> {
        self.cluster()?.broker_round_trip_time(ALL, delay).map_err(BrokerError)
    }

    /// Makes the next requests of a kind fail, one for each of `faults`, after those that are already waiting to.
    ///
    /// # Errors
    /// Where librdkafka does not do it.
    pub fn fail(&self, request: Request, faults: &[Fault]) -> Result<(), BrokerError> {
        let errors: Vec<RDKafkaRespErr> = faults.iter().map(|fault| fault.native()).collect();
        self.cluster()?.request_errors(request.native(), &errors);
        Ok(())
    }

    /// Forgets the faults of a kind of request that have not happened yet.
    ///
    /// # Errors
    /// Where librdkafka does not do it.
    pub fn heal(&self, request: Request) -> Result<(), BrokerError> {
        self.cluster()?.clear_request_errors(request.native());
        Ok(())
    }

    fn cluster(&self) -> Result<MockCluster<'_, impl rdkafka::ClientContext + 'static>, BrokerError> {
        self.host.client().mock_cluster().ok_or(BrokerError(KafkaError::Canceled))
    }
}

/// Consumer properties that make the embedded broker quick; a child process needs them with the address.
///
/// The mock answers an empty fetch only when the wait is over, even if a record has come meanwhile. It holds a group's
/// first join for 3 seconds, and a session that is not longer than that ends meanwhile: the member never gets in. After
/// a death it waits for the session to end, and again for a second less than that, so longer is slower.
pub fn consumer_properties() -> BTreeMap<String, String> {
    [
        ("session.timeout.ms", "3500"),
        ("heartbeat.interval.ms", "500"),
        ("fetch.wait.max.ms", "5"),
        ("fetch.error.backoff.ms", "20"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

impl Request {
    fn native(self) -> RDKafkaApiKey {
        match self {
            Self::Produce => RDKafkaApiKey::Produce,
            Self::Fetch => RDKafkaApiKey::Fetch,
            Self::Metadata => RDKafkaApiKey::Metadata,
            Self::OffsetCommit => RDKafkaApiKey::OffsetCommit,
            Self::OffsetFetch => RDKafkaApiKey::OffsetFetch,
            Self::FindCoordinator => RDKafkaApiKey::FindCoordinator,
            Self::JoinGroup => RDKafkaApiKey::JoinGroup,
            Self::Heartbeat => RDKafkaApiKey::Heartbeat,
            Self::InitProducerId => RDKafkaApiKey::InitProducerId,
        }
    }
}

impl Fault {
    fn native(self) -> RDKafkaRespErr {
        use RDKafkaRespErr::*;
        match self {
            Self::Disconnect => RD_KAFKA_RESP_ERR__TRANSPORT,
            Self::NotLeader => RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Self::NotEnoughReplicas => RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Self::TooLarge => RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            Self::NotAuthorized => RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            Self::OutOfOrderSequence => RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            Self::IllegalGeneration => RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
            Self::CoordinatorLoading => RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            Self::NotCoordinator => RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        }
    }
}
