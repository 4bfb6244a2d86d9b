//! A world as a value: where an exhaustive run has been. What never changes in a run, and what is only counted, is left out.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Partition, World};

impl Hash for Partition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { log: _, assigned, draining, paused, position, stored, committed, lease_until } = self;
        (assigned, draining, paused, position, stored, committed, lease_until).hash(state);
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            me,
            zombie,
            ledger,
            targets,
            seen: _,
            concurrency: _,
            limited: _,
            bulk: _,
            batches: _, // names, and all that have them are in the flights
            trouble: _,
            #[cfg(feature = "mutants")]
                mutant: _,
            intents: _,
            accepted,
            now,
            flights,
            paused,
        } = self;
        (me, zombie, ledger, targets, accepted, now, paused).hash(state);
        // Requests are on their way side by side: in which order they are listed says nothing.
        let digest = |flight| {
            let mut hasher = DefaultHasher::new();
            Hash::hash(flight, &mut hasher);
            hasher.finish()
        };
        let mut flights: Vec<u64> = flights.iter().map(digest).collect();
        flights.sort_unstable();
        flights.hash(state);
    }
}
