//! What a target allows over time: so many requests, so many points, so much of its time.

use std::collections::VecDeque;

/// The parts that a stretch of time is counted in. What falls out of it does so by whole parts, so that less is used than
/// allowed by up to one part, and never more.
const PARTS: u64 = 16;

/// What a connection may use over time; see [`Core::limit`](crate::Core::limit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// At most `max` requests in any stretch of `per_ms` milliseconds: a rate, or over a day a quota.
    Rate {
        /// Requests.
        max: u64,
        /// Milliseconds.
        per_ms: u64,
    },
    /// A bucket of points: every request takes `cost` of them, and they come back by `per_second`.
    Cost {
        /// Points in a full bucket.
        capacity: u64,
        /// Points that come back in a second.
        per_second: u64,
        /// Points of a request.
        cost: u64,
    },
    /// Requests may take `max_ms` milliseconds together in any stretch of `per_ms`. Counted when they are over: those in
    /// flight may go beyond it.
    Time {
        /// Milliseconds of all requests.
        max_ms: u64,
        /// Milliseconds.
        per_ms: u64,
    },
}

/// A limit, and what of it is used.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Budget {
    limit: Limit,
    /// This process's part of the limit: parts, of how many.
    share: (u64, u64),
    used: Used,
}

#[derive(Clone, Debug, Hash)]
enum Used {
    Window(Window),
    Bucket(Bucket),
}

impl Budget {
    pub(crate) fn new(limit: Limit) -> Self {
        let used = match limit {
            Limit::Rate { per_ms, .. } | Limit::Time { per_ms, .. } => Used::Window(Window::new(per_ms)),
            Limit::Cost { .. } => Used::Bucket(Bucket { missing: 0, at: 0, slowest: None }),
        };
        Self { limit, share: (1, 1), used }
    }

    /// Others use the rest of the limit.
    pub(crate) fn share(&mut self, parts: u64, of: u64) {
        if let (Limit::Cost { per_second, .. }, Used::Bucket(bucket)) = (self.limit, &mut self.used) {
            bucket.rate_changes(part(per_second, self.share));
        }
        self.share = (parts.min(of), of.max(1));
    }

    /// The whole limit, and what of a bucket's points comes back in a second for this process.
    pub(crate) fn limit(&self) -> (Limit, u64) {
        match self.limit {
            Limit::Cost { per_second, .. } => (self.limit, part(per_second, self.share)),
            Limit::Rate { .. } | Limit::Time { .. } => (self.limit, 0),
        }
    }

    /// How many requests may leave now.
    pub(crate) fn room(&mut self, now: u64) -> u64 {
        match (self.limit, &mut self.used) {
            (Limit::Rate { max, .. }, Used::Window(window)) => {
                part(max, self.share).saturating_sub(window.sum(now))
            }
            (Limit::Time { max_ms, .. }, Used::Window(window)) => {
                let left = part(max_ms, self.share).saturating_sub(window.sum(now));
                left.saturating_mul(u64::MAX) // as many as there are, or none
            }
            (Limit::Cost { capacity, per_second, cost }, Used::Bucket(bucket)) => {
                bucket.fill(part(per_second, self.share), now);
                let points = part(capacity, self.share).max(cost) * 1_000;
                points.saturating_sub(bucket.missing) / (cost * 1_000).max(1)
            }
            _ => 0,
        }
    }

    /// When there may be room again, if there is none now.
    pub(crate) fn next(&mut self, now: u64) -> u64 {
        match (self.limit, &mut self.used) {
            (Limit::Cost { capacity, per_second, cost }, Used::Bucket(bucket)) => {
                let points = part(capacity, self.share).max(cost) * 1_000;
                let wanted = (bucket.missing + cost * 1_000).saturating_sub(points);
                now + wanted.div_ceil(part(per_second, self.share)).max(1)
            }
            (_, Used::Window(window)) => window.next(now),
            _ => now,
        }
    }

    /// A request leaves.
    pub(crate) fn sent(&mut self, now: u64) {
        match (self.limit, &mut self.used) {
            (Limit::Rate { .. }, Used::Window(window)) => window.add(1, now),
            (Limit::Cost { per_second, cost, .. }, Used::Bucket(bucket)) => {
                bucket.fill(part(per_second, self.share), now);
                bucket.missing += cost * 1_000;
            }
            _ => {}
        }
    }

    /// A request is over; it took `ms` milliseconds.
    pub(crate) fn over(&mut self, ms: u64, now: u64) {
        if let (Limit::Time { .. }, Used::Window(window)) = (self.limit, &mut self.used) {
            window.add(ms, now);
        }
    }
}

/// A part of a limit, never nothing: whoever has no part at all owns nothing that could be sent.
fn part(whole: u64, (parts, of): (u64, u64)) -> u64 {
    (whole.saturating_mul(parts) / of).max(1)
}

/// What was used in the last stretch of time.
#[derive(Clone, Debug, Hash)]
struct Window {
    width: u64,
    /// How many parts it is long.
    length: u64,
    /// Numbers of parts with what was used in them, oldest first.
    parts: VecDeque<(u64, u64)>,
    sum: u64,
}

impl Window {
    fn new(per_ms: u64) -> Self {
        let width = per_ms.div_ceil(PARTS).max(1);
        Self { width, length: per_ms.div_ceil(width), parts: VecDeque::new(), sum: 0 }
    }

    fn sum(&mut self, now: u64) -> u64 {
        let current = now / self.width;
        while let Some((part, used)) = self.parts.front().copied()
            && part + self.length < current
        {
            self.sum -= used;
            self.parts.pop_front();
        }
        self.sum
    }

    fn add(&mut self, used: u64, now: u64) {
        let current = now / self.width;
        self.sum += used;
        match self.parts.back_mut() {
            Some((part, known)) if *part == current => *known += used,
            _ => self.parts.push_back((current, used)),
        }
    }

    fn next(&self, now: u64) -> u64 {
        self.parts.front().map_or(now, |(part, _)| (part + self.length + 1) * self.width)
    }
}

/// Points that are not there, in thousandths.
#[derive(Clone, Debug, Hash)]
struct Bucket {
    missing: u64,
    at: u64,
    /// The slowest rate since then, where it has changed: nobody said when.
    slowest: Option<u64>,
}

impl Bucket {
    /// It was `per_second` until now.
    fn rate_changes(&mut self, per_second: u64) {
        self.slowest = Some(self.slowest.map_or(per_second, |slowest| slowest.min(per_second)));
    }

    fn fill(&mut self, per_second: u64, now: u64) {
        let per_second = self.slowest.take().map_or(per_second, |slowest| slowest.min(per_second));
        self.missing = self.missing.saturating_sub(now.saturating_sub(self.at) * per_second);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends whenever there is room, as often as asked; the moments.
    fn greedy(budget: &mut Budget, until: u64) -> Vec<u64> {
        let (mut now, mut sent) = (5, Vec::new());
        while now < until {
            if budget.room(now) > 0 {
                budget.sent(now);
                sent.push(now);
            } else {
                let next = budget.next(now);
                assert!(next > now, "it would spin");
                now = next;
            }
        }
        sent
    }

    #[test]
    fn a_rate_is_never_exceeded_in_any_stretch_and_nearly_used_up() {
        for (max, per_ms) in [(1, 1_000), (7, 1_000), (60, 60_000), (100, 1_000), (3, 7)] {
            let sent = greedy(&mut Budget::new(Limit::Rate { max, per_ms }), 20 * per_ms);
            for at in &sent {
                let within = sent.iter().filter(|s| (*at..at + per_ms).contains(s)).count() as u64;
                assert!(within <= max, "{within} within {per_ms} ms");
            }
            assert!(sent.len() as u64 >= 15 * max, "{} of {}", sent.len(), 20 * max);
        }
    }

    #[test]
    fn points_run_out_and_come_back() {
        let mut budget = Budget::new(Limit::Cost { capacity: 100, per_second: 50, cost: 10 });
        assert_eq!(budget.room(5), 10);
        let sent = greedy(&mut budget, 10_005);
        assert_eq!(sent.iter().filter(|at| **at == 5).count(), 10);
        assert_eq!(sent.len(), 10 + 49, "five a second from then on");
        assert_eq!(
            Budget::new(Limit::Cost { capacity: 1, per_second: 1, cost: 5 }).room(0),
            1,
            "never stuck"
        );
    }

    #[test]
    fn time_is_counted_when_it_is_over() {
        let mut budget = Budget::new(Limit::Time { max_ms: 500, per_ms: 1_600 });
        budget.over(499, 10);
        assert!(budget.room(10) > 0);
        budget.over(1, 10);
        assert_eq!(budget.room(10), 0);
        let next = budget.next(10);
        assert_eq!((budget.room(next - 1), budget.room(next) > 0), (0, true));
        assert!((1_610..=1_710).contains(&next), "{next}");
    }

    /// Found beside a log of everything (`machines/budget.rs`): a larger share is not one from the beginning.
    #[test]
    fn points_come_back_at_the_rate_of_the_share_that_there_was() {
        let mut budget = Budget::new(Limit::Cost { capacity: 33, per_second: 4, cost: 4 });
        budget.share(1, 4);
        budget.sent(0);
        budget.share(4, 4);
        assert_eq!(budget.room(1_000), 7, "one point is back");
        assert_eq!(budget.room(2_000), 8, "and four more");
    }

    #[test]
    fn shares_of_a_limit_are_no_more_than_the_limit() {
        let rooms = |parts| {
            let mut budget = Budget::new(Limit::Rate { max: 100, per_ms: 1_000 });
            budget.share(parts, 18);
            budget.room(0)
        };
        assert_eq!(rooms(18), 100);
        assert!(rooms(7) + rooms(11) <= 100);
        assert_eq!(rooms(0), 1);
    }
}
