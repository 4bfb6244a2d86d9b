//! Lost answers, failed writes, time, rebalances and crashes.

use delivery::{Answer, Class, ErrorClass, Input, PartitionId, ReadBack};

use super::{Letter, Reply, World};
use crate::{
    ledger::Entry,
    plan::{PARTITIONS, ROUTES},
    target::reason,
};

/// The route whose key the target soon forgets. A repeat goes out at once, and GUARANTEES.md G4 does not promise that a
/// target will not apply the first request after it forgot the key.
const SHORT_MEMORY: usize = 1;

impl World {
    /// Nobody hears what became of a request. It was applied, or it is lost, or it is applied later, until the
    /// request's own deadline.
    pub(super) fn lose_answer(&mut self, pick: usize, dice: u8) {
        let live: Vec<usize> =
            (0..self.flights.len()).filter(|at| self.flights[*at].ticket.is_some()).collect();
        if live.is_empty() {
            return;
        }
        let at = live[pick % live.len()];
        for at in self.companions(at) {
            let untouched = self.flights[at].reply.is_none();
            let later =
                self.flights[at].request.route != SHORT_MEMORY && !self.flights[at].reads && dice & 2 != 0;
            if untouched && later {
                let mut ghost = self.flights[at].clone();
                (ghost.ticket, ghost.batch) = (None, None);
                ghost.over = ghost.times_out;
                self.flights.push(ghost);
            } else if untouched && dice & 1 != 0 {
                self.process(at, dice);
            }
        }
        self.unanswered(at);
    }

    /// Itself, and whoever shares its request.
    fn companions(&self, at: usize) -> Vec<usize> {
        let Some(batch) = self.flights[at].batch else { return vec![at] };
        let ours = |at: &usize| self.flights[*at].batch == Some(batch) && self.flights[*at].ticket.is_some();
        (0..self.flights.len()).filter(ours).collect()
    }

    pub(super) fn apply_late(&mut self, pick: usize, dice: u8) {
        let late: Vec<usize> =
            (0..self.flights.len()).filter(|at| self.flights[*at].ticket.is_none()).collect();
        if !late.is_empty() {
            self.process(late[pick % late.len()], dice);
        }
    }

    fn unanswered(&mut self, at: usize) {
        let unknown = Answer::Unknown(reason(ErrorClass::Transient));
        let reads = self.flights[at].reads;
        let reply = if reads { Reply::ReadBack(ReadBack::Failed(unknown)) } else { Reply::Answer(unknown) };
        let companions = self.companions(at);
        if companions.len() > 1 {
            self.seen.hit("nobody knows of several at once");
        }
        companions.into_iter().for_each(|at| self.flights[at].reply = Some(reply.clone()));
        self.answer(at);
    }

    /// The write fails, or only its acknowledgement does.
    pub(super) fn fail_intent(&mut self, dice: u8) {
        if let Some((partition, until)) = self.ledger.asked.pop() {
            if dice & 1 != 0 {
                self.ledger.write_range((partition, until));
            }
            self.seen.hit("shared Intent failed");
            return self.tell(Input::RangeFailed(PartitionId(partition as u32)));
        }
        let queue = &mut self.ledger.queue;
        let Some(at) = queue.iter().position(|w| matches!(w.entry, Entry::Intent(_))) else { return };
        let Some(write) = queue.remove(at) else { return };
        if dice & 1 != 0 {
            self.ledger.apply(&write);
        }
        self.seen.hit("Intent failed");
        self.tell(Input::IntentFailed(write.ticket));
    }

    /// Time passes; what times out meanwhile does so at its own moment.
    pub(super) fn pass(&mut self, ms: u64, dice: u8) {
        let end = self.now + ms;
        while let Some((at, due)) = self.next_time_out().filter(|(_, due)| *due <= end) {
            self.now = due.max(self.now);
            self.time_out(at, dice);
        }
        let before = self.clock().mono;
        self.now = end;
        let after = self.clock();
        let expired = self.partitions.iter().any(|p| (before..after.mono).contains(&p.lease_until));
        if expired && self.core.gauges().postings > 0 {
            self.seen.hit("lease expired with work waiting");
        }
        self.core.tick(after);
        self.carry_out();
    }

    pub(super) fn pass_to_wake(&mut self, dice: u8) {
        let wake = self.core.next_wake().map(|mono| self.born + mono);
        let time_out = self.next_time_out().map(|(_, due)| due);
        let Some(next) = wake.into_iter().chain(time_out).min() else { return };
        self.pass(next.saturating_sub(self.now), dice);
    }

    fn next_time_out(&self) -> Option<(usize, u64)> {
        let due = |f: &super::Flight| if f.ticket.is_some() { f.times_out } else { f.over };
        self.flights.iter().map(due).enumerate().min_by_key(|(_, due)| *due)
    }

    fn time_out(&mut self, at: usize, dice: u8) {
        if self.flights[at].ticket.is_none() {
            match dice & 1 {
                0 => self.process(at, dice), // at the very last moment
                _ => drop(self.flights.swap_remove(at)),
            }
            return;
        }
        for at in self.companions(at) {
            if self.flights[at].reply.is_none() && dice & 1 != 0 {
                self.process(at, dice);
            }
        }
        self.unanswered(at);
    }

    pub(super) fn rebalance(&mut self, partition: usize, dice: u8) {
        let state = &mut self.partitions[partition];
        if !state.assigned {
            self.assign(partition);
        } else if !state.draining && dice & 1 != 0 {
            state.draining = true;
            self.core.drain(PartitionId(partition as u32), u64::MAX);
            self.carry_out();
        } else {
            self.revoke(partition, dice);
        }
    }

    /// The group gives a partition to its next owner when the lease of the last one is over, or it has drained: by then
    /// so is every request at U that has no Intent to tell its deadline.
    pub(super) fn assign(&mut self, partition: usize) {
        let upsert = |f: &super::Flight| f.shared && ROUTES[f.request.route] == Class::Upsert;
        if self.flights.iter().any(|f| f.partition == partition && upsert(f) && f.over > self.now) {
            return;
        }
        let state = &mut self.partitions[partition];
        (state.assigned, state.draining, state.paused) = (true, false, false);
        (state.position, state.stored, state.lease_until) = (state.committed, state.committed, 0);
        self.core.assign(PartitionId(partition as u32), state.committed);
        self.core.inherit(PartitionId(partition as u32), self.ledger.range(partition));
    }

    /// Writes under way are done or dropped before somebody reads the ledger again: the caller's duty.
    pub(super) fn revoke(&mut self, partition: usize, dice: u8) {
        let now = self.clock();
        self.core.revoke(PartitionId(partition as u32), now);
        let (theirs, others): (Vec<_>, Vec<_>) =
            self.ledger.queue.drain(..).partition(|w| w.partition == partition);
        self.ledger.queue = others.into();
        self.ledger.asked.retain(|(p, _)| *p != partition);
        self.rereads.retain(|r| r.partition != partition);
        if dice & 2 != 0 {
            theirs.iter().for_each(|w| self.ledger.apply(w));
            self.unreported.extend(theirs);
        }
        let other = |l: &Letter| !matches!(l, Letter::Record { partition: p, .. } if *p == partition);
        self.letters.retain(other);
        self.lettered.retain(other);
        self.flights.iter_mut().filter(|f| f.partition == partition).for_each(|f| f.orphan = true);
        self.tickets.retain(|_, known| known.partition != partition || dice & 4 != 0);
        let state = &mut self.partitions[partition];
        state.assigned = false;
        state.draining = false;
        if dice & 8 != 0 {
            state.committed = state.stored;
        }
        self.carry_out();
    }

    /// The process dies. What was durable stays, reported or not; requests that left may be applied later.
    pub(super) fn crash(&mut self, dice: u8) {
        for _ in 0..usize::from(dice) % (self.ledger.queue.len() + 1) {
            let written = self.ledger.write_next();
            self.unreported.extend(written);
        }
        for asked in std::mem::take(&mut self.ledger.asked) {
            if dice & 8 != 0 {
                self.ledger.write_range(asked);
            }
        }
        if !self.unreported.is_empty() {
            self.seen.hit("crash with a durable write not yet reported");
        }
        if dice & 1 != 0 {
            (0..self.letters.len()).for_each(|_| self.write_letter(0));
        }
        if self.has_effect_without_outcome() {
            self.seen.hit("crash after the effect and before the outcome");
        }
        self.flights.retain(|f| !f.reads && f.reply.is_none());
        self.flights.iter_mut().for_each(|f| (f.ticket, f.batch) = (None, None));
        self.ledger.queue.clear();
        self.unreported.clear();
        self.letters.clear();
        self.lettered.clear();
        self.consults.clear();
        self.rereads.clear();
        self.tickets.clear();
        self.silent_until.fill(0);
        self.partitions.iter_mut().for_each(|p| p.assigned = false);
        self.boot(dice);
        if dice & 6 != 0 {
            self.renew_leases();
        }
    }

    fn has_effect_without_outcome(&self) -> bool {
        let requests = (0..PARTITIONS).flat_map(|p| &self.partitions[p].log).flat_map(|r| &r.requests);
        requests.into_iter().any(|r| {
            self.ledger.outcome(r.event, r.route).is_none() && self.targets.effects(r.event, r.route) > 0
        })
    }
}
