//! The horizon: what is older goes, and what must outlive it is carried over first.
//!
//! A crash between any two steps leaves a store that knows no less: the old bucket is in the list until everything
//! that must stay is in the newest one and on the disk.

use std::sync::Arc;

use delivery::Status;
use tracing::info;

use crate::{
    Change, Entry, LedgerError, Store,
    buckets::Buckets,
    layout::Name,
    record::{decode_entry, is_version_key},
};

/// Keys looked at while nobody else may write.
const PAGE: usize = 512;

impl Buckets {
    /// Whether [`Buckets::expire`] has anything to do.
    pub(crate) fn is_due(&self, now_ms: i64) -> bool {
        self.is_full(now_ms) || self.expired(now_ms).is_some()
    }

    /// Begins a new bucket when the newest is full, and deletes those that are older than the horizon. Returns how many.
    /// Blocking, for as long as it takes to read the buckets that go.
    pub(crate) fn expire(&self, now_ms: i64) -> Result<usize, LedgerError> {
        let _one = self.expiring.lock();
        if self.is_full(now_ms) {
            self.begin(now_ms)?;
        }
        let mut deleted = 0;
        while let Some(name) = self.expired(now_ms) {
            self.delete(name)?;
            deleted += 1;
        }
        Ok(deleted)
    }

    fn is_full(&self, now_ms: i64) -> bool {
        let newest = self.names().last().map_or(0, |name| name.start);
        now_ms.saturating_sub(newest) >= self.width_ms()
    }

    /// The oldest bucket, if everything in it is older than the horizon: if the next one began that long ago.
    fn expired(&self, now_ms: i64) -> Option<Name> {
        match self.names().as_slice() {
            [oldest, next, ..] if now_ms.saturating_sub(next.start) >= self.horizon_ms => Some(*oldest),
            _ => None,
        }
    }

    fn delete(&self, name: Name) -> Result<(), LedgerError> {
        let Some(old) = self.list.read().first().map(|bucket| Arc::clone(&bucket.store)) else {
            return Ok(());
        };
        let mut carried = 0;
        for space in self.spaces()? {
            carried += self.carry(&*old, &space)?;
        }
        self.newest().sync()?;
        let names = self.names();
        if let Some(newest) = names.last() {
            self.layout.harden(*newest)?;
        }
        self.layout.write(&names[1..], None)?;
        self.list.write().remove(0);
        // The last handle: the store must be closed before its files go.
        drop(old);
        self.layout.remove(name)?;
        info!(bucket = %name, carried, "ledger bucket is older than the horizon, deleted");
        Ok(())
    }

    /// Copies what must stay of the oldest bucket into the newest, unless a bucket in between knows better.
    fn carry(&self, old: &dyn Store, space: &Arc<str>) -> Result<usize, LedgerError> {
        let (mut after, mut carried) = (Vec::new(), 0);
        loop {
            let page = old.scan(space, &after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            let _nobody_writes = self.exclusive();
            let mut keep: Vec<Change> = Vec::new();
            for (key, value) in page {
                if must_stay(&key, &value) && !self.is_known_later(space, &key)? {
                    keep.push((key, value));
                }
            }
            carried += keep.len();
            if !keep.is_empty() {
                self.newest().apply(space, keep, None)?;
            }
        }
        let _nobody_writes = self.exclusive();
        let mut later = self.later();
        let moved = later.try_fold(false, |known, store| {
            Ok::<_, LedgerError>(known || store.position(space)?.is_some())
        })?;
        if !moved && let Some(position) = old.position(space)? {
            self.newest().apply(space, Vec::new(), Some(position))?;
        }
        Ok(carried)
    }

    fn is_known_later(&self, space: &Arc<str>, key: &[u8]) -> Result<bool, LedgerError> {
        for store in self.later() {
            if store.get(space, key)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All buckets but the oldest.
    fn later(&self) -> impl Iterator<Item = Arc<dyn Store>> + use<> {
        let stores: Vec<_> =
            self.list.read().iter().skip(1).map(|bucket| Arc::clone(&bucket.store)).collect();
        stores.into_iter()
    }
}

/// Versions keep the order beyond the horizon. An Intent without outcome and an outcome in doubt are not over. What
/// cannot be read is not for us to throw away.
fn must_stay(key: &[u8], value: &[u8]) -> bool {
    if is_version_key(key) {
        return true;
    }
    match decode_entry(value) {
        Ok(Entry::Outcome(outcome)) => outcome.status == Status::InDoubt,
        Ok(Entry::Intent(_) | Entry::Claim(_)) | Err(_) => true,
    }
}
