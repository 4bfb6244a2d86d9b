//! The moments that something waits for.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    hash::{Hash, Hasher},
};

use crate::{connection::ConnectionId, posting::Ticket, window::PartitionId};

/// Who is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wake {
    Posting(Ticket),
    Connection(ConnectionId),
    /// A connection whose first in line waits for company.
    Departure(ConnectionId),
    /// A partition whose window was full.
    Full(PartitionId),
}

/// A heap of moments. An entry whose posting is gone is harmless: the ticket is stale.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    wakes: ahash::AHashMap<u64, Wake>,
    sequence: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: u64, wake: Wake) {
        self.sequence += 1;
        self.wakes.insert(self.sequence, wake);
        self.heap.push(Reverse((at, self.sequence)));
    }

    pub(super) fn due(&mut self, now: u64) -> Option<Wake> {
        let Reverse((at, sequence)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        self.wakes.remove(&sequence)
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

impl Hash for Timers {
    /// Of the sequence only the order counts.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { heap, wakes, sequence: _ } = self;
        let mut order: Vec<(u64, u64)> = heap.iter().map(|Reverse(entry)| *entry).collect();
        order.sort_unstable();
        order.iter().map(|(at, sequence)| (at, wakes.get(sequence))).for_each(|entry| entry.hash(state));
        order.len().hash(state);
    }
}
