//! DBT-1: what the ledger says is in doubt.

use delivery::Status;

use super::{Rig, entity, intent, key, outcome, space};
use crate::{Entry, Stored};

fn record(n: u128, entry: Entry) -> Stored {
    Stored { key: key(n), entity: entity(), entry, term: 0 }
}

fn ended(n: u128, status: Status) -> Stored {
    record(n, Entry::Outcome(outcome(status, n as i64)))
}

#[test]
fn what_is_decided_or_tried_again_is_not_in_doubt() {
    let rig = Rig::open(0);
    let doubts = |records: &[Stored], position| {
        rig.ledger.restore(&space(), records, position).unwrap();
        rig.ledger.in_doubt(&space()).unwrap()
    };
    assert_eq!(doubts(&[ended(1, Status::Committed)], 0), 0);
    assert_eq!(
        doubts(&[ended(2, Status::InDoubt), ended(3, Status::InDoubt), ended(4, Status::InDoubt)], 3),
        3
    );
    assert_eq!(doubts(&[ended(2, Status::Rejected)], 4), 2);
    let attempts = outcome(Status::InDoubt, 3).attempts;
    let again = |attempt| record(3, Entry::Intent(intent(attempt, 9_000)));
    assert_eq!(doubts(&[again(attempts)], 5), 2, "the Intent of the attempt that is in doubt");
    assert_eq!(doubts(&[again(attempts + 1)], 6), 1, "an operator wants it tried again");
    assert_eq!(doubts(&[ended(3, Status::InDoubt)], 7), 2);
}
