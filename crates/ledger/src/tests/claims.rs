//! OWN-1: what a former owner appends too late, nobody ever sees.

use delivery::{Prior, Status};

use super::{Rig, entity, intent, key, outcome, space};
use crate::{Entry, Stored, claim, range};

fn outcome_of(n: u128, status: Status, term: u64) -> Stored {
    Stored { key: key(n), entity: entity(), entry: Entry::Outcome(outcome(status, n as i64)), term }
}

fn status(rig: &Rig, n: u128) -> Option<Status> {
    match rig.ledger.consult(&space(), &key(n), entity()).unwrap().0 {
        Prior::Outcome(outcome) => Some(outcome.status),
        _ => None,
    }
}

/// The changelog of a partition that went from one owner to another, who parked what the first one had in flight.
fn handed_over() -> Vec<Stored> {
    vec![
        claim(1),
        outcome_of(1, Status::Committed, 1),
        claim(2),
        outcome_of(2, Status::InDoubt, 2),
        outcome_of(2, Status::Rejected, 1),
        outcome_of(3, Status::Committed, 1),
        outcome_of(4, Status::Committed, 2),
    ]
}

#[test]
fn an_outcome_behind_the_next_owners_claim_is_passed_over() {
    // At once, or record by record: the claim is remembered beside the position.
    for step in [7, 1] {
        let rig = Rig::open(0);
        for (at, records) in handed_over().chunks(step).enumerate() {
            rig.ledger.restore(&space(), records, ((at + 1) * step) as i64 - 1).unwrap();
        }
        let known: Vec<_> = (1..=4).map(|n| status(&rig, n)).collect();
        assert_eq!(
            known,
            [Some(Status::Committed), Some(Status::InDoubt), None, Some(Status::Committed)],
            "{step}"
        );
        assert_eq!((rig.ledger.take_fenced(), rig.ledger.take_fenced()), (2, 0));
    }
}

#[test]
fn an_owner_that_comes_back_has_a_new_term() {
    let rig = Rig::open(0);
    let mut records = handed_over();
    records.extend([claim(3), outcome_of(5, Status::Committed, 3), outcome_of(6, Status::Committed, 1)]);
    rig.ledger.restore(&space(), &records, 9).unwrap();
    assert_eq!((status(&rig, 5), status(&rig, 6)), (Some(Status::Committed), None));
}

#[test]
fn what_was_written_before_there_were_terms_counts() {
    let rig = Rig::open(0);
    let old = [outcome_of(1, Status::Committed, 0), claim(1), outcome_of(2, Status::Committed, 0)];
    rig.ledger.restore(&space(), &old, 2).unwrap();
    assert_eq!((status(&rig, 1), status(&rig, 2)), (Some(Status::Committed), Some(Status::Committed)));
}

#[test]
fn no_term_takes_the_place_of_another_in_a_compacted_topic() {
    let records = [
        outcome_of(1, Status::Committed, 1),
        outcome_of(1, Status::Committed, 2),
        Stored { key: key(1), entity: entity(), entry: Entry::Intent(intent(1, 1)), term: 1 },
        Stored { key: key(1), entity: entity(), entry: Entry::Intent(intent(1, 1)), term: 2 },
        claim(1),
        claim(2),
        range(5, 1, 1, 1),
        range(5, 1, 2, 1),
    ];
    let keys: std::collections::HashSet<Vec<u8>> = records.iter().map(Stored::changelog_key).collect();
    assert_eq!(keys.len(), records.len());
    for record in records {
        let read = Stored::from_changelog(&record.changelog_key(), &record.changelog_value().unwrap());
        assert_eq!(read.unwrap(), record);
    }
}

#[test]
fn who_reads_behind_another_reader_brings_no_older_claim_back() {
    let rig = Rig::open(0);
    rig.ledger.restore(&space(), &[claim(1), outcome_of(1, Status::Committed, 1), claim(2)], 2).unwrap();
    // A restore of an ownership that is over, which had read this much.
    rig.ledger.restore(&space(), &[claim(1), outcome_of(1, Status::Committed, 1)], 1).unwrap();
    rig.ledger.restore(&space(), &[outcome_of(2, Status::Committed, 2)], 3).unwrap();
    assert_eq!((status(&rig, 1), status(&rig, 2)), (Some(Status::Committed), Some(Status::Committed)));
    assert_eq!(rig.ledger.next_position(&space()).unwrap(), 4);
}
