//! What a target has told of a limit of the whole account: less is sent for it than would be otherwise, never more.

use crate::budget::Limit;

/// The longest that nothing is sent where nobody knows when there is more, in milliseconds.
const MAX_WAIT_MS: u64 = 60_000;

/// The limit that a target tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftOf {
    /// Requests in a stretch of time.
    Requests {
        /// Milliseconds.
        per_ms: u64,
    },
    /// Points in a bucket.
    Points {
        /// How long to wait, should it be empty, in milliseconds.
        wait_ms: u64,
    },
}

/// What is left of a limit, as a target tells it; see [`Core::left`](crate::Core::left).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// Of which limit.
    pub of: LeftOf,
    /// What is left: requests or points, for everybody who uses the account.
    pub remaining: u64,
    /// The whole.
    pub max: Option<u64>,
    /// What of the remaining is not ours, requests or points.
    pub reserve: u64,
    /// When all of it is there again, milliseconds from now.
    pub reset_ms: Option<u64>,
}

/// The newest that was told of one limit, less what was sent since. Points in thousandths.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Told {
    pub(crate) of: LeftOf,
    left: u64,
    /// What a request takes of it.
    cost: u64,
    /// What comes back in a millisecond.
    back: u64,
    /// When it was told.
    told_at: u64,
    /// When what has come back was last counted.
    at: u64,
    /// From then on it says nothing any more, unless nothing was left.
    until: u64,
    /// When one request may look whether there is more, should nothing be left.
    probe_at: u64,
    /// Whether a request has left to look, and nothing newer was told since.
    looked: bool,
    wait_ms: u64,
}

impl Told {
    /// `configured` are the limits of the connection, with what comes back of them in a second for this process;
    /// `under_way` are requests that the target may not have counted when it answered.
    pub(crate) fn new(
        left: &Left,
        configured: impl Iterator<Item = (Limit, u64)>,
        under_way: u64,
        now: u64,
    ) -> Self {
        let mut remaining = left.remaining.saturating_sub(left.reserve);
        let (mut cost, mut back, mut unit) = (1, 0, 1);
        if let LeftOf::Points { .. } = left.of {
            (cost, unit) = (1_000, 1_000);
        }
        for (limit, per_second) in configured {
            let whole = match (left.of, limit) {
                (LeftOf::Requests { per_ms }, Limit::Rate { max, per_ms: same }) if per_ms == same => max,
                (LeftOf::Points { .. }, Limit::Cost { capacity, cost: points, .. }) => {
                    (cost, back) = (points.max(1) * 1_000, per_second);
                    capacity
                }
                _ => continue,
            };
            if let Some(max) = left.max {
                // Others have used it as well as we have.
                remaining = remaining.min(whole.saturating_sub(max.saturating_sub(left.remaining)));
            }
        }
        let (lasts_ms, wait_ms) = match (left.reset_ms, left.of) {
            (Some(reset), _) => (reset, reset),
            (None, LeftOf::Requests { per_ms }) => (per_ms, per_ms.min(MAX_WAIT_MS)),
            (None, LeftOf::Points { wait_ms }) => (wait_ms, wait_ms.min(MAX_WAIT_MS)),
        };
        let wait_ms = wait_ms.max(1);
        Self {
            of: left.of,
            left: remaining.saturating_mul(unit).saturating_sub(under_way.saturating_mul(cost)),
            cost,
            back,
            told_at: now,
            at: now,
            // What fills up by itself holds for as long as nothing newer is told.
            until: if back > 0 { u64::MAX } else { now + lasts_ms.max(1) },
            probe_at: now + wait_ms,
            looked: false,
            // Whoever looked and was told nothing looks again soon, however far the reset was.
            wait_ms: wait_ms.min(MAX_WAIT_MS),
        }
    }

    /// The same, told by the answer to a request that left at `began`. Where this was known by then, the answer is newer for certain.
    /// Otherwise both were under way together, and nobody knows which of them the target counted first: the smaller one holds.
    pub(crate) fn after(mut self, known: Option<Self>, began: u64) -> Self {
        if let Some(mut known) = known.filter(|known| known.told_at >= began) {
            known.refill(self.at);
            self.left = self.left.min(known.left);
        }
        self
    }

    /// How many requests may leave now, as far as this goes.
    pub(crate) fn room(&mut self, now: u64) -> u64 {
        self.refill(now);
        match self.left / self.cost {
            0 => u64::from(now >= self.probe_at),
            _ if now >= self.until => u64::MAX,
            room => room,
        }
    }

    /// When there may be room again, if there is none now.
    pub(crate) fn next(&mut self, now: u64) -> u64 {
        self.refill(now);
        let back = self.cost.saturating_sub(self.left).checked_div(self.back);
        let filled = back.map_or(u64::MAX, |ms| now.saturating_add(ms + 1));
        self.probe_at.min(filled).max(now + 1)
    }

    /// A request leaves.
    pub(crate) fn sent(&mut self, now: u64) {
        self.refill(now);
        if self.left < self.cost {
            // This one looks; nobody else does before it was answered, or for so long.
            (self.probe_at, self.looked) = (now + self.wait_ms, true);
        }
        self.left = self.left.saturating_sub(self.cost);
    }

    /// Requests left that are no look for more.
    pub(crate) fn spent(&mut self, requests: u64, now: u64) {
        self.refill(now);
        self.left = self.left.saturating_sub(self.cost.saturating_mul(requests));
    }

    /// Whether an answer that said nothing of this limit ends it: the stretch is over and something was left of it, or one looked
    /// whether there is more.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now >= self.until && (self.looked || self.left >= self.cost)
    }

    fn refill(&mut self, now: u64) {
        self.left = self.left.saturating_add(now.saturating_sub(self.at).saturating_mul(self.back));
        self.at = self.at.max(now);
    }
}
