//! Which faults a campaign has, and when: a function of the seed alone.

use std::fmt;

use crate::{brokers::Breakage, class::Class};

/// What becomes of the ledger's folder of a sink that was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    Kept,
    Wiped,
    /// An older copy of it is put back.
    Older,
    /// Some bytes of it are changed.
    Flipped,
}

/// What is the matter with a target, or with the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Half of the writes are applied without an answer.
    DropsAnswers,
    /// The same, applied after the connection is gone.
    AppliesLate,
    /// Half of the writes get 503, which says that nothing was applied.
    Unavailable,
    /// Half of the writes get 500, which says nothing.
    ServerError,
    /// Some of the writes get 500, and the answer is stored under the key.
    StoresFailures,
    Throttles,
    Slow,
    /// Nobody answers at its address.
    Cut,
    /// Connections break in the middle of a request.
    HalfSent,
    /// Connections break in the middle of an answer.
    HalfAnswered,
    /// Requests arrive, and answers never come.
    Stalls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a restart at once.
    KillSink {
        sink: usize,
        folder: Folder,
    },
    KillGateway,
    /// SIGSTOP for longer than its session.
    StopSink {
        sink: usize,
    },
    /// SIGTERM, and a restart.
    DrainSink {
        sink: usize,
    },
    /// A third sink joins, and leaves with the end of the round.
    ThirdSink,
    /// The registry cannot be reached while a sink starts.
    RegistryAway {
        sink: usize,
    },
    /// The second sink's way to the brokers is cut for longer than its session; it still reaches the targets.
    BrokersAway,
    Target {
        class: Class,
        trouble: Trouble,
    },
    /// Something is done to the brokers themselves, of which there are three.
    Brokers(Breakage),
}

impl Fault {
    /// The name under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillSink { folder: Folder::Kept, .. } => "sink_killed",
            Self::KillSink { folder: Folder::Wiped, .. } => "sink_killed_ledger_wiped",
            Self::KillSink { folder: Folder::Older, .. } => "sink_killed_ledger_older",
            Self::KillSink { folder: Folder::Flipped, .. } => "sink_killed_ledger_flipped",
            Self::KillGateway => "gateway_killed",
            Self::StopSink { .. } => "sink_stopped",
            Self::DrainSink { .. } => "sink_drained",
            Self::ThirdSink => "third_sink",
            Self::RegistryAway { .. } => "registry_away",
            Self::BrokersAway => "brokers_away",
            Self::Brokers(breakage) => breakage.name(),
            Self::Target { trouble, .. } => match trouble {
                Trouble::DropsAnswers => "target_drops_answers",
                Trouble::AppliesLate => "target_applies_late",
                Trouble::Unavailable => "target_503",
                Trouble::ServerError => "target_500",
                Trouble::StoresFailures => "target_stores_failures",
                Trouble::Throttles => "target_throttles",
                Trouble::Slow => "target_slow",
                Trouble::Cut => "target_cut",
                Trouble::HalfSent => "request_half_sent",
                Trouble::HalfAnswered => "answer_half_sent",
                Trouble::Stalls => "answers_stall",
            },
        }
    }

    fn is_of_target(self) -> bool {
        matches!(self, Self::Target { .. })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::KillSink { sink, .. }
            | Self::StopSink { sink }
            | Self::DrainSink { sink }
            | Self::RegistryAway { sink } => write!(f, "({sink})"),
            Self::Target { class, .. } => write!(f, "({class})"),
            Self::KillGateway | Self::ThirdSink | Self::BrokersAway | Self::Brokers(_) => Ok(()),
        }
    }
}

/// One round: its faults begin one soon after the other, and are healed together.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// 1, 2, …
    pub number: usize,
    pub faults: Vec<Fault>,
    /// How long the traffic goes on before the faults begin, milliseconds.
    pub after_ms: u64,
    /// How long the first fault is alone, milliseconds.
    pub lead_ms: u64,
    /// How long all faults last, milliseconds.
    pub hold_ms: u64,
    /// For what is chosen inside a fault.
    pub dice: u64,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
        write!(f, "{:>4}  {:>4} ms  {}", self.number, self.hold_ms, faults.join(" + "))
    }
}

/// The first `count` rounds of a seed. Faults come from a shuffled deck, so that each has its turn.
pub fn rounds(seed: u64, count: usize) -> Vec<Round> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut deck = Vec::new();
    let round = |number| {
        let first = draw(&mut deck, &mut dice, |_| true);
        let mut faults = vec![first];
        // A fault of a process and one of a target can be on at the same time.
        if dice.u8(..100) < 35 {
            faults.push(draw(&mut deck, &mut dice, |fault| fault.is_of_target() != first.is_of_target()));
            // The target has its trouble already when a process is hit.
            faults.sort_by_key(|fault| !fault.is_of_target());
        }
        Round {
            number,
            faults,
            after_ms: dice.u64(50..500),
            lead_ms: dice.u64(100..900),
            hold_ms: dice.u64(1_000..2_500),
            dice: dice.u64(..),
        }
    };
    (1..=count).map(round).collect()
}

/// The same rounds with the faults of targets alone: no process ends.
pub fn rounds_of_targets(seed: u64, count: usize) -> Vec<Round> {
    let mut rounds = rounds(seed, count);
    for round in &mut rounds {
        round.faults.retain(|fault| fault.is_of_target());
    }
    rounds.retain(|round| !round.faults.is_empty());
    rounds
}

/// Takes the topmost card that fits; a deck that has none gets new cards.
fn draw(deck: &mut Vec<Fault>, dice: &mut fastrand::Rng, fits: impl Fn(Fault) -> bool) -> Fault {
    loop {
        if let Some(place) = deck.iter().rposition(|fault| fits(*fault)) {
            return deck.remove(place);
        }
        let mut cards = cards(dice);
        dice.shuffle(&mut cards);
        cards.append(deck);
        *deck = cards;
    }
}

/// A full deck; what is not fixed about a card is drawn.
fn cards(dice: &mut fastrand::Rng) -> Vec<Fault> {
    use Trouble::{
        AppliesLate, Cut, DropsAnswers, HalfAnswered, HalfSent, ServerError, Slow, Stalls, StoresFailures,
        Throttles, Unavailable,
    };
    let mut cards = vec![Fault::KillGateway, Fault::KillGateway, Fault::ThirdSink, Fault::BrokersAway];
    let folders = [Folder::Kept, Folder::Kept, Folder::Kept, Folder::Wiped, Folder::Older, Folder::Flipped];
    for folder in folders {
        cards.push(Fault::KillSink { sink: dice.usize(..2), folder });
    }
    cards.push(Fault::StopSink { sink: dice.usize(..2) });
    cards.push(Fault::RegistryAway { sink: dice.usize(..2) });
    cards.extend([0, 1].map(|sink| Fault::DrainSink { sink }));
    for class in Class::ALL {
        cards.extend([DropsAnswers, AppliesLate].map(|trouble| Fault::Target { class, trouble }));
    }
    cards.push(Fault::Target { class: Class::Keyed, trouble: StoresFailures });
    for trouble in [Unavailable, ServerError, Throttles, Slow, Cut, HalfSent, HalfAnswered, Stalls] {
        let class = Class::ALL[dice.usize(..Class::ALL.len())];
        cards.push(Fault::Target { class, trouble });
    }
    cards
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_faults() {
        assert_eq!(rounds(7, 50), rounds(7, 50));
        assert_eq!(rounds(7, 50)[..20], rounds(7, 20), "a longer campaign begins like a shorter one");
        assert_ne!(rounds(7, 50), rounds(8, 50));
    }

    #[test]
    fn sixty_rounds_have_every_fault() {
        let mut dice = fastrand::Rng::with_seed(0);
        let all: BTreeSet<_> = cards(&mut dice).into_iter().map(Fault::name).collect();
        for seed in 0..50 {
            let drawn = rounds(seed, 60).into_iter().flat_map(|round| round.faults).map(Fault::name);
            assert_eq!(drawn.collect::<BTreeSet<_>>(), all, "seed {seed}");
        }
    }

    #[test]
    fn two_faults_of_a_round_do_not_meet_at_one_part() {
        for round in rounds(3, 500) {
            let of_targets = round.faults.iter().filter(|fault| fault.is_of_target()).count();
            assert!(round.faults.len() <= 2 && of_targets <= 1, "{round}");
            assert!(round.faults.is_sorted_by_key(|fault| !fault.is_of_target()), "{round}");
            assert!(round.faults.len() - of_targets <= 1, "{round}");
        }
    }
}
