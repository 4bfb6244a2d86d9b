//! What of a connection is left in the log for later, because it would not fit into memory (docs/adr/0016).

use std::hash::{Hash, Hasher};

use event::RouteId;

use crate::{connection::ConnectionId, digest, posting::NewPosting};

/// Whose records are left in the log together, and read again together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Backlog {
    /// Everything of a connection, but for the routes that have a backlog of their own.
    Connection(ConnectionId),
    /// A route that an operator paused in the life of this process.
    Route(RouteId),
}

/// Records of one backlog in one partition that were seen and not taken in. All of its records from `from` on are:
/// what comes after one of them must come after it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Spill {
    /// The first offset that is to be read again.
    pub(crate) from: i64,
    /// The newest record that was left.
    pub(crate) last: i64,
    /// Whether records are being read again.
    pub(crate) reading: bool,
}

/// The postings of a partition in memory, and what was left in the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    shares: ahash::AHashMap<Backlog, Share>,
    total: usize,
    /// Of them, of connections that leave records in the log: they hold nobody up.
    spilled: usize,
    /// Records that cannot be read, whose dead letters are on their way.
    pub(crate) held: usize,
}

#[derive(Clone, Debug, Default, Hash)]
struct Share {
    postings: usize,
    spill: Option<Spill>,
    /// From which offset on a route's records are its own, and not its connection's; for good, so that no record is ever
    /// read again for both.
    since: Option<i64>,
}

impl Load {
    /// Postings and unreadable records that count against the window.
    pub(crate) fn pressing(&self) -> usize {
        self.total - self.spilled + self.held
    }

    /// Whose record the posting at `offset` is.
    pub(crate) fn owner(&self, new: &NewPosting, offset: i64) -> Backlog {
        let route = Backlog::Route(new.key.route);
        let own = self.shares.get(&route).and_then(|s| s.since).is_some_and(|since| offset >= since);
        if own { route } else { Backlog::Connection(new.connection) }
    }

    /// From now on the route leaves its records in the log, the next of which has offset `next` or more. What its
    /// connection has left there already is the route's as well.
    pub(crate) fn detach(&mut self, route: RouteId, connection: Option<ConnectionId>, next: i64) {
        let left = connection.and_then(|c| self.shares.get(&Backlog::Connection(c))?.spill.as_ref());
        let (from, last) = left.map_or((next, next - 1), |spill| (spill.from, spill.last));
        let share = self.shares.entry(Backlog::Route(route)).or_default();
        if share.spill.is_some() {
            return;
        }
        let from = if share.since.is_some() { next } else { from };
        share.since.get_or_insert(from);
        share.spill = Some(Spill { from, last: if from == next { next - 1 } else { last }, reading: false });
        self.spilled += share.postings;
    }

    /// Connections and routes that leave records in the log.
    pub(crate) fn spills(&self) -> usize {
        self.shares.values().filter(|s| s.spill.is_some()).count()
    }

    pub(crate) fn came(&mut self, backlog: Backlog) {
        let share = self.shares.entry(backlog).or_default();
        share.postings += 1;
        self.total += 1;
        self.spilled += usize::from(share.spill.is_some());
    }

    pub(crate) fn went(&mut self, backlog: Backlog) {
        let Some(share) = self.shares.get_mut(&backlog) else { return };
        share.postings -= 1;
        self.total -= 1;
        self.spilled -= usize::from(share.spill.is_some());
        if share.postings == 0 && share.spill.is_none() && share.since.is_none() {
            self.shares.remove(&backlog);
        }
    }

    /// Whether a posting may count for another backlog: what is read again for one must not fill the memory of the other.
    pub(crate) fn may_move(&self, from: Backlog, to: Backlog, limit: usize) -> bool {
        let leaves = |backlog| self.shares.get(&backlog).is_some_and(|s| s.spill.is_some());
        !leaves(from) || !leaves(to) && self.pressing() < limit
    }

    /// Leaves a record in the log, if the connection does so. Returns whether it does.
    pub(crate) fn leave(&mut self, backlog: Backlog, offset: i64) -> bool {
        let Some(spill) = self.shares.get_mut(&backlog).and_then(|s| s.spill.as_mut()) else {
            return false;
        };
        spill.last = offset;
        true
    }

    /// The connection (or route) with most postings among those that take everything in leaves its records in the log from `next` on.
    pub(crate) fn spill_largest(&mut self, next: i64) -> Option<Backlog> {
        let takes_in = self.shares.iter_mut().filter(|(_, s)| s.spill.is_none());
        let (id, share) = takes_in.max_by_key(|(id, s)| (s.postings, **id))?;
        share.spill = Some(Spill { from: next, last: next - 1, reading: false });
        self.spilled += share.postings;
        Some(*id)
    }

    /// The stretch to read again, if the connection has so few postings that `fit` more may come.
    pub(crate) fn reread(&mut self, backlog: Backlog, few: usize) -> Option<(i64, i64)> {
        let share = self.shares.get_mut(&backlog)?;
        let spill = share.spill.as_mut().filter(|s| !s.reading && share.postings <= few)?;
        if spill.from > spill.last {
            // Nothing is left behind it: the next record may be taken in.
            self.spilled -= share.postings;
            share.spill = None;
            if share.postings == 0 && share.since.is_none() {
                self.shares.remove(&backlog);
            }
            return None;
        }
        spill.reading = true;
        Some((spill.from, spill.last + 1))
    }

    /// Everything before `next` was read again.
    pub(crate) fn reread_to(&mut self, backlog: Backlog, next: i64) {
        if let Some(spill) = self.shares.get_mut(&backlog).and_then(|s| s.spill.as_mut()) {
            spill.from = next;
            spill.reading = false;
        }
    }
}

impl Hash for Load {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { shares, total, spilled, held } = self;
        digest::map(shares, state);
        (total, spilled, held).hash(state);
    }
}
