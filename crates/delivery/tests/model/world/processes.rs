//! Processes: the one that owns the partitions, and one that owned them and does not know.

use std::collections::{BTreeMap, VecDeque};

use delivery::{Core, CoreOptions, Intents, Ticket};

use super::{Flight, Known, Letter, Partition, Reread, World};
use crate::{ledger::Write, plan::ROUTES};

/// One process: its core, what it holds, and what is on its way to and from it.
#[derive(Clone, Hash)]
pub struct Process {
    pub core: Core,
    pub partitions: Vec<Partition>,
    pub epoch: u64,
    pub(super) born: u64,
    pub(super) clock_error: i64,
    /// When requests left, by connection.
    pub(super) left: Vec<(usize, u64)>,
    pub(super) tickets: BTreeMap<Ticket, Known>,
    pub(super) consults: Vec<Ticket>,
    /// Writes that are not durable yet; one writer, so they become so in the order they were asked for.
    pub(super) queue: VecDeque<Write>,
    /// Shared Intents on their way.
    pub(super) asked: Vec<(usize, i64)>,
    pub(super) unreported: Vec<Write>,
    pub(super) rereads: Vec<Reread>,
    pub(super) letters: Vec<Letter>,
    pub(super) lettered: Vec<Letter>,
    /// Until when each connection asked for silence.
    pub(super) silent_until: [u64; ROUTES.len()],
}

impl Process {
    /// One that knows nothing yet but the logs.
    pub(super) fn new(core: Core, partitions: Vec<Partition>, epoch: u64) -> Self {
        Self {
            core,
            partitions,
            epoch,
            born: 0,
            clock_error: 0,
            left: Vec::new(),
            tickets: BTreeMap::new(),
            consults: Vec::new(),
            queue: VecDeque::new(),
            asked: Vec::new(),
            unreported: Vec::new(),
            rereads: Vec::new(),
            letters: Vec::new(),
            lettered: Vec::new(),
            silent_until: [0; ROUTES.len()],
        }
    }
}

/// The core of a process that did not begin yet.
pub(super) fn nothing() -> Core {
    Core::new(CoreOptions {
        epoch: 0,
        window: 1,
        clock_skew_ms: 0,
        intents: Intents::Each,
        in_flight: usize::MAX,
        horizon_ms: u64::MAX,
    })
}

impl Flight {
    pub(super) fn is_awaited_by(&self, process: &Process) -> bool {
        self.ticket.is_some() && self.epoch == process.epoch
    }
}

impl World {
    #[cfg(feature = "mutants")]
    pub fn break_on_purpose(&mut self, mutant: delivery::Mutant) {
        self.mutant = Some(mutant);
        self.me.core.break_on_purpose(mutant);
    }

    /// Lets the zombie act, if there is one.
    pub fn as_zombie(&mut self, act: impl FnOnce(&mut Self)) {
        let Some(zombie) = self.zombie.as_mut() else { return };
        std::mem::swap(&mut self.me, zombie);
        act(self);
        if let Some(owner) = self.zombie.as_mut() {
            std::mem::swap(&mut self.me, owner);
        }
    }

    /// Whether the process that acts is the zombie.
    pub(super) fn is_fenced(&self) -> bool {
        self.zombie.as_ref().is_some_and(|other| other.epoch > self.me.epoch)
    }

    /// Whether the process that acts waits for the request.
    pub(super) fn is_awaited(&self, flight: &Flight) -> bool {
        flight.is_awaited_by(&self.me)
    }

    /// Makes the oldest write durable. What the zombie appends is behind its successor's claim.
    pub(super) fn write_next(&mut self) {
        let Some(write) = self.me.queue.pop_front() else { return };
        match self.is_fenced() {
            true => self.ledger.apply_fenced(&write),
            false => self.ledger.apply(&write),
        }
        self.me.unreported.push(write);
    }

    /// Whether the group may give the partitions to another process: nobody has a lease.
    pub fn may_be_taken_over(&self) -> bool {
        let now = self.clock().mono;
        self.zombie.is_none() && self.me.partitions.iter().all(|p| p.lease_until <= now)
    }

    /// Another process owns the partitions from now on; this one does not know.
    pub fn take_over(&mut self, dice: u8) {
        let mut logs = self.me.partitions.clone();
        logs.iter_mut().for_each(|p| p.assigned = false);
        let next = Process::new(nothing(), logs, self.me.epoch);
        self.zombie = Some(Box::new(std::mem::replace(&mut self.me, next)));
        self.boot(dice);
    }
}
