//! What was accepted, and what became of it.

use std::collections::{BTreeMap, HashMap};

use contract::{Outcome, OutcomeStatus};
use parking_lot::Mutex;

/// An accepted event.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) tenant: &'static str,
    /// Whether it came as a vendor's webhook.
    pub(crate) webhook: bool,
}

#[derive(Default)]
struct Books {
    accepted: HashMap<String, Accepted>,
    outcomes: HashMap<String, Outcome>,
    /// Accepted events that have an outcome.
    settled: usize,
    resent: usize,
}

/// Both sides of the books, by event id. Each event of the demo takes exactly one route.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Books>);

impl Tally {
    /// The gateway answered 202 for these events.
    pub(crate) fn accept(&self, ids: Vec<String>, accepted: &Accepted) {
        let mut books = self.0.lock();
        for id in ids {
            let settled = books.outcomes.contains_key(&id);
            if books.accepted.insert(id, accepted.clone()).is_some() {
                books.resent += 1;
            } else if settled {
                books.settled += 1;
            }
        }
    }

    /// An outcome event was read. The same outcome may be announced again; it must say the same.
    pub(crate) fn settle(&self, outcome: Outcome) {
        let mut books = self.0.lock();
        let id = outcome.event_id.to_string();
        let known = books.accepted.contains_key(&id);
        if books.outcomes.insert(id, outcome).is_none() && known {
            books.settled += 1;
        }
    }

    /// How many events were accepted, and how many of them have an outcome.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let books = self.0.lock();
        (books.accepted.len(), books.settled)
    }

    /// How many events were sent a second time on purpose, and accepted again.
    pub(crate) fn resent(&self) -> usize {
        self.0.lock().resent
    }

    /// When the first outcome after `moment` was settled, both in microseconds since 1970-01-01 UTC.
    pub(crate) fn first_settled_after(&self, moment: i64) -> Option<i64> {
        self.0.lock().outcomes.values().map(|o| o.settled_at).filter(|at| *at > moment).min()
    }

    /// A few accepted events without an outcome.
    pub(crate) fn open(&self) -> Vec<String> {
        let all = self.events().into_iter().filter(|(_, _, outcome)| outcome.is_none());
        all.take(10).map(|(id, accepted, _)| format!("{} {id}", accepted.tenant)).collect()
    }

    /// Every accepted event with its outcome, if it has one.
    pub(crate) fn events(&self) -> Vec<(String, Accepted, Option<Outcome>)> {
        let books = self.0.lock();
        books
            .accepted
            .iter()
            .map(|(id, accepted)| (id.clone(), accepted.clone(), books.outcomes.get(id).cloned()))
            .collect()
    }

    /// Committed events, an example of each tenant and type, for show.
    pub(crate) fn examples(&self) -> Vec<(Accepted, Outcome)> {
        let mut examples: BTreeMap<(&str, String, bool), (Accepted, Outcome)> = BTreeMap::new();
        for (_, accepted, outcome) in self.events() {
            let Some(outcome) = outcome.filter(|o| o.status == OutcomeStatus::Committed) else { continue };
            let key = (accepted.tenant, outcome.event_type.to_string(), accepted.webhook);
            examples.entry(key).or_insert((accepted, outcome));
        }
        examples.into_values().collect()
    }
}
