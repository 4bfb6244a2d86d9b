//! How a request leaves, alone or for several postings, and how its slot comes back.

use super::{Core, Wake};
use crate::{
    action::Action,
    check_invariant,
    connection::ConnectionId,
    mutant::Mutant,
    policy::Class,
    posting::{Stage, Step, Ticket},
    time::Now,
};

impl Core {
    /// Sends or reads, if the partition is still ours. Takes the posting out of `staged` either way, unless its Intent is
    /// written anew.
    pub(super) fn launch(&mut self, id: ConnectionId, ticket: Ticket, now: Now) {
        if !self.may_leave(id, ticket, now) {
            return;
        }
        self.take_slot(id, 1, now);
        let Some((step, attempt, timeout_ms)) = self.leave(id, ticket, now) else { return };
        self.actions.push(match step {
            Step::ReadBack => Action::ReadBack { ticket, timeout_ms },
            Step::Send | Step::Resolve => Action::Send { ticket, attempt, timeout_ms },
        });
    }

    /// Whether the posting may leave as things are. If not, it is put where it waits for what it lacks.
    pub(super) fn may_leave(&mut self, id: ConnectionId, ticket: Ticket, now: Now) -> bool {
        let epoch = self.options.epoch;
        let no_lease = self.is_broken(Mutant::NoLease);
        let trusts = self.is_broken(Mutant::TrustKeyForEver);
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let timeout_ms = connection.limits.timeout_ms;
        let Some(posting) = self
            .postings
            .get_mut(ticket.slot())
            .filter(|p| p.serial == ticket.serial && p.stage == Stage::Ready)
        else {
            return false; // revoked meanwhile; `revoke` has given its place back
        };
        let Some(partition) = self.partitions.get_mut(&posting.partition) else { return false };
        if posting.shared
            && posting.step == Step::Send
            && !posting.unknown
            && let Some(held) = self.paused.get_mut(&posting.new.key.route)
        {
            posting.stage = Stage::Staging;
            connection.staged -= 1;
            held.push(ticket);
            self.unlock(ticket, now);
            return false;
        }
        // A drain lets out what has an Intent of its own already.
        let leased = partition.is_leased(now) && !(posting.shared && partition.draining.is_some());
        // Nobody will know the deadline of this request: at U it must be over when the lease is.
        let fits = !posting.shared
            || posting.new.class != Class::Upsert
            || now.mono + timeout_ms <= partition.lease_until;
        if !no_lease && (!leased || !fits) {
            posting.stage = Stage::Unleased;
            connection.staged -= 1;
            partition.unleased.push(ticket);
            return false;
        }
        let expired = posting.key_expired(now) && !trusts;
        let age_ms = posting.event_age_ms(now);
        let outgrown =
            posting.shared && !self.options.intents.is_shared(posting.new.class, timeout_ms, age_ms);
        if posting.step == Step::Send && (expired || outgrown) {
            // It waited so long for its slot that the target may have forgotten the key of the attempt before, or that no range
            // may cover it any more.
            posting.stage = Stage::Waiting;
            posting.step = if expired { Step::Resolve } else { Step::Send };
            connection.staged -= 1;
            self.timers.set(now.mono, Wake::Posting(ticket));
            return false;
        }
        let outlives_intent = now.wall + timeout_ms as i64 > posting.intent_deadline;
        if posting.step == Step::Send && outlives_intent && !posting.shared {
            // It waited so long for its slot that the next owner might resolve it while our request is in flight.
            posting.stage = Stage::Intending;
            let intent = posting.renew_intent(epoch, timeout_ms, now);
            self.actions.push(Action::WriteIntent(ticket, intent));
            return false;
        }
        true
    }

    /// One request leaves, which the target counts as so many.
    pub(super) fn take_slot(&mut self, id: ConnectionId, counts: usize, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.in_flight += 1;
        for budget in &mut connection.budgets {
            (0..counts).for_each(|_| budget.sent(now.mono));
        }
        for told in &mut connection.told {
            (0..counts).for_each(|_| told.sent(now.mono));
        }
        check_invariant!(Bounded, connection.in_flight <= connection.limits.concurrency);
        self.turns.left();
    }

    /// A posting leaves with the request that took the slot: its step, the number of its attempt and the time it has.
    pub(super) fn leave(&mut self, id: ConnectionId, ticket: Ticket, now: Now) -> Option<(Step, u32, u64)> {
        let connection = self.connections.get_mut(&id)?;
        let timeout_ms = connection.limits.timeout_ms;
        let posting = self.postings.get_mut(ticket.slot())?;
        let partition = self.partitions.get_mut(&posting.partition)?;
        connection.staged -= 1;
        check_invariant!(OwnerSends, now.mono < partition.lease_until);
        posting.stage = Stage::InFlight;
        posting.request_over_at = now.mono + timeout_ms;
        if posting.shared && posting.step == Step::Send {
            posting.attempt += 1;
            if posting.first_attempt_at.is_none() {
                posting.first_attempted(now.wall, now);
            }
            check_invariant!(IntentBeforeSend, partition.range.covers(posting.offset));
        }
        if posting.step != Step::ReadBack {
            check_invariant!(IntentBeforeSend, posting.attempt > 0 && posting.first_attempt_at.is_some());
            check_invariant!(VersionOrder, !posting.is_stale());
        }
        Some((posting.step, posting.attempt, timeout_ms))
    }

    /// Gives the slot of an answered request back; [`Core::go_on`] lets others have it, once its answer is understood. Returns the
    /// connection, unless the posting is gone.
    pub(super) fn landed(&mut self, ticket: Ticket, now: Now) -> Option<ConnectionId> {
        if let Some((id, lock)) = self.orphans.remove(&ticket) {
            self.give_slot_back(id, None, now);
            if let Some(lock) = lock {
                self.pass_on(id, lock, now);
            }
            self.go_on(id, now);
            return None;
        }
        let posting = self.posting(ticket).filter(|p| p.stage == Stage::InFlight)?;
        let (id, over_at) = (posting.new.connection, posting.request_over_at);
        self.give_slot_back(id, Some(over_at), now);
        Some(id)
    }

    /// A request is over; `over_at` is when it would have been at the latest, if a posting of ours was in it.
    pub(super) fn give_slot_back(&mut self, id: ConnectionId, over_at: Option<u64>, now: Now) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.in_flight -= 1;
            if let Some(over_at) = over_at {
                let took = (now.mono + connection.limits.timeout_ms).saturating_sub(over_at);
                connection.budgets.iter_mut().for_each(|budget| budget.over(took, now.mono));
            }
        }
        self.turns.landed();
    }

    /// A slot is free, and what its request told of the connection is known: those in line first.
    pub(super) fn go_on(&mut self, id: ConnectionId, now: Now) {
        self.feed(now);
        self.pump(id, now);
    }
}
