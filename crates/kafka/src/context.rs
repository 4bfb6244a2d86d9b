//! librdkafka's own log lines and errors, carried over to `tracing`.

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};
use tracing::{debug, info, warn};

/// What every client of ours is created with.
///
/// Nothing here is an ERROR: librdkafka retries what it reports, and what it gives up on comes back to the caller.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogContext;

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if matches!(&error, KafkaError::Global(RDKafkaErrorCode::PartitionEOF)) {
            return; // asked for by whoever reads to an end
        }
        warn!(error = %error, reason, "kafka client reports a problem");
    }
}

/// One log line of librdkafka.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => warn!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Debug => debug!(facility, message, "librdkafka"),
    }
}
