//! Whether a mutant was noticed, and whether the same trouble without it was clean.

use contract::OutcomeStatus;
use serde::Serialize;

use super::mutant::Mutant;
use crate::check::Violation;

/// What became of an event whose answer was lost, and what the checks said.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub event: String,
    pub outcome: Option<OutcomeStatus>,
    pub effects: u64,
    /// Writes of it that the target saw.
    pub writes: usize,
    /// Idempotency keys among them.
    pub keys: usize,
    pub violations: Vec<Violation>,
}

/// A mutant's two runs.
#[derive(Clone, Debug)]
pub struct Finding {
    pub mutant: Mutant,
    pub sound: Trace,
    pub broken: Trace,
}

/// As it is printed.
#[derive(Debug, Serialize)]
pub struct Row {
    mutant: &'static str,
    class: &'static str,
    /// The invariants of which one must notice it.
    expected: &'static [&'static str],
    /// Those that noticed it.
    noticed_by: Vec<&'static str>,
    sound: Told,
    broken: Told,
}

#[derive(Debug, Serialize)]
struct Told {
    outcome: String,
    effects: u64,
    writes: usize,
    keys: usize,
    violations: usize,
}

impl Finding {
    /// The same trouble did happen to sound sinks, and nothing is violated.
    pub fn is_sound(&self) -> bool {
        let Self { mutant, sound, .. } = self;
        sound.violations.is_empty()
            && sound.outcome == Some(mutant.sound_outcome())
            && sound.effects == 1
            && sound.writes == mutant.sound_writes()
    }

    /// An invariant of the mutant's own says so of the very event.
    pub fn is_noticed(&self) -> bool {
        self.mutant.invariants().iter().any(|id| self.noticed_by().contains(id))
    }

    fn noticed_by(&self) -> Vec<&'static str> {
        let Trace { event, violations, .. } = &self.broken;
        let of_event = violations.iter().filter(|violation| violation.event.as_ref() == Some(event));
        let mut ids: Vec<_> = of_event.map(|violation| violation.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    pub fn row(&self) -> Row {
        Row {
            mutant: self.mutant.name(),
            class: self.mutant.class().name(),
            expected: self.mutant.invariants(),
            noticed_by: self.noticed_by(),
            sound: Told::of(&self.sound),
            broken: Told::of(&self.broken),
        }
    }
}

impl Told {
    fn of(trace: &Trace) -> Self {
        Self {
            outcome: trace.outcome.map_or_else(|| "none".to_owned(), |status| format!("{status:?}")),
            effects: trace.effects,
            writes: trace.writes,
            keys: trace.keys,
            violations: trace.violations.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(id: &'static str, event: &str) -> Violation {
        Violation { id, event: Some(event.to_owned()), evidence: String::new(), round: None }
    }

    fn finding() -> Finding {
        let sound = Trace {
            event: "one".to_owned(),
            outcome: Some(OutcomeStatus::Committed),
            effects: 1,
            writes: 2,
            keys: 1,
            violations: Vec::new(),
        };
        let broken = Trace {
            event: "two".to_owned(),
            violations: vec![violation("EFF-1", "two")],
            ..Trace::default()
        };
        Finding { mutant: Mutant::NewKey, sound, broken }
    }

    #[test]
    fn a_mutant_counts_as_noticed_only_by_its_own_invariant_and_on_its_own_event() {
        assert!(finding().is_noticed());
        for said in [vec![], vec![violation("ORD-1", "two")], vec![violation("EFF-1", "one")]] {
            let broken = Trace { violations: said.clone(), ..finding().broken };
            assert!(!Finding { broken, ..finding() }.is_noticed(), "{said:?}");
        }
    }

    #[test]
    fn sound_sinks_have_the_trouble_and_violate_nothing() {
        assert!(finding().is_sound());
        let sound = finding().sound;
        for other in [
            Trace { violations: vec![violation("CON-1", "three")], ..sound.clone() },
            Trace { outcome: None, ..sound.clone() },
            Trace { effects: 2, ..sound.clone() },
            // No answer was lost.
            Trace { writes: 1, ..sound.clone() },
        ] {
            assert!(!Finding { sound: other.clone(), ..finding() }.is_sound(), "{other:?}");
        }
    }
}
