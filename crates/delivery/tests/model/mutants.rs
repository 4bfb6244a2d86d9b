//! Each breakage must be noticed, by an invariant with a name. One that nobody notices shows a hole in the tests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use delivery::Mutant;
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{check, plan, world::World};

/// Schedules that a mutant is tried on, at most.
const CASES: u32 = 3_000;

/// What the first schedule that notices says.
fn noticed(mutant: Mutant, runner: &mut TestRunner) -> Option<(u32, String)> {
    for case in 1..=CASES {
        let mut plan = plan::plan().new_tree(runner).expect("a plan").current();
        plan.mutant = Some(mutant);
        let run = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(&plan);
            plan.steps.iter().for_each(|step| world.step(*step));
            world.come_to_rest();
            check::at_rest(&world);
        }));
        if let Err(panic) = run {
            let text = panic.downcast_ref::<String>().cloned();
            return Some((case, text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()))?));
        }
    }
    None
}

#[test]
fn every_mutant_is_noticed_by_an_invariant_of_its_own() {
    let seed = crate::from_env("COUNTERFOIL_SEED", crate::SEED);
    println!("seed {seed}");
    std::panic::set_hook(Box::new(|_| {})); // the panics are what is looked for
    let mut failures = Vec::new();
    for (mutant, invariants) in Mutant::ALL {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        match noticed(mutant, &mut runner) {
            Some((case, said)) if invariants.iter().any(|id| said.contains(id)) => {
                println!("{mutant:?}: schedule {case}: {said:.120}");
            }
            Some((case, said)) => {
                failures.push(format!("{mutant:?}: schedule {case} says {said:?}, not {invariants:?}"))
            }
            None => failures.push(format!("{mutant:?}: nobody notices in {CASES} schedules")),
        }
    }
    drop(std::panic::take_hook());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
