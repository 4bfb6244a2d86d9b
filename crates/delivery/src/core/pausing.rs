//! Routes that an operator paused: they begin nothing, and leave their records in the log (docs/adr/0018).

use event::RouteId;

use super::Core;
use crate::{
    connection::ConnectionId,
    posting::{Stage, Ticket},
    spill::Backlog,
    time::Now,
    window::PartitionId,
};

impl Core {
    /// Nothing new is sent on the route, which goes to `connection`: its records stay in the log from now on, and what was
    /// taken in waits. What may have been applied already is brought to its end. A route that is paused stays so.
    pub fn pause_route(&mut self, route: RouteId, connection: ConnectionId) {
        if self.paused.contains_key(&route) {
            return;
        }
        self.paused.insert(route, Vec::new());
        for state in self.partitions.values_mut() {
            let next = state.window.next();
            state.load.detach(route, Some(connection), next);
        }
        // What it has in memory no longer counts against the window: it would hold the others up.
        for (_, posting) in self.postings.iter_mut().filter(|(_, p)| p.new.key.route == route) {
            let own = Backlog::Route(route);
            if posting.backlog != own
                && let Some(state) = self.partitions.get_mut(&posting.partition)
            {
                state.load.went(posting.backlog);
                state.load.came(own);
                posting.backlog = own;
            }
        }
        let ids: Vec<PartitionId> = self.partitions.keys().copied().collect();
        for id in ids {
            self.make_room(id);
            self.read_again(id, Backlog::Connection(connection));
        }
    }

    /// The route sends again: what waited, then what was left in the log, in order.
    pub fn resume_route(&mut self, route: RouteId, now: Now) {
        let Some(held) = self.paused.remove(&route) else { return };
        let waits = |core: &mut Self, ticket: &Ticket| {
            core.posting(*ticket).is_some_and(|p| p.stage == Stage::Staging)
        };
        for ticket in held {
            if waits(self, &ticket) {
                self.stage(ticket, now);
            }
        }
        let ids: Vec<PartitionId> = self.partitions.keys().copied().collect();
        ids.into_iter().for_each(|id| self.read_again(id, Backlog::Route(route)));
    }

    /// How many routes are paused.
    pub fn paused_routes(&self) -> usize {
        self.paused.len()
    }

    /// A partition that comes while routes are paused: they take nothing in from its first record on.
    pub(super) fn leave_paused(&mut self, partition: PartitionId, next: i64) {
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        self.paused.keys().for_each(|route| state.load.detach(*route, None, next));
    }
}
