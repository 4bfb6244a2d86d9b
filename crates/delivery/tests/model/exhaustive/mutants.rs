//! Each breakage must be noticed in the small worlds too.

use delivery::Mutant;

use super::{
    explore::{Broken, Explored},
    scopes::{SMALL, Scope},
};

/// The first run that breaks something, and its scope.
fn noticed(mutant: Mutant) -> Option<(&'static Scope, Broken)> {
    let mut scopes: Vec<&Scope> = SMALL.iter().collect();
    scopes.sort_by_key(|scope| scope.states); // most are noticed in the smallest ones
    let worlds = scopes.into_iter().flat_map(|scope| scope.configs().into_iter().map(move |c| (scope, c)));
    worlds.into_iter().find_map(|(scope, config)| {
        let mut first = scope.world(config);
        first.world.break_on_purpose(mutant);
        Some((scope, Explored::all(first).err()?))
    })
}

#[test]
fn every_mutant_is_noticed_in_a_small_world() {
    std::panic::set_hook(Box::new(|_| {})); // the panics are what is looked for
    let mut failures = Vec::new();
    for (mutant, invariants) in Mutant::ALL {
        match noticed(mutant) {
            Some((scope, broken)) if invariants.iter().any(|id| broken.said.contains(id)) => {
                println!("{mutant:?}: {}, {} steps: {:.100}", scope.name, broken.run.len(), broken.said);
            }
            Some((scope, broken)) => {
                failures.push(format!("{mutant:?}: {}: not {invariants:?}: {broken}", scope.name));
            }
            None => failures.push(format!("{mutant:?}: nobody notices")),
        }
    }
    drop(std::panic::take_hook());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
