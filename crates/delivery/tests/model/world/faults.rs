//! Lost answers, failed writes, time, rebalances and crashes.

use delivery::{Answer, Class, ErrorClass, Input, PartitionId, ReadBack};

use super::{Letter, Process, Reply, World, nothing};
use crate::{
    ledger::Entry,
    plan::{PARTITIONS, ROUTES},
    target::{Mood, reason},
};

/// The route whose key the target soon forgets. A repeat goes out at once, and GUARANTEES.md G4 does not promise that a
/// target will not apply the first request after it forgot the key.
const SHORT_MEMORY: usize = 1;

/// What becomes of a request whose answer nobody hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lost,
    Applied,
    AppliedLate,
}

impl World {
    /// Nobody hears what became of a request. It was applied, or it is lost, or it is applied later, until the
    /// request's own deadline.
    pub(super) fn lose_answer(&mut self, pick: usize, dice: u8) {
        let live = self.awaited();
        if live.is_empty() {
            return;
        }
        let at = live[pick % live.len()];
        let fate = match dice & 3 {
            2 | 3 => Fate::AppliedLate,
            1 => Fate::Applied,
            _ => Fate::Lost,
        };
        self.lose(at, fate, Mood::of(dice, self.trouble));
    }

    /// See [`World::lose_answer`]. One that the target has worked on already is only not heard of; who shares its request shares its fate.
    pub fn lose(&mut self, at: usize, fate: Fate, mood: Mood) {
        for at in self.companions(at) {
            let untouched = self.flights[at].reply.is_none();
            let late = self.flights[at].request.route != SHORT_MEMORY && !self.flights[at].reads;
            match fate {
                Fate::AppliedLate if untouched && late => {
                    let mut ghost = self.flights[at].clone();
                    (ghost.ticket, ghost.batch) = (None, None);
                    ghost.over = ghost.times_out;
                    self.flights.push(ghost);
                }
                Fate::Applied if untouched => self.process(at, mood),
                _ => {}
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

    /// Requests that this process waits for.
    pub fn awaited(&self) -> Vec<usize> {
        (0..self.flights.len()).filter(|at| self.is_awaited(&self.flights[*at])).collect()
    }

    /// Requests that may still be applied, although nobody waits for them.
    pub fn late(&self) -> Vec<usize> {
        (0..self.flights.len()).filter(|at| self.flights[*at].ticket.is_none()).collect()
    }

    pub(super) fn apply_late(&mut self, pick: usize, dice: u8) {
        let late = self.late();
        if !late.is_empty() {
            self.process(late[pick % late.len()], Mood::of(dice, self.trouble));
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
    pub fn fail_intent(&mut self, written: bool) {
        if let Some((partition, until)) = self.me.asked.pop() {
            if written {
                self.ledger.write_range((partition, until));
            }
            self.seen.hit("shared Intent failed");
            return self.tell(Input::RangeFailed(PartitionId(partition as u32)));
        }
        let queue = &mut self.me.queue;
        let Some(at) = queue.iter().position(|w| matches!(w.entry, Entry::Intent(_))) else { return };
        let Some(write) = queue.remove(at) else { return };
        if written {
            self.ledger.apply(&write);
        }
        self.seen.hit("Intent failed");
        self.tell(Input::IntentFailed(write.ticket));
    }

    /// Time passes; what times out meanwhile does so at its own moment.
    pub fn pass(&mut self, ms: u64, dice: u8) {
        let end = self.now + ms;
        while let Some((at, due)) = self.next_time_out().filter(|(_, due)| *due <= end) {
            self.now = due.max(self.now);
            self.time_out(at, dice);
        }
        let before = self.clock().mono;
        self.now = end;
        let after = self.clock();
        let expired = self.me.partitions.iter().any(|p| (before..after.mono).contains(&p.lease_until));
        if expired && self.me.core.gauges().postings > 0 {
            self.seen.hit("lease expired with work waiting");
        }
        self.me.core.tick(after);
        self.carry_out();
        self.as_zombie(|zombie| {
            zombie.me.core.tick(zombie.clock());
            zombie.carry_out();
        });
    }

    pub(super) fn pass_to_wake(&mut self, dice: u8) {
        let wake = self.me.core.next_wake().map(|mono| self.me.born + mono);
        let time_out = self.next_time_out().map(|(_, due)| due);
        let Some(next) = wake.into_iter().chain(time_out).min() else { return };
        self.pass(next.saturating_sub(self.now), dice);
    }

    pub fn next_time_out(&self) -> Option<(usize, u64)> {
        let due = |f: &super::Flight| if f.ticket.is_some() { f.times_out } else { f.over };
        self.flights.iter().map(due).enumerate().min_by_key(|(_, due)| *due)
    }

    fn time_out(&mut self, at: usize, dice: u8) {
        let flight = &self.flights[at];
        if flight.ticket.is_some() && flight.epoch != self.me.epoch {
            return self.as_zombie(|zombie| zombie.time_out(at, dice));
        }
        if flight.ticket.is_none() {
            match dice & 1 {
                0 => drop(self.flights.swap_remove(at)),
                _ => self.process(at, Mood::of(dice, self.trouble)), // at the very last moment
            }
            return;
        }
        for at in self.companions(at) {
            if self.flights[at].reply.is_none() && dice & 1 != 0 {
                self.process(at, Mood::of(dice, self.trouble));
            }
        }
        self.unanswered(at);
    }

    pub fn rebalance(&mut self, partition: usize, dice: u8) {
        let state = &mut self.me.partitions[partition];
        if !state.assigned {
            self.assign(partition);
        } else if !state.draining && dice & 1 != 0 {
            state.draining = true;
            self.me.core.drain(PartitionId(partition as u32), u64::MAX);
            self.carry_out();
        } else {
            self.revoke(partition, dice);
        }
    }

    /// The group gives a partition to its next owner when the lease of the last one is over, or it has drained: by then
    /// so is every request at U that has no Intent to tell its deadline.
    pub fn assign(&mut self, partition: usize) {
        if !self.may_be_assigned(partition) {
            return;
        }
        let state = &mut self.me.partitions[partition];
        (state.assigned, state.draining, state.paused) = (true, false, false);
        (state.position, state.stored, state.lease_until) = (state.committed, state.committed, 0);
        self.me.core.assign(PartitionId(partition as u32), state.committed);
        self.me.core.inherit(PartitionId(partition as u32), self.ledger.range(partition));
    }

    pub fn may_be_assigned(&self, partition: usize) -> bool {
        let upsert = |f: &super::Flight| f.shared && ROUTES[f.request.route] == Class::Upsert;
        !self.flights.iter().any(|f| f.partition == partition && upsert(f) && f.over > self.now)
    }

    /// Writes under way are done or dropped before somebody reads the ledger again: the caller's duty.
    pub fn revoke(&mut self, partition: usize, dice: u8) {
        let now = self.clock();
        self.me.core.revoke(PartitionId(partition as u32), now);
        let (theirs, others): (Vec<_>, Vec<_>) =
            self.me.queue.drain(..).partition(|w| w.partition == partition);
        self.me.queue = others.into();
        self.me.asked.retain(|(p, _)| *p != partition);
        self.me.rereads.retain(|r| r.partition != partition);
        if dice & 2 != 0 {
            theirs.iter().for_each(|w| self.ledger.apply(w));
            self.me.unreported.extend(theirs);
        }
        let other = |l: &Letter| !matches!(l, Letter::Record { partition: p, .. } if *p == partition);
        self.me.letters.retain(other);
        self.me.lettered.retain(other);
        self.flights.iter_mut().filter(|f| f.partition == partition).for_each(|f| f.orphan = true);
        self.me.tickets.retain(|_, known| known.partition != partition || dice & 4 != 0);
        let state = &mut self.me.partitions[partition];
        state.assigned = false;
        state.draining = false;
        if dice & 8 != 0 {
            state.committed = state.stored;
        }
        self.carry_out();
    }

    /// The process dies. What was durable stays, reported or not; requests that left may be applied later.
    pub(super) fn crash(&mut self, dice: u8) {
        for _ in 0..usize::from(dice) % (self.me.queue.len() + 1) {
            self.write_next();
        }
        for asked in std::mem::take(&mut self.me.asked) {
            if dice & 8 != 0 {
                self.ledger.write_range(asked);
            }
        }
        if dice & 1 != 0 {
            (0..self.me.letters.len()).for_each(|_| self.write_letter(0));
        }
        self.die();
        self.boot(dice);
        if dice & 6 != 0 {
            self.renew_leases();
        }
    }

    /// What was durable stays, reported or not.
    pub fn die(&mut self) {
        if !self.me.unreported.is_empty() {
            self.seen.hit("crash with a durable write not yet reported");
        }
        if self.has_effect_without_outcome() {
            self.seen.hit("crash after the effect and before the outcome");
        }
        let epoch = self.me.epoch;
        self.flights.retain(|f| f.epoch != epoch || (!f.reads && f.reply.is_none()));
        self.flights.iter_mut().filter(|f| f.epoch == epoch).for_each(|f| (f.ticket, f.batch) = (None, None));
        let mut logs = std::mem::take(&mut self.me.partitions);
        logs.iter_mut().for_each(|p| p.assigned = false);
        self.me = Process::new(nothing(), logs, epoch);
    }

    fn has_effect_without_outcome(&self) -> bool {
        let requests =
            (0..PARTITIONS).flat_map(|p| self.me.partitions[p].log.iter()).flat_map(|r| &r.requests);
        requests.into_iter().any(|r| {
            self.ledger.outcome(r.event, r.route).is_none() && self.targets.effects(r.event, r.route) > 0
        })
    }
}
