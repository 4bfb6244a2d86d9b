//! The ledger's thread: group commit. Whatever arrived while the last batch was written becomes the next batch.

use std::{
    cell::Cell,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use ahash::AHashMap;
use delivery::{Intent, Outcome, PartitionId, Prior, Ticket};
use event::{EntityId, PostingKey, RouteId};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use crate::{
    Entry, LedgerError, Opened, SledStore, Store, Stored,
    batch::{Batch, stored_version},
    record::{RANGE, decode_entry, posting_key},
};

/// Most jobs in one batch.
const MAX_BATCH: usize = 2_048;
/// The wait before outcomes are tried again on a store that failed.
const RETRY: Duration = Duration::from_millis(200);

/// How a ledger is opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerOptions {
    /// The folder.
    pub dir: PathBuf,
    /// Memory for the store's pages, bytes.
    pub cache_bytes: u64,
    /// Bytes of disk that must stay free: below that no Intent is written, so nothing is sent.
    pub reserve_bytes: u64,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self { dir: PathBuf::from("data/ledger"), cache_bytes: 256 << 20, reserve_bytes: 64 << 20 }
    }
}

/// Something to write.
#[derive(Debug)]
pub enum Job {
    /// Before a request: durable when reported. An acknowledged Intent does not move the position by itself, the outcome
    /// behind it does: a position that lags only has a few records restored again.
    Intent {
        /// Whose.
        ticket: Ticket,
        /// The space of its partition.
        space: Arc<str>,
        /// Which posting.
        key: PostingKey,
        /// What is intended.
        intent: Intent,
        /// The changelog offset of the same record, where it was acknowledged first.
        position: Option<i64>,
    },
    /// After the changelog acknowledged an outcome.
    Outcome {
        /// Whose.
        ticket: Ticket,
        /// The space of its partition.
        space: Arc<str>,
        /// Which posting.
        key: PostingKey,
        /// Of which entity.
        entity: EntityId,
        /// How it ended.
        outcome: Outcome,
        /// The changelog offset of the same record.
        position: i64,
    },
    /// The Intent of a range of records, which the changelog has acknowledged.
    Range {
        /// Whose.
        partition: PartitionId,
        /// The space of the partition.
        space: Arc<str>,
        /// What is recorded, see [`crate::range`].
        stored: Stored,
        /// The first offset that it does not cover.
        until: i64,
    },
    /// Everything before it is written.
    Barrier(mpsc::SyncSender<()>),
}

/// What was written.
#[derive(Debug)]
pub enum Written {
    /// These Intents are durable.
    Intents(Vec<Ticket>),
    /// These Intents are not; nothing may be sent on them.
    IntentsFailed(Vec<Ticket>),
    /// These ranges are durable: partition, and the first offset that is not covered.
    Ranges(Vec<(PartitionId, i64)>),
    /// These are not; nothing may be sent under them.
    RangesFailed(Vec<(PartitionId, i64)>),
    /// These outcomes are in the store.
    Outcomes(Vec<Ticket>),
    /// Whether the store fails: the change, not each failure.
    Fails(bool),
}

/// A handle to the ledger. Cheap to clone. The thread ends with the last handle.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    jobs: mpsc::Sender<Vec<Job>>,
}

impl Ledger {
    /// Opens the store and starts the thread, which tells `report` what it wrote.
    pub fn open(
        options: &LedgerOptions,
        report: impl Fn(Written) + Send + 'static,
    ) -> Result<(Self, Opened), LedgerError> {
        let (store, opened) = SledStore::open(&options.dir, options.cache_bytes)?;
        let space = DiskSpace { dir: options.dir.clone(), reserve: options.reserve_bytes };
        Ok((Self::start(Arc::new(store), space, report)?, opened))
    }

    fn start(
        store: Arc<dyn Store>,
        space: DiskSpace,
        report: impl Fn(Written) + Send + 'static,
    ) -> Result<Self, LedgerError> {
        let (jobs, inbox) = mpsc::channel();
        let writer =
            Writer { store: Arc::clone(&store), space, failing: Cell::new(false), report: Box::new(report) };
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer.run(&inbox))
            .map_err(LedgerError::Folder)?;
        Ok(Self { store, jobs })
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
            },
        };
        Ok((prior, self.version(space, key.route, entity)?))
    }

    /// Up to which offset records of the space's partition may have been sent without an Intent of their own.
    pub fn range(&self, space: &Arc<str>) -> Result<i64, LedgerError> {
        let Some(bytes) = self.store.get(space, &posting_key(&RANGE))? else { return Ok(0) };
        match decode_entry(&bytes)? {
            Entry::Intent(intent) => Ok(intent.deadline),
            Entry::Outcome(_) => Err(LedgerError::Record("a range has an outcome")),
        }
    }

    /// The next changelog offset that the space has not seen.
    pub fn next_position(&self, space: &Arc<str>) -> Result<i64, LedgerError> {
        Ok(self.store.position(space)?.map_or(0, |p| p + 1))
    }

    /// Empties a space, to be restored from the start of its changelog.
    pub fn clear(&self, space: &Arc<str>) -> Result<(), LedgerError> {
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
        let mut batch = Batch::new(&*self.store, space);
        for stored in records {
            batch.restore(stored)?;
        }
        batch.position = Some(position);
        batch.apply()?;
        self.store.sync()
    }

    fn version(
        &self,
        space: &Arc<str>,
        route: RouteId,
        entity: EntityId,
    ) -> Result<Option<i64>, LedgerError> {
        stored_version(&*self.store, space, route, entity)
    }
}

/// Watches the disk, so that the store never meets a full one in the middle of a write.
struct DiskSpace {
    dir: PathBuf,
    reserve: u64,
}

impl DiskSpace {
    fn check(&self) -> Result<(), LedgerError> {
        let stat = nix::sys::statvfs::statvfs(&self.dir).map_err(|e| LedgerError::Folder(e.into()))?;
        let free = stat.blocks_available() * stat.fragment_size();
        if free < self.reserve { Err(LedgerError::NoSpace { free, reserve: self.reserve }) } else { Ok(()) }
    }
}

struct Writer {
    store: Arc<dyn Store>,
    space: DiskSpace,
    /// Whether the last write failed: the change is news, each failure is not.
    failing: Cell<bool>,
    report: Box<dyn Fn(Written) + Send>,
}

impl Writer {
    fn run(&self, inbox: &mpsc::Receiver<Vec<Job>>) {
        while let Ok(mut jobs) = inbox.recv() {
            while jobs.len() < MAX_BATCH
                && let Ok(more) = inbox.try_recv()
            {
                jobs.extend(more);
            }
            self.write(jobs);
        }
    }

    /// Intents may fail: then nothing is sent. Outcomes are in the changelog already and must get in, however long
    /// it takes; while they wait, no Intent is written either, so sending stops.
    fn write(&self, mut jobs: Vec<Job>) {
        let intents: Vec<Ticket> = jobs.iter().filter_map(Job::intent).collect();
        let ranges: Vec<(PartitionId, i64)> = jobs.iter().filter_map(Job::range).collect();
        let outcomes: Vec<Ticket> = jobs.iter().filter_map(Job::outcome).collect();
        let mut written = self.space.check().and_then(|()| self.apply(&jobs));
        self.note(&written);
        let done = written.is_ok();
        if !ranges.is_empty() {
            (self.report)(if done { Written::Ranges(ranges) } else { Written::RangesFailed(ranges) });
        }
        if !intents.is_empty() {
            (self.report)(if done { Written::Intents(intents) } else { Written::IntentsFailed(intents) });
        }
        if !done {
            jobs.retain(|job| job.intent().is_none() && job.range().is_none());
        }
        while written.is_err() && !jobs.is_empty() {
            written = self.apply(&jobs);
            if written.is_err() {
                std::thread::sleep(RETRY);
            }
        }
        if !outcomes.is_empty() {
            (self.report)(Written::Outcomes(outcomes));
        }
        for job in jobs {
            if let Job::Barrier(done) = job {
                done.send(()).ok(); // whoever waited has given up
            }
        }
    }

    /// The change is news, each failure is not.
    fn note(&self, written: &Result<(), LedgerError>) {
        let fails = written.is_err();
        if self.failing.replace(fails) == fails {
            return;
        }
        match written {
            Ok(()) => info!("ledger can be written again"),
            Err(error) => warn!(code = error.code(), %error, "ledger cannot be written, sending stops"),
        }
        (self.report)(Written::Fails(fails));
    }

    fn apply(&self, jobs: &[Job]) -> Result<(), LedgerError> {
        let mut batches: AHashMap<&Arc<str>, Batch<'_>> = AHashMap::new();
        let mut must_sync = false;
        for job in jobs {
            let Some(space) = job.space() else { continue };
            let batch = batches.entry(space).or_insert_with(|| Batch::new(&*self.store, space));
            batch.add(job)?;
            must_sync |= job.intent().is_some() || job.range().is_some();
        }
        for batch in batches.into_values() {
            batch.apply()?;
        }
        // Outcomes need no sync: the changelog has them, and position and records move together.
        if must_sync { self.store.sync() } else { Ok(()) }
    }
}

impl Job {
    /// The same, with the changelog offset that was acknowledged for it.
    #[must_use]
    pub fn at(mut self, offset: i64) -> Self {
        match &mut self {
            Self::Intent { position, .. } => *position = Some(offset),
            Self::Outcome { position, .. } => *position = offset,
            Self::Range { .. } | Self::Barrier(_) => {}
        }
        self
    }

    fn space(&self) -> Option<&Arc<str>> {
        match self {
            Self::Intent { space, .. } | Self::Outcome { space, .. } | Self::Range { space, .. } => {
                Some(space)
            }
            Self::Barrier(_) => None,
        }
    }

    fn intent(&self) -> Option<Ticket> {
        if let Self::Intent { ticket, .. } = self { Some(*ticket) } else { None }
    }

    fn range(&self) -> Option<(PartitionId, i64)> {
        if let Self::Range { partition, until, .. } = self { Some((*partition, *until)) } else { None }
    }

    fn outcome(&self) -> Option<Ticket> {
        if let Self::Outcome { ticket, .. } = self { Some(*ticket) } else { None }
    }
}
