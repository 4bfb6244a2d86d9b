//! What was accepted, and what became of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    /// Events of which two outcomes with different statuses were announced.
    contradicted: BTreeSet<String>,
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

    /// An outcome event was read. The same outcome may be announced again; one that says something else is a broken promise.
    pub(crate) fn settle(&self, outcome: Outcome) {
        let mut books = self.0.lock();
        let id = outcome.event_id.to_string();
        if let Some(first) = books.outcomes.get(&id) {
            if first.status != outcome.status {
                books.contradicted.insert(id);
            }
            return;
        }
        books.settled += usize::from(books.accepted.contains_key(&id));
        books.outcomes.insert(id, outcome);
    }

    /// How many events had outcomes that contradict each other.
    pub(crate) fn contradicted(&self) -> usize {
        self.0.lock().contradicted.len()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use event::EventId;

    use super::*;

    fn outcome(status: OutcomeStatus) -> Outcome {
        Outcome {
            event_id: EventId::from_source_id(&"acme".parse().unwrap(), "test", "1"),
            tenant: "acme".parse().unwrap(),
            event_type: "customer.created".parse().unwrap(),
            entity: "1".into(),
            route: "customers".into(),
            connection: "erp".into(),
            generation: 0,
            status,
            target_document_id: None,
            error_code: None,
            detail: None,
            attempts: 1,
            source_version: 1,
            occurred_at: 0,
            accepted_at: 0,
            first_attempt_at: None,
            settled_at: 0,
        }
    }

    #[test]
    fn an_outcome_that_is_announced_again_must_say_the_same() {
        let tally = Tally::default();
        let id = outcome(OutcomeStatus::Committed).event_id.to_string();
        tally.accept(vec![id], &Accepted { tenant: "acme", webhook: false });
        tally.settle(outcome(OutcomeStatus::Committed));
        tally.settle(outcome(OutcomeStatus::Committed));
        assert_eq!((tally.counts(), tally.contradicted()), ((1, 1), 0));
        tally.settle(outcome(OutcomeStatus::Superseded));
        tally.settle(outcome(OutcomeStatus::Superseded));
        assert_eq!((tally.counts(), tally.contradicted()), ((1, 1), 1));
    }
}
