//! What a campaign found, in numbers.

use std::collections::BTreeMap;

use contract::OutcomeStatus;
use sandbox::Fate;
use serde::Serialize;

use crate::{check::Violation, class::Class, evidence::Evidence, sometimes};

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub rounds: usize,
    /// SIGKILLs of sinks.
    pub kills: usize,
    pub faults: BTreeMap<&'static str, usize>,
    /// Events that the gateway acknowledged.
    pub events: usize,
    /// Durable changes at the targets.
    pub effects: u64,
    /// Effects beyond the first of an event.
    pub duplicates: u64,
    /// Accepted events without an outcome, and committed ones without an effect.
    pub lost: usize,
    pub in_doubt: usize,
    /// How what was unknown came to be known.
    pub resolved: BTreeMap<&'static str, usize>,
    pub violations: usize,
    pub sometimes_missing: Vec<&'static str>,
}

impl Summary {
    pub fn of(rounds: usize, evidence: &Evidence, violations: &[Violation]) -> Self {
        let mut faults = BTreeMap::new();
        for window in &evidence.moments.windows {
            *faults.entry(window.fault.name()).or_default() += 1;
        }
        let effects = evidence.effects_by_event();
        let status = |id: &String| evidence.outcome(id).map(|outcome| outcome.status);
        let lost = |id: &&String| match status(id) {
            None => true,
            Some(OutcomeStatus::Committed) => effects.get(id.as_str()).copied().unwrap_or(0) == 0,
            Some(_) => false,
        };
        Self {
            rounds,
            kills: evidence.moments.kills.len(),
            faults,
            events: evidence.issued.len(),
            effects: effects.values().sum(),
            duplicates: effects.values().map(|count| count.saturating_sub(1)).sum(),
            lost: evidence.issued.keys().filter(lost).count(),
            in_doubt: evidence.issued.keys().filter(|id| status(id) == Some(OutcomeStatus::InDoubt)).count(),
            resolved: resolved(evidence),
            violations: violations.len(),
            sometimes_missing: sometimes::missing(evidence),
        }
    }

    pub fn is_good(&self) -> bool {
        self.violations == 0 && self.lost == 0 && self.duplicates == 0
    }
}

fn resolved(evidence: &Evidence) -> BTreeMap<&'static str, usize> {
    let requests = |class: Class, fate: Fate| {
        evidence.requests.iter().filter(|(of, row)| *of == class && row.fate == fate).count()
    };
    let parked = |class: Class| {
        let of_class = evidence.issued.iter().filter(|(_, issued)| issued.class == class);
        let in_doubt = |id: &String| {
            evidence.outcome(id).is_some_and(|outcome| outcome.status == OutcomeStatus::InDoubt)
        };
        of_class.filter(|(id, _)| in_doubt(id)).count()
    };
    BTreeMap::from([
        ("stopped_by_key", requests(Class::Keyed, Fate::Replayed)),
        ("looked_and_found", requests(Class::Upsert, Fate::Found)),
        ("looked_and_absent", requests(Class::Upsert, Fate::Absent)),
        ("parked", parked(Class::Neither)),
        ("parked_for_a_stored_failure", parked(Class::Keyed)),
    ])
}
