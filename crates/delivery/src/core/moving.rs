//! A posting whose route leads elsewhere by now, and of which nothing was ever sent (docs/adr/0021).

use super::Core;
use crate::{
    posting::{NewPosting, Posting, Stage, Step, Ticket},
    spill::Backlog,
    time::Now,
};

impl Core {
    /// Whether the posting waits, and nothing of it can have been applied as far as is known here. The ledger may know more: an Intent.
    pub fn is_unsent(&self, ticket: Ticket) -> bool {
        let posting = self.postings.get(ticket.slot()).filter(|p| p.serial == ticket.serial);
        posting.is_some_and(|posting| {
            let waits = match posting.stage {
                Stage::Queued | Stage::Looking | Stage::Locked | Stage::Staging => true,
                Stage::Waiting => posting.step == Step::Send,
                // Under a range: it waits for its slot, and has no Intent of its own.
                Stage::Ready | Stage::Unleased => posting.shared && posting.step == Step::Send,
                _ => false,
            };
            let untouched = !(posting.unknown || posting.begun || posting.retried);
            waits && untouched && !self.is_inherited(posting)
        })
    }

    /// Takes a posting out of its lane and in again as `new`, at the same place of its partition: the ledger is consulted anew. Gives its
    /// new ticket, or none where it has to stay: it may have been sent, another one of its route stands before it, or there is no room
    /// for it where it would go. Call it in the order of offsets, and only if the ledger has nothing of it.
    pub fn reroute(&mut self, ticket: Ticket, new: NewPosting, now: Now) -> Option<Ticket> {
        let limit = self.options.window;
        let before = self.is_unsent(ticket).then(|| self.before_in_lane(ticket))??;
        let posting = self.postings.get(ticket.slot())?;
        let (partition, offset, from) = (posting.partition, posting.offset, posting.backlog);
        let (was_staged, connection) = (posting.stage == Stage::Ready, posting.new.connection);
        // A route that was paused keeps its backlog, whatever its connection.
        let to = if let Backlog::Route(_) = from { from } else { Backlog::Connection(new.connection) };
        if from != to && !self.partitions.get(&partition)?.load.may_move(from, to, limit) {
            return None;
        }
        self.unlock(ticket, now);
        if let Some(connection) = self.connections.get_mut(&connection).filter(|_| was_staged) {
            connection.staged -= 1;
        }
        let next = self.take_out(ticket, before);
        let moved = self.insert_for(new, (partition, offset), to);
        self.read_again(partition, from);
        self.make_room(partition);
        self.check_room(partition);
        if let Some(next) = next.filter(|_| before.is_none()) {
            self.start(next);
        }
        self.pump(connection, now); // others there may have its place
        Some(moved)
    }

    /// Whoever stands right before it in its lane, if anybody does; nothing at all if one of its own route is before it.
    fn before_in_lane(&self, ticket: Ticket) -> Option<Option<Ticket>> {
        let posting = self.postings.get(ticket.slot())?;
        let mut before = None;
        let mut next = self.lanes.head(posting.lane())?;
        while next != ticket {
            let earlier = self.postings.get(next.slot())?;
            if earlier.new.key.route == posting.new.key.route {
                return None;
            }
            (before, next) = (Some(next), earlier.next?);
        }
        Some(before)
    }

    /// Forgets a posting without ending it. Gives whoever stood behind it.
    fn take_out(&mut self, ticket: Ticket, before: Option<Ticket>) -> Option<Ticket> {
        let Posting { partition, backlog, next, new, .. } = self.postings.remove(ticket.slot());
        let lane = crate::lane::LaneKey { connection: new.connection, entity: new.entity };
        match before.and_then(|before| Some((before, self.posting(before)?))) {
            Some((before, earlier)) => {
                earlier.next = next;
                if next.is_none() {
                    self.lanes.ends_with(lane, before);
                }
            }
            None => self.lanes.pop(lane, next),
        }
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.load.went(backlog);
        }
        next
    }
}
