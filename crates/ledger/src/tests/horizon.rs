//! The horizon, with made-up times: what is older goes, as whole folders; what must outlive it stays.

use std::{fs, path::Path, time::Duration};

use delivery::{Prior, Status};
use event::{EntityId, EventId, PostingKey, RouteId};
use uuid::Uuid;

use super::{KINDS, conformance::options, intent, key, outcome, space};
use crate::{Entry, Ledger, LedgerOptions, Opened, Store as _, StoreKind, Stored};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// The moment at which these ledgers begin.
const START: i64 = 1_764_000_000_000;

fn four_days(dir: &Path, kind: StoreKind) -> LedgerOptions {
    LedgerOptions { horizon: Duration::from_secs(4 * 24 * 60 * 60), ..options(dir, kind) }
}

fn open(dir: &Path, kind: StoreKind, now: i64) -> Ledger {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        // The thread of the last one may still hold the files.
        match Ledger::open(&four_days(dir, kind), now, |_| {}) {
            Ok((ledger, opened)) => {
                assert_eq!(opened, Opened::Fine);
                return ledger;
            }
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error:?}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn entity(n: u128) -> EntityId {
    EntityId(Uuid::from_u128(n))
}

fn record(n: u128, entry: Entry) -> Stored {
    Stored { key: key(n), entity: entity(n), entry, term: 0 }
}

fn buckets(dir: &Path) -> usize {
    let is_bucket = |name: &str| name.starts_with("sled") || name.starts_with("redb");
    fs::read_dir(dir)
        .unwrap()
        .filter(|e| is_bucket(&e.as_ref().unwrap().file_name().to_string_lossy()))
        .count()
}

#[test]
fn a_posting_is_forgotten_after_the_horizon_and_its_version_is_not() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path(), kind, START);
        let records = [
            record(1, Entry::Outcome(outcome(Status::Committed, 7))),
            record(2, Entry::Intent(intent(1, 9))),
            record(3, Entry::Outcome(outcome(Status::InDoubt, 5))),
            record(4, Entry::Outcome(outcome(Status::Rejected, 5))),
        ];
        ledger.restore(&space(), &records, 3).unwrap();
        let prior = |n| ledger.consult(&space(), &key(n), entity(n)).unwrap();
        let mut forgotten_at = None;
        for hour in 0..24 * 12 {
            let now = START + hour * HOUR;
            ledger.store.expire(now).unwrap();
            assert!(buckets(dir.path()) <= 6, "{kind:?}: bounded");
            if prior(1).0 == Prior::None {
                forgotten_at.get_or_insert(hour);
            }
        }
        // It ended with its bucket, a day later at most.
        let forgotten_at = forgotten_at.expect("the store shrinks");
        assert!((4 * 24..=5 * 24).contains(&forgotten_at), "{kind:?}: after {forgotten_at} hours");
        assert_eq!(prior(1), (Prior::None, Some(7)), "order outlives the horizon");
        assert!(matches!(prior(2).0, Prior::Intent(found) if found == intent(1, 9)), "an Intent is not over");
        assert!(matches!(prior(3), (Prior::Outcome(found), Some(5)) if found.status == Status::InDoubt));
        assert_eq!(prior(4), (Prior::None, None));
        assert_eq!(ledger.next_position(&space()).unwrap(), 4, "the position outlives it too");
        drop(ledger);
        let ledger = open(dir.path(), kind, START + 12 * DAY);
        assert_eq!(ledger.consult(&space(), &key(1), entity(1)).unwrap(), (Prior::None, Some(7)));
    }
}

#[test]
fn what_is_carried_over_does_not_undo_what_came_later() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path(), kind, START);
        let old = [
            record(1, Entry::Intent(intent(1, 9))),
            Stored {
                key: key(10),
                entity: entity(1),
                entry: Entry::Outcome(outcome(Status::Committed, 3)),
                term: 0,
            },
        ];
        ledger.restore(&space(), &old, 1).unwrap();
        ledger.store.expire(START + 2 * DAY).unwrap();
        ledger.restore(&space(), &[record(1, Entry::Outcome(outcome(Status::Committed, 8)))], 2).unwrap();
        assert_eq!(ledger.store.expire(START + 6 * DAY + HOUR).unwrap(), 1, "{kind:?}");
        let (prior, version) = ledger.consult(&space(), &key(1), entity(1)).unwrap();
        assert!(matches!(prior, Prior::Outcome(found) if found.source_version == 8), "{kind:?}");
        assert_eq!(version, Some(8), "{kind:?}");
        assert_eq!(ledger.next_position(&space()).unwrap(), 3, "{kind:?}");
    }
}

#[test]
fn the_folder_shrinks() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path(), kind, START);
        let records: Vec<Stored> = (0..5_000)
            .map(|n| Stored {
                entity: entity(n % 10),
                ..record(n, Entry::Outcome(outcome(Status::Committed, 7)))
            })
            .collect();
        ledger.restore(&space(), &records, 4_999).unwrap();
        assert_eq!(ledger.store.len(&space()).unwrap(), 5_010);
        ledger.store.expire(START + DAY).unwrap();
        let full = bytes(dir.path());
        ledger.store.expire(START + 5 * DAY).unwrap();
        assert_eq!(ledger.store.len(&space()).unwrap(), 10, "{kind:?}: a version for each entity");
        let left = bytes(dir.path());
        println!("{kind:?}: {full} bytes, then {left}");
        assert!(left < full * 3 / 4, "{kind:?}: {full} bytes, then {left}");
    }
}

fn bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let size = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        if found.is_dir() { bytes(path) } else { found.blocks() * 512 }
    };
    fs::read_dir(dir).unwrap().map(|entry| size(&entry.unwrap().path())).sum()
}

#[test]
fn a_clock_that_jumps_neither_loses_the_newest_bucket_nor_confuses_the_order() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path(), kind, START);
        ledger.restore(&space(), &[record(1, Entry::Outcome(outcome(Status::Committed, 7)))], 0).unwrap();
        // An hour back, then a year ahead, then right again.
        for now in [START - HOUR, START + 365 * DAY, START + HOUR, START + 3 * DAY] {
            ledger.store.expire(now).unwrap();
            let (prior, _) = ledger.consult(&space(), &key(1), entity(1)).unwrap();
            assert!(matches!(prior, Prior::Outcome(_)), "{kind:?} at {now}");
        }
        drop(ledger);
        open(dir.path(), kind, START + 3 * DAY);
    }
}

#[test]
fn expiry_beside_writers_loses_nothing() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path(), kind, START);
        let posting = |n: u64, version: i64| Stored {
            key: PostingKey {
                event: EventId(Uuid::from_u64_pair(n, version as u64)),
                route: RouteId(7),
                generation: 0,
            },
            entity: entity(n.into()),
            entry: Entry::Outcome(outcome(Status::Committed, version)),
            term: 0,
        };
        let first: Vec<Stored> = (0..2_000).map(|n| posting(n, 1)).collect();
        ledger.restore(&space(), &first, 0).unwrap();
        std::thread::scope(|scope| {
            let expiry = scope.spawn(|| {
                for day in 1..=6 {
                    ledger.store.expire(START + day * DAY).unwrap();
                }
            });
            // Versions are raised while they are carried over.
            let mut version = 1;
            while !expiry.is_finished() {
                version += 1;
                for n in [0_u64, 700, 1_999] {
                    ledger.restore(&space(), &[posting(n, version)], version).unwrap();
                }
            }
            for n in [0_u64, 700, 1_999] {
                let (_, found) = ledger.consult(&space(), &key(1), entity(n.into())).unwrap();
                assert_eq!(found, Some(version), "{kind:?}: a version never falls");
            }
        });
        let (prior, version) = ledger.consult(&space(), &posting(5, 1).key, entity(5)).unwrap();
        assert_eq!((prior, version), (Prior::None, Some(1)), "{kind:?}");
    }
}

#[test]
fn expire_works_on_a_thread_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), StoreKind::Sled, START);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    for day in 1..=5 {
        ledger.expire(START + day * DAY);
        while ledger.store.is_due(START + day * DAY) {
            assert!(std::time::Instant::now() < deadline, "day {day}");
            ledger.expire(START + day * DAY);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    assert_eq!(ledger.store.names().len(), 5);
}
