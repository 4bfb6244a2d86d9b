//! What keeps a system from being read, or its changes from being told.

use std::io;

use mapping::{Diagnostic, MappingError};
use target::{RecordId, WalkError};

/// Why a poll cannot begin, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The tenants' configuration is wrong.
    #[error(transparent)]
    Tenants(#[from] tenancy::ConfigErrors),
    /// The connector's definition, or what the connection gives it, does not fit.
    #[error(transparent)]
    Endpoint(#[from] target::EndpointError),
    /// A file of a connector cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A poll cannot be begun.
    #[error("{poll}: {what}")]
    Setup {
        /// Whose, and what of.
        poll: String,
        /// What does not fit.
        what: String,
    },
    /// The program that makes events of records does not compile.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Program(Vec<Diagnostic>),
    /// The system refuses, does not answer, or its pages cannot be gone through.
    #[error("the system cannot be asked for its changes")]
    System(#[source] WalkError),
    /// The file that says how far a system was read cannot be read or written.
    #[error("{path}: how far the system was read cannot be {act}")]
    Cursor {
        /// The file.
        path: String,
        /// `read` or `kept`.
        act: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No event can be made of a record.
    #[error("record {id}: no event can be made of it")]
    Record {
        /// The system's own id of it.
        id: RecordId,
        /// Why not.
        #[source]
        source: MappingError,
    },
    /// The gateway refuses an event for good.
    #[error("the gateway refuses the events of records {first} to {last} ({status}): {said}")]
    Refused {
        /// The first record of the page.
        first: RecordId,
        /// The last one.
        last: RecordId,
        /// The status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// The gateway cannot take events now.
    #[error("the gateway does not take events: {0}")]
    Gateway(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A client or a metric cannot be made.
    #[error("the service cannot be set up: {0}")]
    Start(String),
}

impl SourceError {
    /// The stable code, see docs/errors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tenants(errors) => errors.code(),
            Self::Endpoint(error) => error.code(),
            Self::Program(diagnostics) => diagnostics.first().map_or("SRC-0001", |d| d.code),
            Self::File { .. } | Self::Setup { .. } | Self::Listen { .. } | Self::Start(_) => "SRC-0001",
            Self::System(WalkError::Asked(_)) => "SRC-0002",
            Self::System(WalkError::Elsewhere { .. }) => "SRC-0008",
            Self::System(WalkError::Endless(_)) => "SRC-0009",
            Self::System(WalkError::Moved(_)) => "SRC-0010",
            Self::Cursor { .. } => "SRC-0003",
            Self::Record { .. } => "SRC-0004",
            Self::Refused { .. } => "SRC-0005",
            Self::Gateway(_) => "SRC-0006",
        }
    }
}
