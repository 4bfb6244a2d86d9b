//! Writing all or nothing, one writer at a time: the transactional producer.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    config::{FromClientConfigAndContext as _, RDKafkaLogLevel},
    error::{KafkaError, KafkaResult},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode as Code,
};

use crate::{ProduceError, Settings, SettingsError, context::LogContext};

/// How long the coordinator has to end what a former writer left, and to let this one in.
const CLAIM: Duration = Duration::from_secs(15);
/// How long the records have to be acknowledged; a record itself gives up before.
const FLUSH: Duration = Duration::from_secs(10);
/// How often a look is taken while they are.
const STEP: Duration = Duration::from_millis(50);
/// How long one request to commit may take, or to abort.
const END: Duration = Duration::from_secs(5);
/// For how long a commit is asked for again.
const COMMIT: Duration = Duration::from_secs(20);

/// The only writer of its name. Whoever was it before writes nothing any more, and what they left unfinished is undone.
///
/// Architecture invariant: only for what operators write. The delivery path has no transactions (docs/adr/0002). Blocking.
pub struct SoleWriter {
    producer: ThreadedProducer<Deliveries>,
}

/// Why a sole writer did not write, or does not know.
#[derive(Debug, thiserror::Error)]
pub enum SoleError {
    /// The settings make no client.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Another writer of this name came after this one. Nothing was written.
    #[error("another writer took over")]
    Fenced(#[source] KafkaError),
    /// Nothing was written.
    #[error("nothing was written")]
    NotWritten(#[source] ProduceError),
    /// The end of the commit is not known: either all was written, or nothing.
    #[error("the brokers did not say whether it was written")]
    Unknown {
        /// Whether it is decided all the same, for another writer came or the brokers ended it: whoever reads the topic now sees the
        /// truth. Otherwise it is decided by the next claim of the name.
        decided: bool,
        /// What the client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SoleWriter {
    /// Becomes the only writer called `name`. What is read from now on holds all that former writers have written.
    ///
    /// # Errors
    /// Where the settings make no client, or the brokers do not let it in.
    pub fn claim(settings: &Settings, name: &str) -> Result<Self, SoleError> {
        let config = settings.sole_config(name)?;
        let producer = ThreadedProducer::from_config_and_context(&config, Deliveries::default())
            .map_err(SettingsError::Client)?;
        let writer = Self { producer };
        let claimed = writer.producer.init_transactions(CLAIM);
        claimed.map_err(|error| writer.failed(error, "(claim)", 0))?;
        Ok(writer)
    }

    /// Writes the records, keys with values, in their order; readers see all of them or none.
    ///
    /// # Errors
    /// See [`SoleError`]: whether nothing was written, or it is not known.
    pub fn write(self, topic: &str, partition: i32, records: &[(Vec<u8>, Vec<u8>)]) -> Result<(), SoleError> {
        self.producer.begin_transaction().map_err(|error| self.failed(error, topic, partition))?;
        if let Err(error) = self.fill(topic, partition, records) {
            let failed = self.failed(error, topic, partition);
            // Nothing was committed, whatever becomes of this: where it fails the brokers end the transaction themselves.
            if let Err(error) = self.producer.abort_transaction(END) {
                tracing::debug!(%error, "the brokers will end the transaction");
            }
            return Err(failed);
        }
        self.commit(topic, partition)
    }

    /// Sends the records, and waits until they are acknowledged as part of the transaction.
    fn fill(&self, topic: &str, partition: i32, records: &[(Vec<u8>, Vec<u8>)]) -> KafkaResult<()> {
        for (key, value) in records {
            let record = BaseRecord::to(topic).partition(partition).key(key).payload(value);
            self.producer.send(record).map_err(|(error, _)| error)?;
        }
        let start = Instant::now();
        while self.producer.in_flight_count() > 0 {
            if let Some((code, _)) = self.producer.client().fatal_error() {
                return Err(KafkaError::MessageProduction(code));
            }
            if start.elapsed() > FLUSH {
                return Err(KafkaError::MessageProduction(Code::OperationTimedOut));
            }
            match self.producer.flush(STEP) {
                Err(error) if error.rdkafka_error_code() != Some(Code::OperationTimedOut) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        self.producer.context().failure.lock().take().map_or(Ok(()), Err)
    }

    fn commit(&self, topic: &str, partition: i32) -> Result<(), SoleError> {
        let start = Instant::now();
        loop {
            let Err(error) = self.producer.commit_transaction(END) else { return Ok(()) };
            match &error {
                KafkaError::Transaction(said) if said.is_retriable() && start.elapsed() < COMMIT => {}
                KafkaError::Transaction(said)
                    if said.txn_requires_abort() && self.producer.abort_transaction(END).is_ok() =>
                {
                    return Err(self.failed(error, topic, partition));
                }
                _ => {
                    return Err(SoleError::Unknown { decided: self.is_fenced(&error), source: error.into() });
                }
            }
        }
    }

    /// The error for the caller, where nothing was committed.
    fn failed(&self, error: KafkaError, topic: &str, partition: i32) -> SoleError {
        if self.is_fenced(&error) {
            SoleError::Fenced(error)
        } else {
            SoleError::NotWritten(ProduceError::new(error, topic, partition))
        }
    }

    fn is_fenced(&self, error: &KafkaError) -> bool {
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        let fences = |code| matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch);
        error.rdkafka_error_code().is_some_and(fences) || fatal.is_some_and(fences)
    }
}

/// Keeps the first failure of a record.
#[derive(Default)]
struct Deliveries {
    failure: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        LogContext.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        LogContext.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failure.lock().get_or_insert_with(|| error.clone());
        }
    }
}
