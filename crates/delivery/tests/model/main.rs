//! The protocol of GUARANTEES.md under faults: random schedules over a small world, every step checked.
//!
//! `COUNTERFOIL_SEED` and `COUNTERFOIL_CASES` choose another run; the seed is printed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod check;
mod exhaustive;
mod ledger;
#[cfg(feature = "mutants")]
mod mutants;
mod plan;
mod sometimes;
mod target;
mod world;

use std::cell::RefCell;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sometimes::Sometimes;
use world::World;

const SEED: u64 = 20_261_122;
const CASES: u32 = 600;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn the_promise_holds_under_every_schedule() {
    let seed = from_env("COUNTERFOIL_SEED", SEED);
    let cases = from_env("COUNTERFOIL_CASES", u64::from(CASES)) as u32;
    println!("seed {seed}, {cases} cases");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let total = RefCell::new(Sometimes::default());
    let ran = runner.run(&plan::plan(), |plan| {
        let mut world = World::new(&plan);
        for step in &plan.steps {
            world.step(*step);
        }
        world.come_to_rest();
        check::at_rest(&world);
        total.borrow_mut().add(&world.seen);
        Ok(())
    });
    if let Err(failure) = ran {
        panic!("seed {seed}: {failure}");
    }
    total.borrow().print();
    total.borrow().assert_all_happened();
}
