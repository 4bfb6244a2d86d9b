//! Lanes: the ordered queue of one entity on one connection.

use std::hash::{Hash, Hasher};

use ahash::AHashMap;
use event::EntityId;

use crate::{connection::ConnectionId, digest, posting::Ticket, window::PartitionId};

/// What is ordered: an entity (which names its tenant) on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneKey {
    pub(crate) connection: ConnectionId,
    pub(crate) entity: EntityId,
}

#[derive(Clone, Debug, Hash)]
struct Lane {
    /// All postings of a lane come from one partition, since its entity has one record key.
    partition: PartitionId,
    head: Ticket,
    tail: Ticket,
}

/// All lanes with something in them. The queue itself is linked through the postings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes(AHashMap<LaneKey, Lane>);

/// Where a posting came to stand.
pub(crate) enum Place {
    /// At the head: it may start.
    Head,
    /// Behind this posting.
    Behind(Ticket),
}

impl Lanes {
    /// Puts a posting at the end of its lane.
    pub(crate) fn push(&mut self, key: LaneKey, partition: PartitionId, ticket: Ticket) -> Place {
        use std::collections::hash_map::Entry;
        match self.0.entry(key) {
            Entry::Vacant(lane) => {
                lane.insert(Lane { partition, head: ticket, tail: ticket });
                Place::Head
            }
            Entry::Occupied(mut lane) => Place::Behind(std::mem::replace(&mut lane.get_mut().tail, ticket)),
        }
    }

    /// The head is settled; `next` stood behind it.
    pub(crate) fn pop(&mut self, key: LaneKey, next: Option<Ticket>) {
        match (next, self.0.get_mut(&key)) {
            (Some(next), Some(lane)) => lane.head = next,
            _ => {
                self.0.remove(&key);
            }
        }
    }

    /// The first one of a lane.
    pub(crate) fn head(&self, key: LaneKey) -> Option<Ticket> {
        self.0.get(&key).map(|lane| lane.head)
    }

    /// Who stood behind `last` is gone.
    pub(crate) fn ends_with(&mut self, key: LaneKey, last: Ticket) {
        if let Some(lane) = self.0.get_mut(&key) {
            lane.tail = last;
        }
    }

    /// Forgets every lane of a partition.
    pub(crate) fn forget(&mut self, partition: PartitionId) {
        self.0.retain(|_, lane| lane.partition != partition);
    }

    /// How many lanes have something in them.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Hash for Lanes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        digest::map(&self.0, state);
    }
}
