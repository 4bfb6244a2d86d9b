//! Who goes next when all of the process's requests are in flight: tenants by turns, each as many requests in its turn as
//! its weight, and the connections of a tenant one after the other.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
};

use ahash::AHashMap;

use crate::{connection::ConnectionId, digest};

/// A tenant, numbered by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub u32);

#[derive(Clone, Debug)]
pub(crate) struct Turns {
    /// Most requests in flight.
    limit: usize,
    in_flight: usize,
    /// Tenants of whom some connection waits, in turn, with what is left of the first one's turn.
    line: VecDeque<TenantId>,
    left: u32,
    tenants: AHashMap<TenantId, Waiting>,
}

#[derive(Clone, Debug, Default, Hash)]
struct Waiting {
    weight: u32,
    /// Whether the tenant is in line: as long as some connection waits, and while one has its turn.
    in_line: bool,
    connections: VecDeque<ConnectionId>,
}

impl Turns {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, in_flight: 0, line: VecDeque::new(), left: 0, tenants: AHashMap::new() }
    }

    /// How many requests of a tenant go in its turn.
    pub(crate) fn weigh(&mut self, tenant: TenantId, weight: u32) {
        self.tenants.entry(tenant).or_default().weight = weight;
    }

    /// Whether whoever comes may send at once, since nobody waits.
    pub(crate) fn is_open(&self) -> bool {
        self.line.is_empty() && self.is_free()
    }

    pub(crate) fn is_free(&self) -> bool {
        self.in_flight < self.limit
    }

    pub(crate) fn left(&mut self) {
        self.in_flight += 1;
    }

    pub(crate) fn landed(&mut self) {
        self.in_flight -= 1;
    }

    /// A connection gets in line, once.
    pub(crate) fn wait(&mut self, tenant: TenantId, connection: ConnectionId) {
        let waiting = self.tenants.entry(tenant).or_default();
        if !waiting.connections.contains(&connection) {
            waiting.connections.push_back(connection);
        }
        if !std::mem::replace(&mut waiting.in_line, true) {
            if self.line.is_empty() {
                self.left = waiting.weight.max(1);
            }
            self.line.push_back(tenant);
        }
    }

    /// Whose turn it is, if a request may leave; to be followed by [`Turns::served`].
    pub(crate) fn next(&mut self) -> Option<ConnectionId> {
        let tenant = self.line.front().filter(|_| self.is_free())?;
        self.tenants.get_mut(tenant)?.connections.pop_front()
    }

    /// The connection whose turn it was has sent, or had nothing to send; it `waits` if it has more.
    pub(crate) fn served(&mut self, connection: ConnectionId, waits: bool) {
        let Some(tenant) = self.line.front().copied() else { return };
        let Some(waiting) = self.tenants.get_mut(&tenant) else { return };
        if waits && !waiting.connections.contains(&connection) {
            waiting.connections.push_back(connection);
        }
        self.left = self.left.saturating_sub(1);
        let is_done = waiting.connections.is_empty();
        if is_done || self.left == 0 {
            waiting.in_line = !is_done;
            self.line.pop_front();
            if !is_done {
                self.line.push_back(tenant);
            }
            let next = self.line.front().and_then(|next| self.tenants.get(next));
            self.left = next.map_or(0, |next| next.weight.max(1));
        }
    }
}

impl Hash for Turns {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { limit, in_flight, line, left, tenants } = self;
        (limit, in_flight, line, left).hash(state);
        digest::map(tenants, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_go_by_turns_and_by_weight() {
        let mut turns = Turns::new(1);
        turns.weigh(TenantId(1), 3);
        let connections =
            [(TenantId(0), 0), (TenantId(1), 1), (TenantId(1), 2)].map(|(t, c)| (t, ConnectionId(c)));
        assert!(turns.is_open());
        turns.left();
        connections.iter().for_each(|(t, c)| turns.wait(*t, *c));
        assert_eq!(turns.next(), None, "all are in flight");
        let mut went = [0; 3];
        for _ in 0..400 {
            turns.landed();
            let id = turns.next().unwrap();
            went[id.0 as usize] += 1;
            turns.left();
            turns.served(id, true);
        }
        assert_eq!(went, [100, 150, 150]);
    }

    #[test]
    fn nobody_overtakes_the_line() {
        let mut turns = Turns::new(1);
        turns.left();
        turns.wait(TenantId(0), ConnectionId(0));
        turns.landed();
        assert!(turns.is_free() && !turns.is_open());
        assert_eq!(turns.next(), Some(ConnectionId(0)));
        turns.served(ConnectionId(0), false);
        assert!(turns.is_open());
        assert_eq!(turns.next(), None);
    }
}
