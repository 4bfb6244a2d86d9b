//! The durable store: what survives a crash, and the writes on their way to it.

use std::collections::{BTreeMap, BTreeSet};

use delivery::{Class, Intent, Outcome, Prior, Status, Ticket};

use crate::{plan::ROUTES, target::Request};

#[derive(Clone, Debug, Hash)]
pub enum Entry {
    Intent(Intent),
    Outcome(Outcome),
}

/// A write that is not durable yet.
#[derive(Clone, Debug, Hash)]
pub struct Write {
    pub ticket: Ticket,
    pub partition: usize,
    pub request: Request,
    pub entry: Entry,
}

#[derive(Clone, Default, Hash)]
pub struct Ledger {
    entries: BTreeMap<(usize, usize), Entry>,
    versions: BTreeMap<(usize, usize), i64>,
    letters: BTreeSet<(usize, usize)>,
    /// Dead letters of unreadable records, by partition and offset.
    unreadable: BTreeSet<(usize, i64)>,
    /// By partition: the first offset that no shared Intent covers.
    pub ranges: BTreeMap<usize, i64>,
}

impl Ledger {
    pub fn entry(&self, request: Request) -> Option<&Entry> {
        self.entries.get(&(request.event, request.route))
    }

    pub fn outcome(&self, event: usize, route: usize) -> Option<&Outcome> {
        match self.entries.get(&(event, route)) {
            Some(Entry::Outcome(outcome)) => Some(outcome),
            _ => None,
        }
    }

    pub fn known(&self, request: Request) -> (Prior, Option<i64>) {
        let prior = match self.entry(request) {
            None => Prior::None,
            Some(Entry::Intent(intent)) => Prior::Intent(*intent),
            Some(Entry::Outcome(outcome)) => Prior::Outcome(outcome.clone()),
        };
        (prior, self.versions.get(&(request.route, request.entity)).copied())
    }

    pub fn apply(&mut self, write: &Write) {
        let Request { event, route, entity, version } = write.request;
        let over = self.outcome(event, route);
        assert!(over.is_none(), "LED-1: {:?} is over as {over:?}, and now {:?}", write.request, write.entry);
        if let Entry::Outcome(outcome) = &write.entry {
            let lettered = self.letters.contains(&(event, route));
            assert!(
                outcome.status != Status::Rejected || lettered,
                "DLQ-1: no dead letter of {:?}",
                write.request
            );
            if matches!(outcome.status, Status::Committed | Status::InDoubt) {
                let newest = self.versions.entry((route, entity)).or_insert(version);
                *newest = version.max(*newest);
            }
        }
        self.entries.insert((event, route), write.entry.clone());
    }

    /// A former owner's write behind the claim of the next one: an outcome counts for nobody, of two Intents the later
    /// deadline does.
    pub fn apply_fenced(&mut self, write: &Write) {
        let Entry::Intent(late) = &write.entry else { return };
        let known = self.entry(write.request);
        let counts = match known {
            None => true,
            Some(Entry::Intent(intent)) => intent.deadline < late.deadline,
            Some(Entry::Outcome(_)) => false,
        };
        if counts {
            self.entries.insert((write.request.event, write.request.route), write.entry.clone());
        }
    }

    /// A machine is lost: of what only its disk knew, nothing is left. The changelog has every outcome, every range, and
    /// the Intents of all classes but K.
    pub fn lose_disk(&mut self) {
        let keyed = |route: usize| matches!(ROUTES[route], Class::Keyed { .. });
        self.entries.retain(|(_, route), entry| matches!(entry, Entry::Outcome(_)) || !keyed(*route));
    }

    pub fn range(&self, partition: usize) -> i64 {
        self.ranges.get(&partition).copied().unwrap_or(0)
    }

    pub fn write_range(&mut self, (partition, until): (usize, i64)) {
        let range = self.ranges.entry(partition).or_insert(0);
        *range = until.max(*range);
    }

    pub fn dead_letter(&mut self, request: Request) {
        self.letters.insert((request.event, request.route));
    }

    pub fn dead_letter_unreadable(&mut self, partition: usize, offset: i64) {
        self.unreadable.insert((partition, offset));
    }

    pub fn has_unreadable(&self, partition: usize, offset: i64) -> bool {
        self.unreadable.contains(&(partition, offset))
    }
}
