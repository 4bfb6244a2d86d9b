//! A window that is full: who fills it leaves its records in the log, so that others go on (docs/adr/0016).

use super::{Core, Wake};
use crate::{
    action::Action,
    mutant::Mutant,
    posting::{NewPosting, Ticket},
    spill::Backlog,
    time::Now,
    window::PartitionId,
};

/// How long a window may stay full before the connection that fills it most leaves its records in the log.
const FULL_FOR_MS: u64 = 500;
/// How many times the window of records may be seen and not settled, most of them left in the log.
const SEEN: usize = 100;

impl Core {
    /// Pauses a partition whose window is full.
    pub(super) fn check_room(&mut self, partition: PartitionId) {
        let limit = self.options.window;
        let Some(state) = self.partitions.get_mut(&partition).filter(|p| !p.paused) else { return };
        if state.load.pressing() < limit && state.window.len() < limit * SEEN {
            return;
        }
        state.paused = true;
        state.full_since = None;
        if !std::mem::replace(&mut state.watched, true) {
            self.timers.set(0, Wake::Full(partition)); // the next tick knows what time it is
        }
        self.actions.push(Action::Pause(partition));
    }

    /// Resumes a partition that has room again.
    pub(super) fn make_room(&mut self, partition: PartitionId) {
        let limit = self.options.window;
        let Some(state) = self.partitions.get_mut(&partition).filter(|p| p.paused) else { return };
        if state.load.pressing() <= limit / 2 && state.window.len() <= limit * SEEN / 2 {
            state.paused = false;
            self.actions.push(Action::Resume(partition));
        }
    }

    /// A window that was full some time ago, and may still be.
    pub(super) fn still_full(&mut self, partition: PartitionId, now: Now) {
        let alone = self.connections.len() == 1;
        let limit = self.options.window;
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        if !state.paused {
            state.watched = false;
            return;
        }
        let since = *state.full_since.get_or_insert(now.mono);
        let due = since + FULL_FOR_MS;
        if now.mono < due {
            return self.timers.set(due, Wake::Full(partition));
        }
        // Nobody else would gain by it, or nothing could be seen beyond.
        if alone || state.window.len() >= limit * SEEN || state.load.pressing() <= limit / 2 {
            return self.timers.set(now.mono + FULL_FOR_MS, Wake::Full(partition));
        }
        let next = state.window.next();
        let spilled = state.load.spill_largest(next);
        state.full_since = None;
        self.timers.set(now.mono, Wake::Full(partition));
        self.make_room(partition);
        if let Some(backlog) = spilled {
            self.read_again(partition, backlog);
        }
    }

    /// Has what was left in the log read again, once there is room for it.
    pub(super) fn read_again(&mut self, partition: PartitionId, backlog: Backlog) {
        let fit = (self.options.window / 2).max(1);
        let forgets = self.is_broken(Mutant::ForgetBacklog);
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        let paused = matches!(backlog, Backlog::Route(route) if self.paused.contains_key(&route));
        if state.draining.is_some() || forgets || paused {
            return;
        }
        if let Some((from, to)) = state.load.reread(backlog, fit / 2) {
            self.actions.push(Action::Reread { partition, backlog, from, to, fit });
        }
    }

    /// A record that was left in the log was read again for a backlog. `postings` are those of its postings that go to the
    /// connection, or take the route. One that is another backlog's by now has no ticket.
    pub fn readmit(
        &mut self,
        partition: PartitionId,
        backlog: Backlog,
        offset: i64,
        postings: &[NewPosting],
        tickets: &mut Vec<Option<Ticket>>,
    ) {
        let Some(state) = self.partitions.get(&partition) else { return };
        let own: Vec<bool> = postings.iter().map(|new| state.load.owner(new, offset) == backlog).collect();
        for (new, own) in postings.iter().zip(own) {
            tickets.push(own.then(|| self.insert(*new, partition, offset)));
        }
    }

    /// Everything of the backlog before offset `next` was read again.
    pub fn reread(&mut self, partition: PartitionId, backlog: Backlog, next: i64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.load.reread_to(backlog, next);
        }
        self.read_again(partition, backlog);
    }
}
