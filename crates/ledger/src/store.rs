//! What the ledger asks of a local store. Eight methods, so that the choice of the store stays a choice.

use std::{path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{LedgerError, RedbStore, SledStore};

/// One change: a key and its new value.
pub type Change = (Vec<u8>, Vec<u8>);

/// The key of the changelog position in a space; no posting or version key has length 1. Do not change.
pub(crate) const POSITION: &[u8] = b"p";

/// How often, and after which wait, a store that is held is tried again: its last user in this process, or sled's own
/// thread, may let go of it a moment after the last handle is dropped.
pub(crate) const TRIES: u32 = 40;
pub(crate) const WAIT: Duration = Duration::from_millis(25);

/// A local store with one key space for each partition of an input topic.
///
/// Blocking; call it from a thread of its own, [`Store::get`] excepted, which answers from memory as a rule.
pub trait Store: Send + Sync {
    /// The value of a key.
    fn get(&self, space: &Arc<str>, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError>;
    /// Applies changes as one, together with the changelog offset up to which the space is now complete.
    /// Not durable before [`Store::sync`].
    fn apply(&self, space: &Arc<str>, changes: Vec<Change>, position: Option<i64>)
    -> Result<(), LedgerError>;
    /// Makes everything applied before survive the death of this process.
    fn sync(&self) -> Result<(), LedgerError>;
    /// The changelog offset up to which the space is complete; `None` for a new space.
    fn position(&self, space: &Arc<str>) -> Result<Option<i64>, LedgerError>;
    /// Empties a space.
    fn clear(&self, space: &Arc<str>) -> Result<(), LedgerError>;
    /// How many keys a space has, without its position. Slow: for checks.
    fn len(&self, space: &Arc<str>) -> Result<usize, LedgerError>;
    /// Up to `limit` keys behind `after`, in order, with their values; the position is not among them.
    fn scan(&self, space: &Arc<str>, after: &[u8], limit: usize) -> Result<Vec<Change>, LedgerError>;
    /// The spaces that something was applied to.
    fn spaces(&self) -> Result<Vec<Arc<str>>, LedgerError>;
}

/// Which store holds the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// sled: the faster one, survives a killed process.
    #[default]
    Sled,
    /// redb: slower, each group commit is on the disk and survives a power cut.
    Redb,
}

/// Why a store does not open.
#[derive(Debug)]
pub enum OpenError {
    /// Its files are not what was written: it can only be set aside.
    Damaged(String),
    /// It may be all right: held by another process, no permission, a failing disk.
    Failed(LedgerError),
}

impl StoreKind {
    /// Opens the store in the folder `path`, which exists; with `present`, it must have been written before.
    pub(crate) fn open(
        self,
        path: &Path,
        cache_bytes: u64,
        present: bool,
    ) -> Result<Arc<dyn Store>, OpenError> {
        Ok(match self {
            Self::Sled => Arc::new(SledStore::open(path, cache_bytes, present)?),
            Self::Redb => Arc::new(RedbStore::open(path, cache_bytes, present)?),
        })
    }
}

/// A position as it is stored.
pub(crate) fn decode_position(bytes: &[u8]) -> Result<i64, LedgerError> {
    let bytes = bytes.try_into().map_err(|_| LedgerError::Record("the position is damaged"))?;
    Ok(i64::from_be_bytes(bytes))
}

/// Runs what reads a store for the first time: on damaged files the stores panic here and there.
pub(crate) fn catching<T>(work: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(OpenError::Damaged("the store panicked on its own files".into())))
}

impl From<LedgerError> for OpenError {
    fn from(error: LedgerError) -> Self {
        Self::Failed(error)
    }
}
