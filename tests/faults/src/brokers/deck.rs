//! What is done to the brokers, and when: a function of the seed alone.

use crate::plan::{Fault, Round};

/// What is done to the three brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// SIGKILL of the leader of an input partition.
    LeaderKilled,
    /// SIGKILL of the coordinator of the sinks' group, with commits under way.
    CoordinatorKilled,
    /// Each one ended in an orderly way and started again, one after the other.
    Rolled,
    /// SIGKILL of two: there are fewer replicas than an acknowledgement takes.
    TwoKilled,
    /// SIGSTOP of the leader of an input partition for longer than its session with the controllers.
    Stopped,
}

impl Breakage {
    const ALL: [Self; 5] =
        [Self::LeaderKilled, Self::CoordinatorKilled, Self::Rolled, Self::TwoKilled, Self::Stopped];

    /// The name under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeaderKilled => "leader_killed",
            Self::CoordinatorKilled => "coordinator_killed",
            Self::Rolled => "brokers_rolled",
            Self::TwoKilled => "two_brokers_killed",
            Self::Stopped => "broker_stopped",
        }
    }

    /// How long it must be on to be felt, milliseconds.
    pub fn least_ms(self) -> u64 {
        match self {
            // the gateway gives up on a record after five seconds
            Self::TwoKilled => 9_000,
            // its way back comes long after its leaderships are gone
            Self::Stopped => 4_000,
            Self::LeaderKilled | Self::CoordinatorKilled | Self::Rolled => 0,
        }
    }
}

/// The first `count` rounds of a seed. Faults come from a shuffled deck: five rounds have every one.
pub fn rounds(seed: u64, count: usize) -> Vec<Round> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut deck = Vec::new();
    let round = |number| {
        if deck.is_empty() {
            deck.extend(Breakage::ALL);
            dice.shuffle(&mut deck);
        }
        Round {
            number,
            faults: deck.pop().map(Fault::Brokers).into_iter().collect(),
            after_ms: dice.u64(50..800),
            lead_ms: 0,
            hold_ms: dice.u64(500..3_000),
            dice: dice.u64(..),
        }
    };
    (1..=count).map(round).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_faults_and_five_rounds_have_every_one() {
        assert_eq!(rounds(7, 20), rounds(7, 20));
        assert_ne!(rounds(7, 20), rounds(8, 20));
        for seed in 0..50 {
            let drawn = rounds(seed, 10).into_iter().skip(5).flat_map(|round| round.faults).map(Fault::name);
            let all: BTreeSet<_> = Breakage::ALL.into_iter().map(Breakage::name).collect();
            assert_eq!(drawn.collect::<BTreeSet<_>>(), all, "seed {seed}");
        }
    }
}
