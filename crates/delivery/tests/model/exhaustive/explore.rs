//! Goes through everything that can happen, depth first: each state once, all that can follow it.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use super::choice::{Choice, Small};
use crate::{check, world::Point};

/// Longer than any run that comes to an end.
const DEPTH: usize = 1_000;

/// What was gone through.
#[derive(Default)]
pub struct Explored {
    pub states: usize,
    pub steps: usize,
    /// States in which nothing was left to do.
    pub rests: usize,
    pub deepest: usize,
    /// Where postings stood when their process crashed, by route.
    pub crashes: BTreeSet<(usize, Point)>,
    known: HashSet<u64>,
    on_path: HashSet<u64>,
    /// How the present state was reached.
    path: Vec<Choice>,
}

struct Visit {
    state: Small,
    digest: u64,
    next: Vec<Choice>,
}

impl Explored {
    /// Everything that can follow `first`. Panics with the run that breaks an invariant, or does not end.
    pub fn all(first: Small) -> Self {
        let mut explored = Self::default();
        let ran = catch_unwind(AssertUnwindSafe(|| explored.explore(first)));
        if let Err(panic) = ran {
            eprintln!("after {:#?}", explored.path);
            resume_unwind(panic);
        }
        explored
    }

    fn explore(&mut self, first: Small) {
        let mut stack: Vec<Visit> = self.visit(first).into_iter().collect();
        while let Some(visit) = stack.last_mut() {
            let Some(choice) = visit.next.pop() else {
                self.on_path.remove(&visit.digest);
                self.path.pop();
                stack.pop();
                continue;
            };
            if matches!(choice, Choice::Crash(_)) {
                self.crashes.extend(visit.state.world.standings());
            }
            let mut state = visit.state.clone();
            self.path.push(choice);
            self.steps += 1;
            state.take(choice);
            match self.visit(state) {
                Some(visit) => stack.push(visit),
                None => drop(self.path.pop()),
            }
        }
    }

    /// Takes note of a state, unless it is known.
    fn visit(&mut self, state: Small) -> Option<Visit> {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let digest = hasher.finish();
        assert!(!self.on_path.contains(&digest), "LIV-1: it goes round in circles");
        if !self.known.insert(digest) {
            return None;
        }
        self.states += 1;
        self.deepest = self.deepest.max(self.path.len());
        assert!(self.path.len() < DEPTH, "LIV-1: no rest after {DEPTH} steps");
        let mut next = state.due();
        if next.is_empty() {
            assert!(state.world.is_at_rest(), "LIV-1: no rest, and nothing to do");
            check::at_rest(&state.world);
            self.rests += 1;
        }
        next.extend(state.faults());
        self.on_path.insert(digest);
        Some(Visit { state, digest, next })
    }
}
