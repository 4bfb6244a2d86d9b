//! The parts of the core that count, beside models of them that are too simple to be wrong: proptest draws what happens to
//! both, and shrinks what they differ about. How the whole core behaves is in `tests/model`.

mod budget;
mod lanes;
mod window;

use proptest::test_runner::{Config, RngSeed};

/// The same sequences in every run.
fn config() -> Config {
    Config {
        cases: 512,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_126),
        ..Config::default()
    }
}
