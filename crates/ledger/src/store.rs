//! What the ledger asks of a local store. Six methods, so that the choice of the store stays a choice.

use std::sync::Arc;

use crate::LedgerError;

/// One change: a key and its new value.
pub type Change = (Vec<u8>, Vec<u8>);

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
    /// How many keys a space has. Slow: for checks.
    fn len(&self, space: &Arc<str>) -> Result<usize, LedgerError>;
}
