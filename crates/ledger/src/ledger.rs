//! A handle to the ledger: what is known, what is to be written, what is restored.

use std::{
    cell::Cell,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use delivery::{Prior, Status};
use event::{EntityId, PostingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::{error, warn};

use crate::{
    Entry, Job, LedgerError, Store as _, StoreKind, Stored, Written,
    batch::{Batch, stored_version},
    buckets::Buckets,
    record::{CLAIMED, DOUBTS, RANGE, decode_entry, posting_key},
    writer::{DiskSpace, Writer},
};

/// Keys read at a time for a digest.
const PAGE: usize = 4_096;
/// Between two tries to let go of what is old; a failed one is not tried again at once.
const EXPIRE_EVERY_MS: u64 = 60_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How a ledger is opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerOptions {
    /// The folder.
    pub dir: PathBuf,
    /// Which store holds it. What another one has written before is still read.
    pub store: StoreKind,
    /// Memory for the store's pages, bytes; shared by its buckets.
    pub cache_bytes: u64,
    /// Bytes of disk that must stay free: below that no Intent is written, so nothing is sent.
    pub reserve_bytes: u64,
    /// How long a posting that is over is remembered, at least. At least as long as the input topics keep their events
    /// and the oldest event that may be replayed.
    #[serde(with = "humantime_serde")]
    pub horizon: Duration,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("data/ledger"),
            store: StoreKind::default(),
            cache_bytes: 256 << 20,
            reserve_bytes: 64 << 20,
            horizon: 35 * DAY,
        }
    }
}

/// What opening found.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// The store was there or is new.
    Fine,
    /// A damaged store was moved here; the new one is empty and must be restored from the changelog.
    SetAside(PathBuf),
}

/// A handle to the ledger. Cheap to clone. The thread ends with the last handle.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) store: Arc<Buckets>,
    jobs: mpsc::Sender<Vec<Job>>,
    expiring: Arc<AtomicBool>,
    /// When it was last tried to let go of what is old.
    expired_at: Arc<AtomicI64>,
    fenced: Arc<AtomicU64>,
}

impl Ledger {
    /// Opens the store and starts the thread, which tells `report` what it wrote. `now_ms` names a first bucket.
    pub fn open(
        options: &LedgerOptions,
        now_ms: i64,
        report: impl Fn(Written) + Send + 'static,
    ) -> Result<(Self, Opened), LedgerError> {
        let (store, opened) = Buckets::open(options, now_ms)?;
        Ok((Self::start(store, options, report)?, opened))
    }

    pub(crate) fn start(
        store: Buckets,
        options: &LedgerOptions,
        report: impl Fn(Written) + Send + 'static,
    ) -> Result<Self, LedgerError> {
        let store = Arc::new(store);
        let space = DiskSpace { dir: options.dir.clone(), reserve: options.reserve_bytes };
        let (jobs, inbox) = mpsc::channel();
        let writer =
            Writer { store: Arc::clone(&store), space, failing: Cell::new(false), report: Box::new(report) };
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer.run(&inbox))
            .map_err(LedgerError::Folder)?;
        Ok(Self {
            store,
            jobs,
            expiring: Arc::default(),
            expired_at: Arc::new(AtomicI64::new(i64::MIN)),
            fenced: Arc::default(),
        })
    }

    /// Hands jobs to the thread, in order.
    pub fn submit(&self, jobs: Vec<Job>) {
        if !jobs.is_empty() && self.jobs.send(jobs).is_err() {
            error!("the ledger's thread is gone, nothing more will be sent");
        }
    }

    /// What the ledger knows about a posting, and the newest version applied to its entity.
    pub fn consult(
        &self,
        space: &Arc<str>,
        key: &PostingKey,
        entity: EntityId,
    ) -> Result<(Prior, Option<i64>), LedgerError> {
        let prior = match self.store.get(space, &posting_key(key))? {
            None => Prior::None,
            Some(bytes) => match decode_entry(&bytes)? {
                Entry::Intent(intent) => Prior::Intent(intent),
                Entry::Outcome(outcome) => Prior::Outcome(outcome),
                Entry::Claim(_) => return Err(LedgerError::Record("a posting is a claim")),
            },
        };
        Ok((prior, stored_version(&*self.store, space, key.route, entity)?))
    }

    /// Up to which offset records of the space's partition may have been sent without an Intent of their own.
    pub fn range(&self, space: &Arc<str>) -> Result<i64, LedgerError> {
        let Some(bytes) = self.store.get(space, &posting_key(&RANGE))? else { return Ok(0) };
        match decode_entry(&bytes)? {
            Entry::Intent(intent) => Ok(intent.deadline),
            _ => Err(LedgerError::Record("a range is something else")),
        }
    }

    /// The next changelog offset that the space has not seen.
    pub fn next_position(&self, space: &Arc<str>) -> Result<i64, LedgerError> {
        Ok(self.store.position(space)?.map_or(0, |p| p + 1))
    }

    /// Empties a space, to be restored from the start of its changelog.
    pub fn clear(&self, space: &Arc<str>) -> Result<(), LedgerError> {
        let _nobody_else_writes = self.store.exclusive();
        self.store.clear(space)
    }

    /// Waits until everything handed over before is written: a partition that comes back must not meet late writes of its
    /// former assignment. Blocking.
    pub fn settle(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.jobs.send(vec![Job::Barrier(done)]).is_ok() {
            wait.recv().ok(); // the thread is gone: nothing will be written any more
        }
    }

    /// Applies changelog records, in order, up to and including `position`. Blocking.
    pub fn restore(&self, space: &Arc<str>, records: &[Stored], position: i64) -> Result<(), LedgerError> {
        self.copy(space, records, position)?;
        self.sync()
    }

    /// As [`Ledger::restore`], but durable only after [`Ledger::sync`]. Blocking.
    pub fn copy(&self, space: &Arc<str>, records: &[Stored], position: i64) -> Result<(), LedgerError> {
        let _nobody_else_writes = self.store.exclusive();
        // A restore whose partition was taken away may run beside the copy that follows it: what is behind that must not
        // bring an older claim back.
        if self.store.position(space)?.is_some_and(|known| known > position) {
            return Ok(());
        }
        let mut batch = Batch::new(&*self.store, space);
        for stored in records {
            batch.restore(stored)?;
        }
        batch.position = Some(position);
        self.fenced.fetch_add(batch.fenced, Ordering::Relaxed);
        batch.apply()
    }

    /// How many outcomes of former owners were passed over since the last call: they were appended when the next owner had
    /// read the changelog.
    pub fn take_fenced(&self) -> u64 {
        self.fenced.swap(0, Ordering::Relaxed)
    }

    /// Makes everything written before survive the death of this process. Blocking.
    pub fn sync(&self) -> Result<(), LedgerError> {
        self.store.sync()
    }

    /// Lets what is older than the horizon go, on a thread of its own. To be called now and then; at most times it does
    /// nothing.
    pub fn expire(&self, now_ms: i64) {
        // Either way: a clock that was ahead must not stop it.
        let too_early = now_ms.abs_diff(self.expired_at.load(Ordering::Acquire)) < EXPIRE_EVERY_MS;
        if too_early || !self.store.is_due(now_ms) || self.expiring.swap(true, Ordering::AcqRel) {
            return;
        }
        self.expired_at.store(now_ms, Ordering::Release);
        let (store, expiring) = (Arc::clone(&self.store), Arc::clone(&self.expiring));
        let work = move || {
            if let Err(error) = store.expire(now_ms) {
                warn!(code = error.code(), %error, "ledger cannot let go of what is older than the horizon");
            }
            expiring.store(false, Ordering::Release);
        };
        if let Err(error) = std::thread::Builder::new().name("ledger-expiry".into()).spawn(work) {
            warn!(%error, "ledger cannot start the thread of its expiry");
            self.expiring.store(false, Ordering::Release);
        }
    }

    /// How many postings of the space are in doubt. Reads no more than the list of those that ever were. Blocking.
    pub fn in_doubt(&self, space: &Arc<str>) -> Result<usize, LedgerError> {
        let (mut after, mut count) = (vec![DOUBTS], 0);
        loop {
            let page = self.store.scan(space, &after, PAGE)?;
            let full = page.len() == PAGE;
            for (key, _) in page {
                let [DOUBTS, posting @ ..] = key.as_slice() else { return Ok(count) };
                let entry = self.store.get(space, posting)?.map(|bytes| decode_entry(&bytes)).transpose()?;
                let doubtful = |entry| matches!(entry, Entry::Outcome(o) if o.status == Status::InDoubt);
                count += usize::from(entry.is_some_and(doubtful));
                after = key;
            }
            if !full {
                return Ok(count);
            }
        }
    }

    /// A hash over everything that the space knows of postings, whatever store holds it and in whatever buckets: two ledgers with
    /// the same knowledge have the same one. Slow: for checks.
    pub fn digest(&self, space: &Arc<str>) -> Result<[u8; 32], LedgerError> {
        let mut hash = Sha256::new();
        let mut after = Vec::new();
        loop {
            let page = self.store.scan(space, &after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(hash.finalize().into()) };
            after.clone_from(last);
            for (key, value) in page.into_iter().filter(|(key, _)| *key != posting_key(&CLAIMED)) {
                hash.update((key.len() as u32).to_be_bytes());
                hash.update(&key);
                hash.update((value.len() as u32).to_be_bytes());
                hash.update(&value);
            }
        }
    }
}
