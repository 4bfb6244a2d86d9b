//! A core as a value; see [`crate::digest`].

use std::hash::{Hash, Hasher};

use super::Core;
use crate::digest;

impl Hash for Core {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            options,
            partitions,
            connections,
            turns,
            lanes,
            postings,
            orphans,
            timers,
            actions,
            serial,
            paused,
            ledger_fails,
            #[cfg(feature = "mutants")]
                mutant: _, // a core is broken for good
        } = self;
        (options, turns, lanes, timers, actions, serial, ledger_fails).hash(state);
        digest::map(partitions, state);
        digest::map(connections, state);
        digest::map(orphans, state);
        digest::map(paused, state);
        postings.iter().for_each(|posting| posting.hash(state));
        (postings.len(), postings.vacant_key()).hash(state);
    }
}
