//! BND-1: a budget beside a log of everything that was sent.

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::config;
use crate::budget::{Budget, Limit};

/// The parts that the budget counts a stretch of time in; it may forget by up to two of them too late, and never too early.
const PARTS: u64 = 16;

/// What happened, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happens {
    Pass(u64),
    Sent,
    Over(u64),
    Share(u64, u64),
}

#[derive(Clone, Debug)]
struct Log {
    limit: Limit,
    now: u64,
    entries: Vec<(u64, Happens)>,
}

impl Log {
    fn part(&self, whole: u64) -> u64 {
        share(whole, self.entries.iter().rev().find_map(|(_, h)| shared(h)).unwrap_or((1, 1)))
    }

    /// Whether all of the limit was this process's, all the time.
    fn never_shared(&self) -> bool {
        self.entries.iter().all(|(_, h)| shared(h).is_none())
    }

    /// What was used in the last `ms` milliseconds, by an entry's worth.
    fn used(&self, ms: u64, worth: impl Fn(&Happens) -> u64) -> u64 {
        self.entries.iter().filter(|(at, _)| at + ms > self.now).map(|(_, h)| worth(h)).sum()
    }

    /// Thousandths of points that are not in the bucket, moment by moment.
    fn missing(&self, per_second: u64, cost: u64) -> u64 {
        let (mut missing, mut rate, mut then) = (0u64, per_second, 0);
        for (at, happens) in &self.entries {
            missing = missing.saturating_sub((at - then) * rate);
            then = *at;
            match happens {
                Happens::Sent => missing += cost * 1_000,
                Happens::Share(parts, of) => rate = share(per_second, (*parts, *of)),
                Happens::Pass(_) | Happens::Over(_) => {}
            }
        }
        missing.saturating_sub((self.now - then) * rate)
    }

    /// The least and the most requests that may leave now.
    fn room(&self) -> (u64, u64) {
        match self.limit {
            Limit::Rate { max, per_ms } => {
                let left =
                    |ms| self.part(max).saturating_sub(self.used(ms, |h| u64::from(*h == Happens::Sent)));
                (left(per_ms + 2 * per_ms.div_ceil(PARTS)), left(per_ms))
            }
            Limit::Time { max_ms, per_ms } => {
                let took = |h: &Happens| if let Happens::Over(ms) = h { *ms } else { 0 };
                let left = |ms| if self.used(ms, took) < self.part(max_ms) { u64::MAX } else { 0 };
                (left(per_ms + 2 * per_ms.div_ceil(PARTS)), left(per_ms))
            }
            Limit::Cost { capacity, per_second, cost } => {
                let points = self.part(capacity).max(cost) * 1_000;
                let room = points.saturating_sub(self.missing(per_second, cost)) / (cost * 1_000);
                (if self.never_shared() { room } else { 0 }, room)
            }
        }
    }
}

fn shared(happens: &Happens) -> Option<(u64, u64)> {
    if let Happens::Share(parts, of) = happens { Some((*parts, *of)) } else { None }
}

fn share(whole: u64, (parts, of): (u64, u64)) -> u64 {
    (whole * parts / of).max(1)
}

fn limit() -> impl Strategy<Value = Limit> {
    let rate = (1..12u64, 1..400u64).prop_map(|(max, per_ms)| Limit::Rate { max, per_ms });
    let time = (1..300u64, 1..400u64).prop_map(|(max_ms, per_ms)| Limit::Time { max_ms, per_ms });
    let cost = (1..40u64, 1..60u64, 1..12u64).prop_map(|(capacity, per_second, cost)| Limit::Cost {
        capacity,
        per_second,
        cost,
    });
    prop_oneof![rate, time, cost]
}

impl ReferenceStateMachine for Log {
    type State = Self;
    type Transition = Happens;

    fn init_state() -> BoxedStrategy<Self> {
        (limit(), 0..50u64).prop_map(|(limit, now)| Self { limit, now, entries: Vec::new() }).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Happens> {
        prop_oneof![
            3 => (0..40u64).prop_map(Happens::Pass),
            1 => (0..2_000u64).prop_map(Happens::Pass),
            5 => Just(Happens::Sent),
            3 => (0..120u64).prop_map(Happens::Over),
            1 => (0..5u64).prop_map(|parts| Happens::Share(parts, 4)),
        ]
        .boxed()
    }

    fn apply(mut log: Self, happens: &Happens) -> Self {
        match happens {
            Happens::Pass(ms) => log.now += ms,
            _ => log.entries.push((log.now, *happens)),
        }
        log
    }
}

struct Real(Budget);

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Log;

    fn init_test(log: &Log) -> Self {
        Self(Budget::new(log.limit))
    }

    fn apply(mut real: Self, log: &Log, happens: Happens) -> Self {
        match happens {
            Happens::Pass(_) => {}
            Happens::Sent => real.0.sent(log.now),
            Happens::Over(ms) => real.0.over(ms, log.now),
            Happens::Share(parts, of) => real.0.share(parts, of),
        }
        real
    }

    /// Asked on a copy: a question must not change what later ones are answered.
    fn check_invariants(real: &Self, log: &Log) {
        let mut asked = real.0.clone();
        let room = asked.room(log.now);
        let (least, most) = log.room();
        assert!(room <= most, "BND-1: {room} may leave, the limit leaves {most}");
        assert!(room >= least, "{room} may leave, of {least} at least");
        if room == 0 {
            let next = asked.next(log.now);
            assert!(next > log.now, "it would spin");
            assert_eq!(asked.room(next - 1), 0, "there was room before {next}");
        }
    }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn a_budget_never_allows_more_than_its_limit_and_nearly_as_much(sequential 1..80 => Real);
}
