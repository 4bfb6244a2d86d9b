//! Each breakage must be noticed, by an invariant with a name. One that nobody notices shows a hole in the tests.

use super::compaction::violations;
use crate::Mutant;

#[test]
fn every_mutant_is_noticed_by_an_invariant_of_its_own() {
    let mut failures = Vec::new();
    for (mutant, id) in Mutant::ALL {
        let found = mutant.during(violations);
        match found.iter().find(|violation| violation.id == id) {
            Some(violation) => println!("{mutant:?}: {:.120}", format!("{violation:?}")),
            None => failures.push(format!("{mutant:?}: {found:?}, not {id}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(violations(), [], "a mutant outlives its test");
}

/// The rule that an outcome is final does not help: the brokers have thrown it away.
#[test]
fn a_single_key_loses_an_outcome_to_compaction_alone() {
    let found = Mutant::SingleKey.during(violations);
    let lost: Vec<usize> = found.iter().filter(|v| v.id == "LED-1").map(|v| v.compacted).collect();
    assert!(!lost.is_empty() && lost.iter().all(|compacted| *compacted >= 8), "{lost:?}");
}

#[test]
fn a_mutant_that_panics_is_over_all_the_same() {
    let panicked = std::panic::catch_unwind(|| Mutant::SingleKey.during(|| panic!("on purpose")));
    assert!(panicked.is_err());
    assert_eq!(violations(), []);
}
