//! What a connection and all of them together may use: budgets over time, turns between tenants, locks at the target.

use super::{Core, Wake};
use crate::{
    budget::{Budget, Limit},
    connection::ConnectionId,
    line::Shares,
    posting::{Stage, Step, Ticket},
    time::Now,
    told::{Left, Told},
    turns::TenantId,
};

impl Core {
    /// What a connection may use over time, beside [`ConnectionLimits`](crate::ConnectionLimits). What is used already
    /// is forgotten.
    pub fn limit(&mut self, id: ConnectionId, limits: &[Limit]) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.budgets = limits.iter().map(|limit| Budget::new(*limit)).collect();
            self.timers.set(0, Wake::Connection(id)); // more may fit now
        }
    }

    /// This process has `parts` of `of` partitions of the connection's events, so it may use as much of its limits.
    pub fn apportion(&mut self, id: ConnectionId, parts: u64, of: u64) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.budgets.iter_mut().for_each(|budget| budget.share(parts, of));
            self.timers.set(0, Wake::Connection(id));
        }
    }

    /// So many requests left that nothing was decided on here: those of an operation behind its first, and questions for limits.
    pub fn spent(&mut self, id: ConnectionId, requests: u64, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        for budget in &mut connection.budgets {
            (0..requests).for_each(|_| budget.sent(now.mono));
        }
        connection.told.iter_mut().for_each(|told| told.spent(requests, now.mono));
    }

    /// The target told what is left of a limit of the whole account; tell it before the answer that it came with. It only ever
    /// holds requests back: the limits of [`Core::limit`] hold besides. `began` is when the request left, monotonic milliseconds.
    pub fn left(&mut self, id: ConnectionId, left: &Left, began: u64, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        // All that is in flight but what was answered just now.
        let under_way = connection.in_flight.saturating_sub(1) as u64;
        let configured = connection.budgets.iter().map(Budget::limit);
        let told = Told::new(left, configured, under_way, now.mono);
        let known = connection.told.iter().position(|known| known.of == left.of);
        let known = known.map(|at| connection.told.swap_remove(at));
        connection.told.push(told.after(known, began));
        self.timers.set(0, Wake::Connection(id)); // more may fit now
    }

    /// The connection leads to another account now: what the former one told and refused says nothing of it.
    pub fn moved(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.told.clear();
            (connection.blocked_until, connection.refusals, connection.silences) = (0, 0, 0);
            self.timers.set(0, Wake::Connection(id)); // more may leave now
        }
    }

    /// The target wants to be left alone for so long, whatever became of its request.
    pub fn rest(&mut self, id: ConnectionId, ms: u64, now: Now) {
        if self.connections.contains_key(&id) {
            self.hold_back(id, ms, now);
        }
    }

    /// How many requests of the connection its limits over time allow now.
    pub fn room(&mut self, id: ConnectionId, now: Now) -> u64 {
        self.connections.get_mut(&id).map_or(0, |connection| connection.room(now))
    }

    /// How the connection's attempts are divided between what is live and what is delivered once more.
    pub fn divide(&mut self, id: ConnectionId, shares: Shares) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.staging.shares = shares;
        }
    }

    /// Whose a connection is, and how many requests that tenant sends in its turn when all requests of the process are in
    /// flight.
    pub fn belongs(&mut self, id: ConnectionId, tenant: TenantId, weight: u32) {
        self.turns.weigh(tenant, weight);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.tenant = tenant;
        }
    }

    /// Whether the connection's next request may leave as far as its budgets go. If not, it is woken when it may.
    pub(super) fn has_room(&mut self, id: ConnectionId, now: Now) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        if connection.room(now) > 0 {
            return true;
        }
        let next = connection.next_room(now);
        if connection.refill_at <= now.mono || next < connection.refill_at {
            connection.refill_at = next;
            self.timers.set(next, Wake::Connection(id));
        }
        false
    }

    /// Lets those who wait for their turn send.
    pub(super) fn feed(&mut self, now: Now) {
        while let Some(id) = self.turns.next() {
            let ready = |core: &mut Self| {
                let waits = core.connections.get(&id).is_some_and(|c| c.may_send(now) && !c.ready.is_empty());
                waits && !core.is_gathering(id, now) && core.has_room(id, now)
            };
            if ready(self) {
                self.depart(id, now);
            } else if self.may_intend(id, true, now)
                && let Some(ticket) = self.connections.get_mut(&id).and_then(|c| c.staging.pop())
            {
                self.intend(id, ticket, now);
            }
            let more = ready(self) || self.may_intend(id, true, now);
            self.turns.served(id, more);
        }
    }

    /// Takes what the target locks for the posting, or gets in line for it.
    pub(super) fn lock(&mut self, ticket: Ticket) -> bool {
        let Some(posting) = self.postings.get_mut(ticket.slot()).filter(|p| p.serial == ticket.serial) else {
            return false;
        };
        let Some(lock) = posting.new.lock.filter(|_| !posting.has_lock) else { return true };
        let Some(connection) = self.connections.get_mut(&posting.new.connection) else { return false };
        match connection.taken.get_mut(&lock) {
            Some(line) => {
                line.push_back(ticket);
                posting.stage = Stage::Locked;
            }
            None => {
                connection.taken.insert(lock, Default::default());
                posting.has_lock = true;
            }
        }
        posting.has_lock
    }

    /// The posting needs its lock no longer: the next in line goes on.
    pub(super) fn unlock(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        if std::mem::take(&mut posting.has_lock)
            && let Some(lock) = posting.new.lock
        {
            let id = posting.new.connection;
            self.pass_on(id, lock, now);
        }
    }

    /// Gives a lock to the next in line.
    pub(super) fn pass_on(&mut self, id: ConnectionId, lock: u64, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(line) = connection.taken.get_mut(&lock) else { return };
        while let Some(next) = line.pop_front() {
            let waits = |p: &crate::posting::Posting| p.serial == next.serial && p.stage == Stage::Locked;
            if let Some(posting) = self.postings.get_mut(next.slot()).filter(|p| waits(p)) {
                posting.has_lock = true;
                return match posting.step {
                    Step::ReadBack => self.enqueue_ready(next, now),
                    Step::Send | Step::Resolve => self.stage(next, now),
                };
            }
        }
        connection.taken.remove(&lock);
    }
}
