//! Goes through everything that can happen, depth first: each state once, all that can follow it.
//!
//! Our own, since it is short: `stateright` asks for properties of states, where the world's are assertions on the way, and
//! brings an explorer with a web server along.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::choice::{Choice, Small};
use crate::{check, sometimes::Sometimes, world::Point};

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
    /// What happened on the way to some end.
    pub seen: Sometimes,
    known: HashSet<u64>,
    on_path: HashSet<u64>,
    /// How the present state was reached.
    path: Vec<Choice>,
}

/// An invariant, and the run that breaks it.
#[derive(Debug)]
pub struct Broken {
    pub said: String,
    pub run: Vec<Choice>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.said)?;
        self.run.iter().try_for_each(|choice| writeln!(f, "  {choice:?}"))
    }
}

struct Visit {
    state: Small,
    digest: u64,
    next: Vec<Choice>,
}

impl Explored {
    /// Everything that can follow `first`.
    pub fn all(first: Small) -> Result<Self, Broken> {
        let mut explored = Self::default();
        match catch_unwind(AssertUnwindSafe(|| explored.explore(first))) {
            Ok(()) => Ok(explored),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(Broken { said: text.unwrap_or_default(), run: explored.path })
            }
        }
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
            self.seen.add(&state.world.seen);
        }
        next.extend(state.faults());
        self.on_path.insert(digest);
        Some(Visit { state, digest, next })
    }
}
