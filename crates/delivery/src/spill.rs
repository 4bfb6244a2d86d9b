//! What of a connection is left in the log for later, because it would not fit into memory (docs/adr/0016).

use crate::connection::ConnectionId;

/// Records of one connection in one partition that were seen and not taken in. All of its records from `from` on are:
/// what comes after one of them must come after it.
#[derive(Debug)]
pub(crate) struct Spill {
    /// The first offset that is to be read again.
    pub(crate) from: i64,
    /// The newest record that was left.
    pub(crate) last: i64,
    /// Whether records are being read again.
    pub(crate) reading: bool,
}

/// The postings of a partition in memory, and what was left in the log.
#[derive(Debug, Default)]
pub(crate) struct Load {
    connections: ahash::AHashMap<ConnectionId, Share>,
    total: usize,
    /// Of them, of connections that leave records in the log: they hold nobody up.
    spilled: usize,
    /// Records that cannot be read, whose dead letters are on their way.
    pub(crate) held: usize,
}

#[derive(Debug, Default)]
struct Share {
    postings: usize,
    spill: Option<Spill>,
}

impl Load {
    /// Postings and unreadable records that count against the window.
    pub(crate) fn pressing(&self) -> usize {
        self.total - self.spilled + self.held
    }

    /// Connections that leave records in the log.
    pub(crate) fn spills(&self) -> usize {
        self.connections.values().filter(|s| s.spill.is_some()).count()
    }

    pub(crate) fn came(&mut self, connection: ConnectionId) {
        let share = self.connections.entry(connection).or_default();
        share.postings += 1;
        self.total += 1;
        self.spilled += usize::from(share.spill.is_some());
    }

    pub(crate) fn went(&mut self, connection: ConnectionId) {
        let Some(share) = self.connections.get_mut(&connection) else { return };
        share.postings -= 1;
        self.total -= 1;
        self.spilled -= usize::from(share.spill.is_some());
        if share.postings == 0 && share.spill.is_none() {
            self.connections.remove(&connection);
        }
    }

    /// Leaves a record in the log, if the connection does so. Returns whether it does.
    pub(crate) fn leave(&mut self, connection: ConnectionId, offset: i64) -> bool {
        let Some(spill) = self.connections.get_mut(&connection).and_then(|s| s.spill.as_mut()) else {
            return false;
        };
        spill.last = offset;
        true
    }

    /// The connection with most postings among those that take everything in leaves its records in the log from `next` on.
    pub(crate) fn spill_largest(&mut self, next: i64) -> Option<ConnectionId> {
        let takes_in = self.connections.iter_mut().filter(|(_, s)| s.spill.is_none());
        let (id, share) = takes_in.max_by_key(|(id, s)| (s.postings, **id))?;
        share.spill = Some(Spill { from: next, last: next - 1, reading: false });
        self.spilled += share.postings;
        Some(*id)
    }

    /// The stretch to read again, if the connection has so few postings that `fit` more may come.
    pub(crate) fn reread(&mut self, connection: ConnectionId, few: usize) -> Option<(i64, i64)> {
        let share = self.connections.get_mut(&connection)?;
        let spill = share.spill.as_mut().filter(|s| !s.reading && share.postings <= few)?;
        if spill.from > spill.last {
            // Nothing is left behind it: the next record may be taken in.
            self.spilled -= share.postings;
            share.spill = None;
            if share.postings == 0 {
                self.connections.remove(&connection);
            }
            return None;
        }
        spill.reading = true;
        Some((spill.from, spill.last + 1))
    }

    /// Everything before `next` was read again.
    pub(crate) fn reread_to(&mut self, connection: ConnectionId, next: i64) {
        if let Some(spill) = self.connections.get_mut(&connection).and_then(|s| s.spill.as_mut()) {
            spill.from = next;
            spill.reading = false;
        }
    }
}
