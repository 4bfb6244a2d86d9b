//! The ledger's rules, on the real store.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use delivery::{
    Class, ConnectionId, ConnectionLimits, Core, CoreOptions, ErrorClass, Intent, Intents, NewPosting,
    Outcome, PartitionId, Prior, Reason, ResolvedBy, Status, Ticket,
};
use event::{EntityId, EventId, PostingKey, RouteId};
use uuid::Uuid;

use crate::{Entry, Job, Ledger, LedgerOptions, Opened, StoreKind, Stored, Written};

mod claims;
mod compaction;
mod conformance;
mod crash;
mod damage;
mod doubts;
mod faults;
mod horizon;
mod layout;
mod model;
#[cfg(feature = "mutants")]
mod mutants;
mod rollback;

const KINDS: [StoreKind; 2] = [StoreKind::Sled, StoreKind::Redb];
/// Some moment, in milliseconds.
const NOW: i64 = 1_764_000_000_000;

fn space() -> Arc<str> {
    Arc::from("cf.eu.finance.invoice.v1-3")
}

fn key(n: u128) -> PostingKey {
    PostingKey { event: EventId(Uuid::from_u128(n)), route: RouteId(7), generation: 0 }
}

fn entity() -> EntityId {
    EntityId(Uuid::from_u128(42))
}

fn intent(attempt: u32, deadline: i64) -> Intent {
    Intent { attempt, epoch: 5, first_attempt_at: 1_000, deadline, request_hash: 0xfeed }
}

fn outcome(status: Status, version: i64) -> Outcome {
    Outcome {
        status,
        document: Some(Arc::from("INV-2026-00042")),
        attempts: 2,
        first_attempt_at: Some(1_000),
        settled_at: 2_000,
        reason: None,
        resolved_by: ResolvedBy::Resend,
        source_version: version,
        request_hash: 0xfeed,
    }
}

/// A ticket can only be had from a core.
fn ticket() -> Ticket {
    let mut core = Core::new(CoreOptions {
        epoch: 1,
        window: 10,
        clock_skew_ms: 0,
        intents: Intents::Each,
        in_flight: 1,
        horizon_ms: u64::MAX,
    });
    core.connect(ConnectionId(0), ConnectionLimits { concurrency: 1, timeout_ms: 1 });
    core.assign(PartitionId(0), 0);
    let new = NewPosting {
        key: key(1),
        entity: entity(),
        connection: ConnectionId(0),
        class: Class::Upsert,
        source_version: 1,
        request_hash: 0,
        lag_ms: 0,
        on_existing: delivery::OnExisting::Overwrite,
        alone: false,
        conflate: false,
        lock: None,
        bulk: None,
        urgency: delivery::Urgency::Live,
        accepted_at: 0,
    };
    let mut tickets = Vec::new();
    assert!(core.admit(PartitionId(0), 0, &[new], &mut tickets));
    tickets[0].unwrap()
}

fn stored(n: u128, entry: Entry) -> Stored {
    Stored { key: key(n), entity: entity(), entry, term: 0 }
}

struct Rig {
    ledger: Ledger,
    written: mpsc::Receiver<Written>,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn open(reserve_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (report, written) = mpsc::channel();
        let options = LedgerOptions { dir: dir.path().to_owned(), reserve_bytes, ..LedgerOptions::default() };
        let (ledger, opened) = Ledger::open(&options, NOW, move |w| report.send(w).unwrap()).unwrap();
        assert_eq!(opened, Opened::Fine);
        Self { ledger, written, _dir: dir }
    }

    fn next(&self) -> Written {
        self.written.recv_timeout(Duration::from_secs(10)).unwrap()
    }
}

/// Golden bytes: an old changelog must be readable for ever.
#[test]
fn changelog_records_do_not_change() {
    let reason = Reason {
        code: Arc::from("SNK-0001"),
        class: ErrorClass::Validation,
        status: Some(400),
        message: Arc::from("no"),
    };
    let rejected = Outcome { reason: Some(reason), ..outcome(Status::Rejected, 7) };
    let golden = [
        (stored(1, Entry::Intent(intent(1, 3_000))), GOLDEN_INTENT),
        (stored(2, Entry::Outcome(outcome(Status::Committed, 7))), GOLDEN_COMMITTED),
        (stored(3, Entry::Outcome(rejected)), GOLDEN_REJECTED),
        (Stored { term: 5, ..stored(2, Entry::Outcome(outcome(Status::Committed, 7))) }, GOLDEN_OF_A_TERM),
        (crate::claim(5), GOLDEN_CLAIM),
    ];
    for (record, (key, value)) in golden {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(&record.changelog_key()), key);
        let bytes = record.changelog_value().unwrap();
        assert_eq!(hex(&bytes), value);
        assert_eq!(Stored::from_changelog(&record.changelog_key(), &bytes).unwrap(), record);
    }
}

const GOLDEN_INTENT: (&str, &str) = (
    "01000000000000000000000000000000010000000000000007000069",
    "010000000000000000000000000000002a000105d00ff02eedfd03",
);
const GOLDEN_COMMITTED: (&str, &str) = (
    "0100000000000000000000000000000002000000000000000700006f",
    "010000000000000000000000000000002a0100010e494e562d323032362d30303034320201d00fa01f00010eedfd03",
);
const GOLDEN_OF_A_TERM: (&str, &str) = (
    "0100000000000000000000000000000002000000000000000700006f0000000000000005",
    "010000000000000000000000000000002a0100010e494e562d323032362d30303034320201d00fa01f00010eedfd03",
);
const GOLDEN_CLAIM: (&str, &str) = (
    "010000000000000000000000000000000000000000000000010000630000000000000005",
    "01000000000000000000000000000000000205",
);
const GOLDEN_REJECTED: (&str, &str) = (
    "0100000000000000000000000000000003000000000000000700006f",
    "010000000000000000000000000000002a0101010e494e562d323032362d30303034320201d00fa01f0108534e4b2d3030303106019003026e6f010eedfd03",
);

#[test]
fn damaged_changelog_records_are_refused_without_panic() {
    let record = stored(1, Entry::Intent(intent(1, 3_000)));
    let (key, value) = (record.changelog_key(), record.changelog_value().unwrap());
    for end in 0..key.len() {
        assert!(Stored::from_changelog(&key[..end], &value).is_err());
    }
    for end in 0..value.len() {
        assert!(Stored::from_changelog(&key, &value[..end]).is_err());
    }
    let mut other_version = value;
    other_version[0] = 9;
    let error = Stored::from_changelog(&key, &other_version).unwrap_err();
    assert_eq!(error.code(), "SNK-0022");
}

#[test]
fn intents_and_outcomes_are_found_again() {
    let rig = Rig::open(0);
    let space = space();
    assert_eq!(rig.ledger.consult(&space, &key(1), entity()).unwrap(), (Prior::None, None));
    let job = Job::Intent {
        ticket: ticket(),
        space: Arc::clone(&space),
        key: key(1),
        intent: intent(1, 9),
        position: None,
    };
    rig.ledger.submit(vec![job]);
    assert!(matches!(rig.next(), Written::Intents(tickets) if tickets.len() == 1));
    assert_eq!(rig.ledger.consult(&space, &key(1), entity()).unwrap(), (Prior::Intent(intent(1, 9)), None));
    let end = outcome(Status::Committed, 7);
    let job = Job::Outcome {
        ticket: ticket(),
        space: Arc::clone(&space),
        key: key(1),
        entity: entity(),
        outcome: end.clone(),
        position: 4,
    };
    rig.ledger.submit(vec![job]);
    assert!(matches!(rig.next(), Written::Outcomes(tickets) if tickets.len() == 1));
    assert_eq!(rig.ledger.consult(&space, &key(1), entity()).unwrap(), (Prior::Outcome(end), Some(7)));
    assert_eq!(rig.ledger.next_position(&space).unwrap(), 5);
    assert_eq!(rig.ledger.next_position(&Arc::from("another")).unwrap(), 0);
}

#[test]
fn only_what_may_have_been_applied_raises_the_version() {
    for (status, raises) in [
        (Status::Committed, true),
        (Status::InDoubt, true),
        (Status::Rejected, false),
        (Status::Superseded, false),
    ] {
        let rig = Rig::open(0);
        rig.ledger.restore(&space(), &[stored(1, Entry::Outcome(outcome(status, 7)))], 0).unwrap();
        let (_, version) = rig.ledger.consult(&space(), &key(2), entity()).unwrap();
        assert_eq!(version, raises.then_some(7), "{status:?}");
        rig.ledger.restore(&space(), &[stored(2, Entry::Outcome(outcome(Status::Committed, 3)))], 1).unwrap();
        let (_, version) = rig.ledger.consult(&space(), &key(2), entity()).unwrap();
        assert_eq!(version, Some(if raises { 7 } else { 3 }), "a version never falls");
    }
}

#[test]
fn a_zombies_late_intent_changes_neither_an_outcome_nor_a_later_deadline() {
    let end = outcome(Status::Committed, 7);
    // In one batch, and over two.
    for batches in [vec![2], vec![1, 1]] {
        let rig = Rig::open(0);
        let records = [stored(1, Entry::Outcome(end.clone())), stored(1, Entry::Intent(intent(1, 3_000)))];
        let mut rest = &records[..];
        for size in &batches {
            let (now, later) = rest.split_at(*size);
            rig.ledger.restore(&space(), now, 0).unwrap();
            rest = later;
        }
        let (prior, _) = rig.ledger.consult(&space(), &key(1), entity()).unwrap();
        assert_eq!(prior, Prior::Outcome(end.clone()), "{batches:?}");

        let rig = Rig::open(0);
        let records =
            [stored(1, Entry::Intent(intent(2, 9_000))), stored(1, Entry::Intent(intent(1, 3_000)))];
        let mut rest = &records[..];
        for size in &batches {
            let (now, later) = rest.split_at(*size);
            rig.ledger.restore(&space(), now, 0).unwrap();
            rest = later;
        }
        let (prior, _) = rig.ledger.consult(&space(), &key(1), entity()).unwrap();
        assert!(matches!(prior, Prior::Intent(i) if i.deadline == 9_000), "{batches:?}: {prior:?}");
    }
}

#[test]
fn without_space_no_intent_is_written_and_outcomes_still_are() {
    let rig = Rig::open(u64::MAX);
    let space = space();
    let intent = Job::Intent {
        ticket: ticket(),
        space: Arc::clone(&space),
        key: key(1),
        intent: intent(1, 9),
        position: None,
    };
    let end = Job::Outcome {
        ticket: ticket(),
        space: Arc::clone(&space),
        key: key(2),
        entity: entity(),
        outcome: outcome(Status::Committed, 1),
        position: 0,
    };
    rig.ledger.submit(vec![intent, end]);
    assert!(matches!(rig.next(), Written::Fails(true)));
    assert!(matches!(rig.next(), Written::IntentsFailed(tickets) if tickets.len() == 1));
    assert!(matches!(rig.next(), Written::Outcomes(tickets) if tickets.len() == 1));
    assert_eq!(rig.ledger.consult(&space, &key(1), entity()).unwrap().0, Prior::None);
    assert!(matches!(rig.ledger.consult(&space, &key(2), entity()).unwrap().0, Prior::Outcome(_)));
}

#[test]
fn a_settled_ledger_has_everything_that_was_handed_over() {
    let rig = Rig::open(0);
    let space = space();
    for n in 0..500 {
        let intent = intent(1, 9);
        let job =
            Job::Intent { ticket: ticket(), space: Arc::clone(&space), key: key(n), intent, position: None };
        rig.ledger.submit(vec![job]);
    }
    rig.ledger.settle();
    for n in 0..500 {
        assert!(matches!(rig.ledger.consult(&space, &key(n), entity()).unwrap().0, Prior::Intent(_)));
    }
}

/// The Intent of a range goes the way of all others: job, store, changelog, restore. It only grows.
#[test]
fn a_range_is_durable_and_restored_and_never_shrinks() {
    let rig = Rig::open(0);
    assert_eq!(rig.ledger.range(&space()).unwrap(), 0);
    let job = |until| Job::Range {
        partition: PartitionId(3),
        space: space(),
        stored: crate::range(until, 5, 0, 1_000),
        until,
    };
    rig.ledger.submit(vec![job(2_001)]);
    assert!(matches!(&rig.next(), Written::Ranges(r) if *r == [(PartitionId(3), 2_001)]));
    let elsewhere = Rig::open(0);
    elsewhere
        .ledger
        .restore(&space(), &[crate::range(2_001, 5, 0, 1_000), crate::range(900, 4, 0, 900)], 1)
        .unwrap();
    for ledger in [&rig.ledger, &elsewhere.ledger] {
        assert_eq!(ledger.range(&space()).unwrap(), 2_001);
    }
}

#[test]
fn a_full_disk_fails_ranges_and_says_so_once() {
    let rig = Rig::open(u64::MAX);
    let job = || Job::Range {
        partition: PartitionId(3),
        space: space(),
        stored: crate::range(9, 5, 0, 0),
        until: 9,
    };
    rig.ledger.submit(vec![job()]);
    assert!(matches!(rig.next(), Written::Fails(true)));
    assert!(matches!(rig.next(), Written::RangesFailed(_)));
    rig.ledger.submit(vec![job()]);
    assert!(matches!(rig.next(), Written::RangesFailed(_)));
    assert_eq!(rig.ledger.range(&space()).unwrap(), 0);
}
