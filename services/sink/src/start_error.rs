//! Why the sink could not start, or had to stop.

use contract::RegistryError;
use kafka::SettingsError;
use ledger::LedgerError;
use telemetry::MetricsError;
use tenancy::ConfigErrors;

use crate::plan::PlanError;

/// Why the sink could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The tenants' configuration has errors.
    #[error(transparent)]
    Tenants(ConfigErrors),
    /// The configuration cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The Kafka settings make no client.
    #[error("the kafka settings cannot be used")]
    Kafka(#[from] SettingsError),
    /// The local ledger cannot be opened.
    #[error("the ledger cannot be opened")]
    Ledger(#[from] LedgerError),
    /// The registry refuses.
    #[error("the schema registry refuses the schema of outcome events")]
    Registry(#[from] RegistryError),
    /// A topic is not as it must be.
    #[error("topic `{topic}` {what}; `counterfoil topics plan` shows what is missing")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong with it.
        what: String,
    },
    /// An address cannot be listened on, or a root certificate cannot be read.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The metrics cannot be set up.
    #[error("metrics cannot be set up")]
    Metrics(#[from] MetricsError),
    /// The session time-out leaves no time to send in.
    #[error(
        "session.timeout.ms of {session_ms} ms must be at least four times commit_every ({commit_ms} ms)"
    )]
    Lease {
        /// The group's session time-out.
        session_ms: u64,
        /// How often offsets are committed.
        commit_ms: u64,
    },
    /// The engine stopped.
    #[error("the sink stopped: {0}")]
    Stopped(String),
}

impl StartError {
    /// The stable code, see docs/errors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tenants(error) => error.code(),
            Self::Kafka(error) => error.code(),
            Self::Ledger(error) => error.code(),
            Self::Registry(error) => error.code(),
            Self::Plan(PlanError::Egress { .. }) => "CFG-0122",
            Self::Plan(PlanError::Access { source, .. }) => source.code(),
            Self::Plan(PlanError::Mappings(errors)) => errors.code(),
            Self::Plan(PlanError::NotMade { .. }) => "CFG-0125",
            Self::Plan(PlanError::Mapping { problems, .. }) => {
                problems.first().map_or("CFG-0213", |one| one.code)
            }
            Self::Plan(_) => "CFG-0213",
            Self::Topic { .. } => "SNK-0033",
            Self::Lease { .. } => "SNK-0034",
            Self::Io { .. } | Self::Metrics(_) | Self::Stopped(_) => "SNK-0035",
        }
    }
}
