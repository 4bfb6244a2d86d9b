//! LED-1 and OWN-1 over a compacted changelog: what an owner recorded, its successor knows, whatever a zombie appends
//! afterwards and however much of the topic the brokers have compacted.

use std::collections::HashSet;

use delivery::{Prior, Status};

use super::{Rig, entity, intent, key, outcome, space};
use crate::{Entry, Stored, claim};

const FORMER: u64 = 1;
const OWNER: u64 = 2;
/// The posting that only a late Intent is about.
const INTENDED: u128 = 1;
/// The posting that a late outcome is about too.
const SETTLED: u128 = 2;

fn stored(n: u128, entry: Entry, term: u64) -> Stored {
    Stored { key: key(n), entity: entity(), entry, term }
}

/// Two postings that the former owner had in flight got their outcome `status` from the next one; then the former one, which knows
/// of nothing, appends what it still had: an Intent, a rejection.
fn history(status: Status) -> Vec<Stored> {
    let intended = |n, attempt, term| stored(n, Entry::Intent(intent(attempt, 3_000)), term);
    let settled = |n, status, term| stored(n, Entry::Outcome(outcome(status, 7)), term);
    vec![
        claim(FORMER),
        intended(INTENDED, 1, FORMER),
        intended(SETTLED, 1, FORMER),
        claim(OWNER),
        intended(INTENDED, 2, OWNER),
        settled(INTENDED, status, OWNER),
        settled(SETTLED, status, OWNER),
        intended(INTENDED, 1, FORMER),
        settled(SETTLED, Status::Rejected, FORMER),
    ]
}

/// A record of a topic: its offset, key and value.
type Record = (i64, Vec<u8>, Vec<u8>);

fn topic(history: &[Stored]) -> Vec<Record> {
    let record = |(at, stored): (usize, &Stored)| {
        (at as i64, stored.changelog_key(), stored.changelog_value().unwrap())
    };
    history.iter().enumerate().map(record).collect()
}

/// As the brokers do with everything before `end`: of each key there the last one stays.
fn compacted(topic: &[Record], end: usize) -> Vec<Record> {
    let mut newer = HashSet::new();
    let mut kept = topic[end..].to_vec();
    let last_of_its_key = |(_, key, _): &&Record| newer.insert(key.clone());
    kept.extend(topic[..end].iter().rev().filter(last_of_its_key).cloned());
    kept.sort_unstable();
    kept
}

/// What a successor without a disk knows of a posting after it has read the topic, `step` records at a time.
fn successor(topic: &[Record], step: usize) -> Rig {
    let rig = Rig::open(0);
    for records in topic.chunks(step) {
        let read = |(_, key, value): &Record| Stored::from_changelog(key, value).unwrap();
        let stored: Vec<Stored> = records.iter().map(read).collect();
        rig.ledger.restore(&space(), &stored, records[records.len() - 1].0).unwrap();
    }
    rig
}

/// An invariant that does not hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) id: &'static str,
    /// Up to where the topic was compacted.
    pub(super) compacted: usize,
    /// What was recorded, and what a successor knows.
    pub(super) differ: (Status, Prior),
}

/// Everything that is violated.
pub(super) fn violations() -> Vec<Violation> {
    let mut found = Vec::new();
    for status in [Status::Committed, Status::InDoubt, Status::Superseded] {
        let topic = topic(&history(status));
        for compacted_to in 0..=topic.len() {
            for step in [topic.len(), 1] {
                let rig = successor(&compacted(&topic, compacted_to), step);
                for (posting, id) in [(INTENDED, "LED-1"), (SETTLED, "OWN-1")] {
                    let (known, _) = rig.ledger.consult(&space(), &key(posting), entity()).unwrap();
                    if known != Prior::Outcome(outcome(status, 7)) {
                        found.push(Violation { id, compacted: compacted_to, differ: (status, known) });
                    }
                }
            }
        }
    }
    found
}

#[test]
fn what_an_owner_recorded_its_successor_knows_whatever_comes_late() {
    assert_eq!(violations(), []);
}

#[test]
fn compaction_takes_the_older_records_of_a_key_and_no_others() {
    let record = |at: u8, key: u8| (i64::from(at), vec![key], vec![at]);
    let topic = [record(0, 1), record(1, 2), record(2, 1), record(3, 2), record(4, 1)];
    let offsets = |end| compacted(&topic, end).into_iter().map(|(at, ..)| at).collect::<Vec<_>>();
    assert_eq!([offsets(0), offsets(2)], [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]);
    assert_eq!([offsets(3), offsets(5)], [vec![1, 2, 3, 4], vec![3, 4]]);
}
