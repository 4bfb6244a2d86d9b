//! What can go wrong in the ledger.

/// A failure of the local store or of a stored record.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store refused an operation.
    #[error("the ledger's store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store's folder cannot be used.
    #[error("the ledger's folder cannot be used")]
    Folder(#[source] std::io::Error),
    /// Too little space is left to go on.
    #[error("the ledger's disk has {free} bytes left, fewer than the reserve of {reserve}")]
    NoSpace {
        /// Bytes free.
        free: u64,
        /// Bytes that must stay free.
        reserve: u64,
    },
    /// A record has a form that this version does not know.
    #[error("a ledger record cannot be read: {0}")]
    Record(&'static str),
}

impl LedgerError {
    /// The stable code, see docs/errors.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(_) | Self::Folder(_) => "SNK-0020",
            Self::NoSpace { .. } => "SNK-0021",
            Self::Record(_) => "SNK-0022",
        }
    }

    pub(crate) fn store(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Store(error.into())
    }
}

impl From<sled::Error> for LedgerError {
    fn from(error: sled::Error) -> Self {
        Self::store(error)
    }
}
