//! The core itself: its state and the calls that change it. How one posting moves on is in [`flow`].

mod answers;
mod batches;
mod conflation;
mod digest;
mod flow;
mod launch;
mod limits;
mod moving;
mod pausing;
mod shared;
mod spilling;
mod timer;

use ahash::AHashMap;
use event::RouteId;

use crate::{
    action::{Action, Input},
    connection::{Connection, ConnectionId, ConnectionLimits},
    lane::{Lanes, Place},
    mutant::Mutant,
    policy::{Class, Intents},
    posting::{NewPosting, Posting, Stage, Ticket},
    range::Range,
    spill::{Backlog, Load},
    time::Now,
    turns::Turns,
    window::{PartitionId, Window},
};
use timer::{Timers, Wake};

/// How a core behaves.
#[derive(Clone, Copy, Debug, Hash)]
pub struct CoreOptions {
    /// The incarnation of this process: an Intent with another epoch is some other process's.
    pub epoch: u64,
    /// Most records of one partition between its committed offset and the newest one fetched.
    pub window: usize,
    /// How far the clocks of two machines may differ, milliseconds.
    pub clock_skew_ms: u64,
    /// Which Intents are asked for.
    pub intents: Intents,
    /// Most requests in flight, over all connections: beyond that tenants take turns.
    pub in_flight: usize,
    /// How long the ledger remembers what is over, milliseconds: nobody knows whether an event older than that was posted.
    pub horizon_ms: u64,
}

/// How full a core is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Postings that are not over.
    pub postings: usize,
    /// Lanes with something in them.
    pub lanes: usize,
    /// Requests in flight.
    pub in_flight: usize,
    /// Connections, for each partition, that leave their records in the log for now.
    pub spills: usize,
}

#[derive(Clone, Debug, Hash)]
struct Partition {
    window: Window,
    /// Until when this process may send for the partition, monotonic milliseconds.
    lease_until: u64,
    /// Postings that wait for nothing but the lease: to write their Intent, or to be sent.
    unleased: Vec<Ticket>,
    range: Range,
    load: Load,
    /// Set while it is being given back: nothing new is begun. Until that moment, monotonic milliseconds, it is still ours.
    draining: Option<u64>,
    paused: bool,
    /// Since when it is paused without a break, once that was noted.
    full_since: Option<u64>,
    /// Whether a timer looks after it.
    watched: bool,
}

impl Partition {
    /// Whether something new may be begun.
    fn may_send(&self, now: Now) -> bool {
        self.draining.is_none() && self.is_leased(now)
    }

    fn is_leased(&self, now: Now) -> bool {
        now.mono < self.lease_until
    }

    /// Whether nobody else can own it: a drain ends before anybody else begins, a lease that is over may mean that somebody
    /// has begun. A drain that is over does, too, if this process was stopped in it.
    fn is_ours(&self, now: Now) -> bool {
        self.is_leased(now) || self.draining.is_some_and(|until| now.mono < until)
    }
}

/// Decides for all partitions that one process owns. See the crate's documentation.
#[derive(Clone, Debug)]
pub struct Core {
    options: CoreOptions,
    partitions: AHashMap<PartitionId, Partition>,
    connections: AHashMap<ConnectionId, Connection>,
    turns: Turns,
    lanes: Lanes,
    postings: slab::Slab<Posting>,
    /// Requests still in flight for partitions that were revoked: they keep their slot, and their lock, until answered.
    orphans: AHashMap<Ticket, (ConnectionId, Option<u64>)>,
    timers: Timers,
    actions: Vec<Action>,
    serial: u32,
    /// Routes that an operator paused, and postings that wait for them to be resumed.
    paused: AHashMap<RouteId, Vec<Ticket>>,
    /// The local ledger cannot be written: only an Intent of its own shows whether it can again.
    ledger_fails: bool,
    #[cfg(feature = "mutants")]
    mutant: Option<Mutant>,
}

impl Core {
    /// A core that owns nothing yet.
    pub fn new(options: CoreOptions) -> Self {
        Self {
            options,
            partitions: AHashMap::new(),
            connections: AHashMap::new(),
            turns: Turns::new(options.in_flight),
            lanes: Lanes::default(),
            postings: slab::Slab::new(),
            orphans: AHashMap::new(),
            timers: Timers::default(),
            actions: Vec::new(),
            serial: 0,
            paused: AHashMap::new(),
            ledger_fails: false,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Breaks the core, to see who notices.
    #[cfg(feature = "mutants")]
    pub fn break_on_purpose(&mut self, mutant: Mutant) {
        self.mutant = Some(mutant);
    }

    #[cfg(feature = "mutants")]
    fn is_broken(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    #[cfg(not(feature = "mutants"))]
    const fn is_broken(&self, _: Mutant) -> bool {
        false
    }

    /// The incarnation of this process.
    pub fn epoch(&self) -> u64 {
        self.options.epoch
    }

    /// Makes a connection known, or changes its limits; call [`Core::tick`] soon. A posting needs its connection known.
    pub fn connect(&mut self, id: ConnectionId, limits: ConnectionLimits) {
        if let Some(known) = self.connections.get_mut(&id) {
            known.limits = limits;
            self.timers.set(0, Wake::Connection(id)); // more may fit now
        } else {
            self.connections.insert(id, Connection::new(limits));
        }
    }

    /// The partition is ours; its next record has `next_offset` or more. It needs a lease before anything is sent.
    /// No ledger write of an earlier ownership may be under way any more: what is consulted from now on must be the truth.
    pub fn assign(&mut self, partition: PartitionId, next_offset: i64) {
        self.partitions.insert(
            partition,
            Partition {
                window: Window::new(next_offset),
                lease_until: 0,
                unleased: Vec::new(),
                range: Range::default(),
                load: Load::default(),
                draining: None,
                paused: false,
                full_since: None,
                watched: false,
            },
        );
        self.leave_paused(partition, next_offset);
    }

    /// Records of the partition below `until` that have no outcome may have been sent by an earlier owner, who needed no
    /// Intent for each. Call it before the first record is admitted.
    pub fn inherit(&mut self, partition: PartitionId, until: i64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.range.inherited = until;
        }
    }

    /// The local ledger cannot be written, or can be again. While it cannot, every attempt needs an Intent of its own,
    /// which fails: nothing is sent.
    pub fn ledger_fails(&mut self, fails: bool) {
        self.ledger_fails = fails;
    }

    /// The brokers confirmed our ownership: we may send for the partition until `until` (monotonic milliseconds).
    pub fn renew_lease(&mut self, partition: PartitionId, until: u64, now: Now) {
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        state.lease_until = state.lease_until.max(until);
        for ticket in std::mem::take(&mut state.unleased) {
            match self.posting(ticket).map(|p| p.stage) {
                Some(Stage::Staging) => self.stage(ticket, now),
                Some(Stage::Known) => self.write_known(ticket),
                _ => self.enqueue_ready(ticket, now),
            }
        }
    }

    /// The partition is about to be taken away: start nothing more for it, let what is in flight end. It is given back at
    /// `until` (monotonic milliseconds) at the latest, well inside the group's session time-out.
    pub fn drain(&mut self, partition: PartitionId, until: u64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.draining = Some(until);
        }
    }

    /// Whether nobody else can have read the partition's changelog to its end yet: what the brokers acknowledge now is
    /// met by every later owner.
    pub fn holds(&self, partition: PartitionId, now: Now) -> bool {
        self.partitions.get(&partition).is_some_and(|p| p.is_ours(now))
    }

    /// Whether it may have been applied by an attempt before this one, for all that is known.
    pub fn perhaps_sent(&self, ticket: Ticket) -> bool {
        let posting = self.postings.get(ticket.slot()).filter(|p| p.serial == ticket.serial);
        posting.is_some_and(|posting| posting.unknown)
    }

    /// When the request of a posting in flight must be over, monotonic milliseconds.
    pub fn request_over_at(&self, ticket: Ticket) -> Option<u64> {
        self.postings.get(ticket.slot()).filter(|p| p.serial == ticket.serial).map(|p| p.request_over_at)
    }

    /// Postings of the partition that have an Intent, a request in flight or an end being written. An Intent that is left
    /// behind is one more for the next owner to resolve, or to park. A request under a shared Intent that was not answered
    /// counts until its deadline: the next owner knows of none, and would look while the target may still be at it.
    pub fn unsettled(&self, partition: PartitionId) -> usize {
        let busy = |p: &Posting| match p.stage {
            Stage::Intending | Stage::InFlight | Stage::DeadLettering | Stage::Settling => true,
            Stage::Ready => !p.shared,
            Stage::Waiting => p.shared && p.unknown && p.new.class == Class::Upsert,
            _ => false,
        };
        self.postings.iter().filter(|(_, p)| p.partition == partition && busy(p)).count()
    }

    /// The partition is gone. Everything about it is forgotten; what it had in flight is the next owner's to resolve.
    pub fn revoke(&mut self, partition: PartitionId, now: Now) {
        self.partitions.remove(&partition);
        self.lanes.forget(partition);
        let gone: Vec<usize> =
            self.postings.iter().filter(|(_, p)| p.partition == partition).map(|(slot, _)| slot).collect();
        let mut freed = Vec::new();
        for slot in gone {
            let posting = self.postings.remove(slot);
            let connection = posting.new.connection;
            let ticket = Ticket { slot: slot as u32, serial: posting.serial };
            let lock = posting.new.lock.filter(|_| posting.has_lock);
            if posting.stage == Stage::InFlight {
                self.orphans.insert(ticket, (connection, lock));
                continue;
            }
            if let Some(lock) = lock {
                freed.push((connection, lock));
            }
            if matches!(posting.stage, Stage::Intending | Stage::Ready)
                && let Some(connection) = self.connections.get_mut(&connection)
            {
                connection.staged -= 1;
            }
        }
        freed.into_iter().for_each(|(connection, lock)| self.pass_on(connection, lock, now));
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        ids.into_iter().for_each(|id| self.pump(id, now));
    }

    /// A record arrived. `postings` are what it asks for, one for each route; none means there is nothing to do.
    /// `tickets` receives one entry for each posting: its ticket, or none if it is left in the log, to be read again when
    /// an [`Action::Reread`] asks for it. Returns false, and does nothing, for a record seen before
    /// or of a partition that is not ours.
    pub fn admit(
        &mut self,
        partition: PartitionId,
        offset: i64,
        postings: &[NewPosting],
        tickets: &mut Vec<Option<Ticket>>,
    ) -> bool {
        if !self.open_record(partition, offset, postings.len() as u32) {
            return false;
        }
        self.take_in(partition, offset, postings, tickets);
        self.check_room(partition);
        true
    }

    /// A record that was held turned out to ask for these postings; see [`Core::admit`]. Records of one entity come in their order.
    pub fn admit_held(
        &mut self,
        partition: PartitionId,
        offset: i64,
        postings: &[NewPosting],
        tickets: &mut Vec<Option<Ticket>>,
    ) {
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        state.load.held = state.load.held.saturating_sub(1);
        if let Some(offset) = state.window.turn_out(offset, postings.len() as u32) {
            self.actions.push(Action::StoreOffset { partition, offset });
        }
        self.take_in(partition, offset, postings, tickets);
        self.make_room(partition);
        self.check_room(partition);
    }

    fn take_in(
        &mut self,
        partition: PartitionId,
        offset: i64,
        postings: &[NewPosting],
        tickets: &mut Vec<Option<Ticket>>,
    ) {
        for new in postings {
            let left = self
                .partitions
                .get_mut(&partition)
                .is_some_and(|p| p.load.leave(p.load.owner(new, offset), offset));
            tickets.push((!left).then(|| self.insert(*new, partition, offset)));
        }
    }

    /// A record arrived that cannot be read, or not yet. It holds the prefix until [`Core::release`], once its dead letter is safe, or
    /// [`Core::admit_held`].
    pub fn hold(&mut self, partition: PartitionId, offset: i64) -> bool {
        let opened = self.open_record(partition, offset, 1);
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.load.held += usize::from(opened);
        }
        self.check_room(partition);
        opened
    }

    /// The dead letter of a held record is acknowledged. Call it once, and not for a record held before a revoke.
    pub fn release(&mut self, partition: PartitionId, offset: i64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.load.held = state.load.held.saturating_sub(1);
        }
        self.settle_offset(partition, offset);
    }

    /// Whether the partition's window is full, so that nothing more is to be fetched.
    pub fn is_paused(&self, partition: PartitionId) -> bool {
        self.partitions.get(&partition).is_some_and(|p| p.paused)
    }

    /// The first offset of the partition that was not taken in yet, and whether a record before it is not settled.
    pub fn seen(&self, partition: PartitionId) -> Option<(i64, bool)> {
        self.partitions.get(&partition).map(|p| (p.window.next(), p.window.len() > 0))
    }

    /// Takes a fact and decides.
    pub fn handle(&mut self, input: Input, now: Now) {
        flow::step(self, input, now);
    }

    /// Wakes what waited for a moment that has come.
    pub fn tick(&mut self, now: Now) {
        while let Some(wake) = self.timers.due(now.mono) {
            match wake {
                Wake::Posting(ticket) => flow::wake(self, ticket, now),
                Wake::Connection(id) => self.pump(id, now),
                Wake::Departure(id) => self.gathered(id, now),
                Wake::Full(id) => self.still_full(id, now),
            }
        }
    }

    /// When [`Core::tick`] is needed next, monotonic milliseconds.
    pub fn next_wake(&self) -> Option<u64> {
        self.timers.next()
    }

    /// Hands out the decisions made since the last call, in order.
    pub fn drain_actions(&mut self) -> std::vec::Drain<'_, Action> {
        self.actions.drain(..)
    }

    /// How full the core is.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            postings: self.postings.len(),
            lanes: self.lanes.len(),
            in_flight: self.connections.values().map(|c| c.in_flight).sum(),
            spills: self.partitions.values().map(|p| p.load.spills()).sum(),
        }
    }

    fn open_record(&mut self, partition: PartitionId, offset: i64, pending: u32) -> bool {
        let Some(state) = self.partitions.get_mut(&partition) else { return false };
        if !state.window.is_new(offset) {
            return false;
        }
        if let Some(offset) = state.window.push(offset, pending) {
            self.actions.push(Action::StoreOffset { partition, offset });
        }
        true
    }

    fn settle_offset(&mut self, partition: PartitionId, offset: i64) {
        let jumps = self.is_broken(Mutant::SuccessJumpsFailure);
        let too_far = i64::from(self.is_broken(Mutant::OffsetOneTooFar));
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        let stored = state.window.settle(offset).map(|offset| offset + too_far);
        if let Some(offset) = stored.or(jumps.then_some(offset + 1)) {
            self.actions.push(Action::StoreOffset { partition, offset });
        }
        self.make_room(partition);
    }

    fn insert(&mut self, new: NewPosting, partition: PartitionId, offset: i64) -> Ticket {
        let own = Backlog::Connection(new.connection);
        let backlog = self.partitions.get(&partition).map_or(own, |state| state.load.owner(&new, offset));
        self.insert_for(new, (partition, offset), backlog)
    }

    fn insert_for(
        &mut self,
        new: NewPosting,
        (partition, offset): (PartitionId, i64),
        backlog: Backlog,
    ) -> Ticket {
        self.serial = self.serial.wrapping_add(1);
        let mut posting = Posting::new(new, partition, offset, self.serial);
        if let (Some(bulk), Some(connection)) = (new.bulk, self.connections.get_mut(&new.connection)) {
            connection.company = connection.company.max(bulk.max_items as usize);
        }
        if let Some(state) = self.partitions.get_mut(&partition) {
            posting.backlog = backlog;
            state.load.came(backlog);
        }
        let lane = posting.lane();
        let ticket = Ticket { slot: self.postings.insert(posting) as u32, serial: self.serial };
        match self.lanes.push(lane, partition, ticket) {
            Place::Head => self.start(ticket),
            Place::Behind(before) => {
                if let Some(before) = self.posting(before) {
                    before.next = Some(ticket);
                }
            }
        }
        ticket
    }

    fn start(&mut self, ticket: Ticket) {
        if let Some(posting) = self.posting(ticket) {
            posting.stage = Stage::Looking;
            self.actions.push(Action::Consult(ticket));
        }
    }

    fn posting(&mut self, ticket: Ticket) -> Option<&mut Posting> {
        self.postings.get_mut(ticket.slot as usize).filter(|p| p.serial == ticket.serial)
    }
}

#[cfg(test)]
mod tests;
