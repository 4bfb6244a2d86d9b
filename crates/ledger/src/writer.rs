//! The ledger's thread: group commit. Whatever arrived while the last batch was written becomes the next batch.

use std::{
    cell::Cell,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use ahash::AHashMap;
use delivery::{Intent, Outcome, PartitionId, Ticket};
use event::{EntityId, PostingKey};
use tracing::{info, warn};

use crate::{LedgerError, Store as _, Stored, batch::Batch, buckets::Buckets};

/// Most jobs in one batch.
const MAX_BATCH: usize = 2_048;
/// The wait before outcomes are tried again on a store that failed.
const RETRY: Duration = Duration::from_millis(200);

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

/// Watches the disk, so that the store never meets a full one in the middle of a write.
pub(crate) struct DiskSpace {
    pub(crate) dir: PathBuf,
    pub(crate) reserve: u64,
}

impl DiskSpace {
    fn check(&self) -> Result<(), LedgerError> {
        let stat = nix::sys::statvfs::statvfs(&self.dir).map_err(|e| LedgerError::Folder(e.into()))?;
        let free = stat.blocks_available() * stat.fragment_size();
        if free < self.reserve { Err(LedgerError::NoSpace { free, reserve: self.reserve }) } else { Ok(()) }
    }
}

pub(crate) struct Writer {
    pub(crate) store: Arc<Buckets>,
    pub(crate) space: DiskSpace,
    /// Whether the last write failed: the change is news, each failure is not.
    pub(crate) failing: Cell<bool>,
    pub(crate) report: Box<dyn Fn(Written) + Send>,
}

impl Writer {
    pub(crate) fn run(&self, inbox: &mpsc::Receiver<Vec<Job>>) {
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
        let nobody_else_writes = self.store.exclusive();
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
        drop(nobody_else_writes);
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
