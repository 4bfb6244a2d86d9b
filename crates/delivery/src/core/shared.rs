//! Attempts without an Intent of their own: one Intent covers a range of records (docs/adr/0014).

use super::Core;
use crate::{
    action::Action,
    connection::ConnectionId,
    mutant::Mutant,
    posting::{Posting, Stage, Step, Ticket},
    time::Now,
    window::PartitionId,
};

impl Core {
    /// Puts a posting in line for a slot, once its partition's range covers it.
    pub(super) fn share(&mut self, id: ConnectionId, ticket: Ticket) {
        let ahead = self.options.window;
        let Some(posting) = self.postings.get_mut(ticket.slot()).filter(|p| p.serial == ticket.serial) else {
            return;
        };
        let Some(partition) = self.partitions.get_mut(&posting.partition) else { return };
        if let Some(until) = partition.range.ask(posting.offset, ahead) {
            self.actions.push(Action::WriteRange { partition: posting.partition, until });
        }
        if !partition.range.covers(posting.offset) {
            return partition.range.wait(ticket);
        }
        posting.stage = Stage::Ready;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.staged += 1;
            connection.ready.push_back(ticket);
        }
    }

    pub(super) fn range_durable(&mut self, partition: PartitionId, until: i64, now: Now) {
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        for ticket in state.range.reached(until) {
            if self.posting(ticket).is_some_and(|p| p.stage == Stage::Staging) {
                self.stage(ticket, now);
            }
        }
    }

    pub(super) fn range_failed(&mut self, partition: PartitionId, now: Now) {
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        for ticket in state.range.failed() {
            let Some(posting) = self.posting(ticket).filter(|p| p.stage == Stage::Staging) else { continue };
            posting.step = if posting.unknown { Step::Resolve } else { Step::Send };
            self.back_off(ticket, None, now);
        }
    }

    /// Whether an earlier owner may have sent a posting of which the ledger knows nothing. If so it is noted as unknown,
    /// and as old as its event: nobody knows when it was sent.
    pub(super) fn was_perhaps_sent(&mut self, ticket: Ticket, now: Now) -> bool {
        let forgets = self.is_broken(Mutant::ForgetRange);
        let inherited = self.postings.get(ticket.slot()).is_some_and(|posting| self.is_inherited(posting));
        let Some(posting) = self.postings.get_mut(ticket.slot()).filter(|_| inherited && !forgets) else {
            return false;
        };
        posting.first_attempted(posting.new.accepted_at.min(now.wall), now);
        posting.unknown = true;
        posting.look_after = now.mono + posting.new.lag_ms;
        posting.reason = Some(super::flow::interrupted());
        true
    }

    /// Whether the range of an earlier owner covers it.
    pub(super) fn is_inherited(&self, posting: &Posting) -> bool {
        let timeout = self.connections.get(&posting.new.connection).map_or(0, |c| c.limits.timeout_ms);
        let shared = self.options.intents.is_shared(posting.new.class, timeout, 0);
        let partition = self.partitions.get(&posting.partition);
        shared && partition.is_some_and(|partition| posting.offset < partition.range.inherited)
    }
}
