//! Routes that post state: of the versions that wait in a lane only the newest is sent.

use std::sync::Arc;

use super::Core;
use crate::{
    connection::ConnectionId,
    outcome::{ErrorClass, Reason, Status},
    posting::Ticket,
    time::Now,
};

impl Core {
    /// The version of a newer posting of the same route that waits behind this one in its lane.
    pub(super) fn newer_behind(&self, ticket: Ticket) -> Option<i64> {
        let head = self.postings.get(ticket.slot())?;
        let mut next = head.next;
        while let Some(posting) = next.and_then(|ticket| self.postings.get(ticket.slot())) {
            let same = posting.new.key.route == head.new.key.route;
            if same && posting.new.source_version > head.new.source_version {
                return Some(posting.new.source_version);
            }
            next = posting.next;
        }
        None
    }

    /// Ends a posting of which nothing was applied, since a newer one says what it said, and more.
    pub(super) fn replace(&mut self, id: ConnectionId, ticket: Ticket, version: i64, now: Now) {
        if let Some(posting) = self.posting(ticket) {
            posting.reason = Some(Reason {
                code: Arc::from("SNK-0016"),
                class: ErrorClass::Stale,
                status: None,
                message: Arc::from(format!("version {version} was waiting, and took its place")),
            });
        }
        self.settle(ticket, Status::Superseded, None, now);
        self.pump(id, now);
    }
}
