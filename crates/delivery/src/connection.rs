//! The limits of a connection, and who waits for them.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
};

use ahash::AHashMap;

use crate::{
    batch::Gathering, budget::Budget, digest, line::Line, posting::Ticket, time::Now, told::Told,
    turns::TenantId,
};

/// Requests in a row without an answer, after which a target is taken to be away.
pub(crate) const SILENCES: u32 = 8;

/// A tenant's connection, numbered densely by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u32);

/// What a connection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionLimits {
    /// Most requests in flight at a time.
    pub concurrency: usize,
    /// Most milliseconds one request may take.
    pub timeout_ms: u64,
}

/// A connection's queues. A posting passes `staging` → (Intent) → `ready` → (slot) → in flight.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) limits: ConnectionLimits,
    pub(crate) tenant: TenantId,
    /// What it may use over time.
    pub(crate) budgets: Vec<Budget>,
    /// What the target has told of its limits, one for each.
    pub(crate) told: Vec<Told>,
    /// Until when a timer waits for a budget, monotonic milliseconds.
    pub(crate) refill_at: u64,
    /// What is taken at the target, and who waits for it.
    pub(crate) taken: AHashMap<u64, VecDeque<Ticket>>,
    /// Heads of lanes that wait until their Intent may be written.
    pub(crate) staging: Line,
    /// Postings whose Intent is being written or waits in `ready`.
    pub(crate) staged: usize,
    /// Postings with a durable Intent (or a read-back to make) that wait for a slot.
    pub(crate) ready: VecDeque<Ticket>,
    /// Requests in flight.
    pub(crate) in_flight: usize,
    /// Nothing is sent before this moment (monotonic milliseconds).
    pub(crate) blocked_until: u64,
    /// Refusals for the whole connection in a row.
    pub(crate) refusals: u32,
    /// Postings that the target has applied.
    pub(crate) applied: u64,
    /// Requests in a row of which nobody knows the effect.
    pub(crate) silences: u32,
    /// Most postings that share a request.
    pub(crate) company: usize,
    /// Whether the first in line waits for company.
    pub(crate) gathering: Gathering,
}

impl Connection {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            tenant: TenantId::default(),
            budgets: Vec::new(),
            told: Vec::new(),
            refill_at: 0,
            taken: AHashMap::new(),
            staging: Line::default(),
            staged: 0,
            ready: VecDeque::new(),
            in_flight: 0,
            blocked_until: 0,
            refusals: 0,
            applied: 0,
            silences: 0,
            company: 1,
            gathering: Gathering::Idle,
        }
    }

    /// How many requests may be in flight: one probe while the target seems to be away, whatever the limit otherwise.
    fn slots(&self) -> usize {
        if self.probes() { 1 } else { self.limits.concurrency }
    }

    /// Whether one request at a time looks whether the target is there again.
    pub(crate) fn probes(&self) -> bool {
        self.refusals > 0 || self.seems_away()
    }

    /// Whether so many requests in a row went without an answer that the connection is held back as a whole.
    pub(crate) fn seems_away(&self) -> bool {
        self.silences >= SILENCES
    }

    /// Intents are written this far ahead of the free slots, so that a slot never waits for the disk, and no further,
    /// so that few postings are left unresolved by a crash.
    pub(crate) fn may_stage(&self) -> bool {
        self.staged < self.slots() * self.shared_by()
    }

    /// Whether a slot is free that nothing is staged for, and a request of it may leave.
    /// With `in_company`, a slot is taken by as many as share a request.
    pub(crate) fn has_free_slot(&mut self, in_company: bool, now: Now) -> bool {
        let staged = if in_company { self.staged / self.shared_by() } else { self.staged };
        staged + self.in_flight < self.slots() && self.room(now) > staged as u64
    }

    /// How many share a request at most, as things are.
    fn shared_by(&self) -> usize {
        if self.probes() { 1 } else { self.company }
    }

    /// Whether a request may leave now, as far as its budgets are not concerned.
    pub(crate) fn may_send(&self, now: Now) -> bool {
        self.in_flight < self.slots() && now.mono >= self.blocked_until
    }

    /// How many requests its budgets allow now, and what the target has told.
    pub(crate) fn room(&mut self, now: Now) -> u64 {
        let budgets = self.budgets.iter_mut().map(|budget| budget.room(now.mono));
        let told = self.told.iter_mut().map(|told| told.room(now.mono));
        budgets.chain(told).min().unwrap_or(u64::MAX)
    }

    /// When its budgets may allow more, should they allow none.
    pub(crate) fn next_room(&mut self, now: Now) -> u64 {
        let exhausted = self
            .budgets
            .iter_mut()
            .filter_map(|budget| (budget.room(now.mono) == 0).then(|| budget.next(now.mono)));
        let told = self.told.iter_mut();
        let told = told.filter_map(|told| (told.room(now.mono) == 0).then(|| told.next(now.mono)));
        exhausted.chain(told).max().unwrap_or(now.mono)
    }

    /// Holds the connection back until `until`. An earlier, longer hold stays.
    pub(crate) fn block(&mut self, until: u64) {
        self.blocked_until = self.blocked_until.max(until);
    }
}

impl Hash for Connection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            limits,
            tenant,
            budgets,
            told,
            refill_at,
            taken,
            staging,
            staged,
            ready,
            in_flight,
            blocked_until,
            refusals,
            applied,
            silences,
            company,
            gathering,
        } = self;
        (limits, tenant, budgets, refill_at, staging, staged, ready, in_flight).hash(state);
        (blocked_until, refusals, applied, silences, company, gathering, told).hash(state);
        digest::map(taken, state);
    }
}
