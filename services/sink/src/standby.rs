//! Standby copies: the ledgers of partitions that another sink owns are kept up to date here, from their changelogs, so
//! that a takeover has only the last moments to read.
//!
//! A thread of its own follows the changelogs. Before a partition's ledger is restored, the thread has let go of it and
//! written what it had; after the partition is given back, it goes on where the ledger's thread ended. So at any time
//! one of the two writes a space, and its position never passes a record that it lacks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use kafka::{RangeRecord, Settings, Start, Tail};
use ledger::{Ledger, Stored};
use telemetry::IntCounterVec;
use tracing::{info, warn};

use crate::restore::chain;

/// Records applied at a time.
const BATCH: usize = 2_000;
/// How long records are gathered: each batch costs a sync of the disk.
const LINGER: Duration = Duration::from_millis(200);
/// How long it waits for a record before it looks whether it is wanted.
const POLL: Duration = Duration::from_millis(20);
/// The wait after a failure.
const RETRY: Duration = Duration::from_millis(500);

/// A partition whose ledger can be copied.
#[derive(Clone, Debug)]
pub(crate) struct Copied {
    pub(crate) changelog: Arc<str>,
    pub(crate) partition: i32,
    /// Its key space in the ledger.
    pub(crate) space: Arc<str>,
}

enum Command {
    /// These partitions are not ours.
    Follow(Vec<Copied>),
    /// These spaces are about to be ours; answer once nothing more is written to them.
    Leave(Vec<Arc<str>>, mpsc::SyncSender<()>),
}

/// A handle to the thread, which ends with the last one.
#[derive(Clone)]
pub(crate) struct Standby {
    /// None: no copies are kept.
    commands: Option<mpsc::Sender<Command>>,
    /// A command waits.
    wanted: Arc<AtomicBool>,
}

/// A promise that spaces are let go of.
pub(crate) struct Leaving(Option<mpsc::Receiver<()>>);

impl Leaving {
    /// Blocking, for as long as a batch takes to be written.
    pub(crate) fn wait(self) {
        if let Some(done) = self.0 {
            done.recv().ok(); // the thread is gone: it writes nothing any more
        }
    }
}

impl Standby {
    /// No copies.
    pub(crate) fn off() -> Self {
        Self { commands: None, wanted: Arc::default() }
    }

    /// Starts the thread, which follows nothing yet. `copied` counts the records.
    pub(crate) fn start(settings: &Settings, ledger: Ledger, copied: IntCounterVec) -> std::io::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        let wanted = Arc::new(AtomicBool::new(false));
        let (settings, flag) = (settings.clone(), Arc::clone(&wanted));
        std::thread::Builder::new().name("standby".into()).spawn(move || {
            let copier = Copier {
                settings,
                ledger,
                copied,
                inbox,
                wanted: flag,
                tail: None,
                followed: Vec::new(),
                failing: false,
            };
            copier.run();
        })?;
        Ok(Self { commands: Some(commands), wanted })
    }

    /// Keeps copies of these from now on. Everything that the ledger's thread has to write to them is with it already.
    pub(crate) fn follow(&self, partitions: Vec<Copied>) {
        self.send(Command::Follow(partitions));
    }

    /// Lets go of these spaces.
    pub(crate) fn leave(&self, spaces: Vec<Arc<str>>) -> Leaving {
        let (done, wait) = mpsc::sync_channel(1);
        Leaving(self.send(Command::Leave(spaces, done)).then_some(wait))
    }

    fn send(&self, command: Command) -> bool {
        let Some(commands) = &self.commands else { return false };
        let sent = commands.send(command).is_ok();
        self.wanted.store(true, Ordering::Release);
        sent
    }
}

struct Followed {
    partition: Copied,
    /// The next offset to read.
    next: i64,
    /// Read and not written yet.
    batch: Vec<Stored>,
}

struct Copier {
    settings: Settings,
    ledger: Ledger,
    copied: IntCounterVec,
    inbox: mpsc::Receiver<Command>,
    wanted: Arc<AtomicBool>,
    /// None: what is followed has changed, or reading failed.
    tail: Option<Tail>,
    followed: Vec<Followed>,
    /// Whether the last try failed: the change is news, each failure is not.
    failing: bool,
}

impl Copier {
    fn run(mut self) {
        while self.obey() {
            let result = self.copy();
            match result {
                Ok(()) if self.failing => info!("standby copies are kept again"),
                Err(ref reason) if !self.failing => {
                    warn!(reason, "standby copies are not kept, trying again")
                }
                _ => {}
            }
            self.failing = result.is_err();
        }
    }

    /// Carries out what was ordered. Waits for it where there is nothing else to do. False if nobody is left to order.
    fn obey(&mut self) -> bool {
        let idle = match (self.followed.is_empty(), self.failing) {
            (true, _) => self.inbox.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            (false, true) => self.inbox.recv_timeout(RETRY),
            (false, false) => Err(mpsc::RecvTimeoutError::Timeout),
        };
        self.wanted.store(false, Ordering::Release);
        match idle {
            Ok(command) => self.carry_out(command),
            Err(mpsc::RecvTimeoutError::Disconnected) => return false,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        loop {
            match self.inbox.try_recv() {
                Ok(command) => self.carry_out(command),
                Err(mpsc::TryRecvError::Empty) => return true,
                Err(mpsc::TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Follow(partitions) => {
                // What the ledger's thread still has of their last assignment comes before their position is read.
                self.ledger.settle();
                self.followed.extend(partitions.into_iter().map(|partition| Followed {
                    partition,
                    next: -1,
                    batch: Vec::new(),
                }));
            }
            Command::Leave(spaces, done) => {
                // Better written than read again; if it cannot be, the position has not moved past it either.
                if let Err(reason) = self.write() {
                    warn!(reason, "the last records of standby copies are read again");
                }
                self.followed.retain(|followed| !spaces.contains(&followed.partition.space));
                done.send(()).ok(); // whoever waited has given up
            }
        }
        self.tail = None;
    }

    /// Reads for a while and writes what came.
    fn copy(&mut self) -> Result<(), String> {
        if self.followed.is_empty() {
            return Ok(());
        }
        if self.tail.is_none() {
            self.tail = Some(self.follow()?);
        }
        if let Err(reason) = self.read() {
            self.tail = None;
            return Err(reason);
        }
        self.write().inspect_err(|_| self.tail = None)
    }

    /// Begins anew from the ledger's positions: what was read and not written is read again.
    fn follow(&mut self) -> Result<Tail, String> {
        let mut starts = Vec::with_capacity(self.followed.len());
        for followed in &mut self.followed {
            followed.batch.clear();
            let Copied { changelog, partition, space } = &followed.partition;
            followed.next = self.ledger.next_position(space).map_err(|e| chain(&e))?;
            starts.push(Start { topic: Arc::clone(changelog), partition: *partition, offset: followed.next });
        }
        let mut tail = Tail::new(&self.settings).map_err(|e| chain(&e))?;
        tail.follow(&starts).map_err(|e| chain(&e))?;
        Ok(tail)
    }

    fn read(&mut self) -> Result<(), String> {
        let Some(tail) = &self.tail else { return Ok(()) };
        let end = Instant::now() + LINGER;
        let (mut read, mut lost) = (0, None);
        while read < BATCH && lost.is_none() && Instant::now() < end && !self.wanted.load(Ordering::Acquire) {
            let followed = &mut self.followed;
            let met = tail.next(POLL, |place, record| {
                if let Err(reason) = followed[place].take(record) {
                    lost = Some((place, reason));
                }
            });
            read += usize::from(met.map_err(|e| chain(&e))?);
        }
        if let Some((place, reason)) = lost {
            let Copied { changelog, partition, .. } = self.followed.remove(place).partition;
            // Whoever is given it finds the same, and stops.
            warn!(topic = %changelog, partition, reason, "no standby copy is kept of this partition");
            self.tail = None;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), String> {
        let mut written = false;
        for followed in self.followed.iter_mut().filter(|followed| !followed.batch.is_empty()) {
            let Copied { changelog, space, .. } = &followed.partition;
            self.ledger.copy(space, &followed.batch, followed.next - 1).map_err(|e| chain(&e))?;
            self.copied.with_label_values(&[changelog]).inc_by(followed.batch.len() as u64);
            followed.batch.clear();
            written = true;
        }
        if written { self.ledger.sync().map_err(|e| chain(&e)) } else { Ok(()) }
    }
}

impl Followed {
    fn take(&mut self, record: RangeRecord<'_>) -> Result<(), String> {
        if record.offset < self.next {
            return Err(format!(
                "the local ledger has seen offset {}, the changelog begins again at {}",
                self.next - 1,
                record.offset
            ));
        }
        if let (Some(key), Some(value)) = (record.key, record.value) {
            self.batch.push(Stored::from_changelog(key, value).map_err(|e| chain(&e))?);
        }
        self.next = record.offset + 1;
        Ok(())
    }
}
