//! The rules of [`Store`], for each backend and for the buckets over it.

use std::{path::Path, sync::Arc};

use super::{KINDS, NOW};
use crate::{Change, LedgerOptions, OpenError, RedbStore, SledStore, Store, StoreKind, buckets::Buckets};

pub(super) const CACHE: u64 = 4 << 20;

/// Something that opens a store in a folder.
type Open = Box<dyn Fn(&Path) -> Arc<dyn Store>>;

/// Every implementation, with its name.
fn all() -> Vec<(String, Open)> {
    let mut all: Vec<(String, Open)> = Vec::new();
    for kind in KINDS {
        all.push((format!("{kind:?}"), Box::new(move |dir| kind.open(dir, CACHE, false).unwrap())));
        all.push((format!("{kind:?} in buckets"), Box::new(move |dir| Arc::new(buckets(dir, kind)))));
    }
    all
}

pub(super) fn options(dir: &Path, kind: StoreKind) -> LedgerOptions {
    LedgerOptions {
        dir: dir.to_owned(),
        store: kind,
        cache_bytes: CACHE,
        reserve_bytes: 0,
        ..LedgerOptions::default()
    }
}

fn buckets(dir: &Path, kind: StoreKind) -> Buckets {
    Buckets::open(&options(dir, kind), NOW).unwrap().0
}

pub(super) fn change(key: &str, value: &str) -> Change {
    (key.into(), value.into())
}

fn spaces() -> (Arc<str>, Arc<str>) {
    (Arc::from("cf.eu.finance.invoice.v1-3"), Arc::from("cf.eu.finance.invoice.v1-4"))
}

/// A rule, on an open store and on the one that is opened after it.
fn rule(before: impl Fn(&dyn Store), after: impl Fn(&dyn Store)) {
    for (name, open) in all() {
        println!("{name}");
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        before(&*store);
        drop(store);
        after(&*open(dir.path()));
    }
}

#[test]
fn what_is_applied_is_seen_at_once_and_after_a_sync_for_good() {
    let (one, _) = spaces();
    let check = |store: &dyn Store| {
        assert_eq!(store.get(&one, b"a").unwrap().as_deref(), Some(&b"3"[..]), "the last change counts");
        assert_eq!(store.get(&one, b"b").unwrap().as_deref(), Some(&b"2"[..]));
        assert_eq!(store.get(&one, b"c").unwrap(), None);
        assert_eq!(store.position(&one).unwrap(), Some(12));
        assert_eq!(store.len(&one).unwrap(), 2);
    };
    rule(
        |store| {
            store.apply(&one, vec![change("a", "1"), change("b", "2")], Some(11)).unwrap();
            store.apply(&one, vec![change("a", "3")], Some(12)).unwrap();
            check(store);
            store.sync().unwrap();
            check(store);
        },
        check,
    );
}

#[test]
fn spaces_are_separate() {
    let (one, two) = spaces();
    let check = |store: &dyn Store| {
        assert_eq!(store.get(&one, b"key").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(store.get(&two, b"key").unwrap().as_deref(), Some(&b"2"[..]));
        assert_eq!((store.position(&one).unwrap(), store.position(&two).unwrap()), (Some(11), None));
        assert_eq!(store.spaces().unwrap(), [Arc::clone(&one), Arc::clone(&two)]);
    };
    rule(
        |store| {
            store.apply(&one, vec![change("key", "1")], Some(11)).unwrap();
            store.apply(&two, vec![change("key", "2")], None).unwrap();
            check(store);
            store.sync().unwrap();
        },
        check,
    );
}

#[test]
fn a_new_space_is_empty() {
    let (one, _) = spaces();
    let check = |store: &dyn Store| {
        assert_eq!(store.get(&one, b"key").unwrap(), None);
        assert_eq!(store.position(&one).unwrap(), None);
        assert_eq!(store.len(&one).unwrap(), 0);
        assert_eq!(store.scan(&one, &[], 10).unwrap(), []);
        store.sync().unwrap();
        store.clear(&one).unwrap();
    };
    rule(check, check);
}

#[test]
fn a_position_moves_without_changes_and_stays_without_one() {
    let (one, _) = spaces();
    rule(
        |store| {
            store.apply(&one, Vec::new(), Some(7)).unwrap();
            store.apply(&one, vec![change("a", "1")], None).unwrap();
            store.sync().unwrap();
        },
        |store| {
            assert_eq!(store.position(&one).unwrap(), Some(7));
            assert_eq!(store.len(&one).unwrap(), 1, "the position is no key");
        },
    );
}

#[test]
fn a_cleared_space_is_empty_for_good_and_can_be_filled_again() {
    let (one, two) = spaces();
    let check = |store: &dyn Store| {
        assert_eq!((store.len(&one).unwrap(), store.position(&one).unwrap()), (1, None));
        assert_eq!(store.get(&one, b"old").unwrap(), None);
        assert_eq!((store.len(&two).unwrap(), store.position(&two).unwrap()), (1, Some(2)));
    };
    rule(
        |store| {
            store.apply(&one, vec![change("old", "1")], Some(1)).unwrap();
            store.apply(&two, vec![change("old", "1")], Some(2)).unwrap();
            store.sync().unwrap();
            // Once written and once waiting.
            store.apply(&one, vec![change("older", "1")], Some(3)).unwrap();
            store.clear(&one).unwrap();
            assert_eq!((store.len(&one).unwrap(), store.position(&one).unwrap()), (0, None));
            store.apply(&one, vec![change("new", "1")], None).unwrap();
            check(store);
            store.sync().unwrap();
        },
        check,
    );
}

#[test]
fn a_scan_gives_every_key_once_in_order_and_no_position() {
    let (one, _) = spaces();
    let key = |n: u32| n.to_be_bytes().to_vec();
    rule(
        |store| {
            for n in (0..200).rev() {
                store.apply(&one, vec![(key(n), b"old".to_vec())], Some(1)).unwrap();
            }
            // Around the position's own key.
            store.apply(&one, vec![change("o", "1"), change("p0", "1"), change("q", "1")], None).unwrap();
            store.sync().unwrap();
            store.apply(&one, vec![(key(50), b"new".to_vec())], Some(2)).unwrap();
        },
        |store| {
            store.apply(&one, vec![(key(51), b"new".to_vec())], Some(2)).unwrap();
            for limit in [1, 7, 1_000] {
                let (mut after, mut keys) = (Vec::new(), Vec::new());
                loop {
                    let page = store.scan(&one, &after, limit).unwrap();
                    assert!(page.len() <= limit);
                    let Some((last, _)) = page.last() else { break };
                    after.clone_from(last);
                    keys.extend(page.into_iter().map(|(key, _)| key));
                }
                let mut expected: Vec<Vec<u8>> = (0..200).map(key).collect();
                expected.extend([b"o".to_vec(), b"p0".to_vec(), b"q".to_vec()]);
                assert_eq!(keys, expected, "limit {limit}");
            }
        },
    );
}

#[test]
fn a_store_that_another_process_holds_is_left_to_it() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let held = kind.open(dir.path(), CACHE, false).unwrap();
        held.sync().unwrap();
        // Another handle of one process meets the same lock.
        let second = match kind {
            StoreKind::Sled => SledStore::open(dir.path(), CACHE, true).map(drop),
            StoreKind::Redb => RedbStore::open(dir.path(), CACHE, true).map(drop),
        };
        assert!(matches!(second, Err(OpenError::Failed(_))), "{kind:?}: {second:?}");
    }
}

#[test]
fn readers_and_writers_at_once_see_whole_batches() {
    let (one, _) = spaces();
    for (name, open) in all() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 0..300_i64 {
                    let value = n.to_be_bytes().to_vec();
                    store
                        .apply(&one, vec![(b"a".to_vec(), value.clone()), (b"b".to_vec(), value)], Some(n))
                        .unwrap();
                    if n % 10 == 0 {
                        store.sync().unwrap();
                    }
                }
            });
            while !writer.is_finished() {
                // Read in the order in which a batch may become visible: never the later one without the earlier.
                let position = store.position(&one).unwrap().unwrap_or(-1);
                let seen =
                    store.get(&one, b"a").unwrap().map_or(-1, |v| i64::from_be_bytes(v.try_into().unwrap()));
                assert!(seen >= position, "{name}: position {position}, record {seen}");
            }
        });
        assert_eq!(store.position(&one).unwrap(), Some(299), "{name}");
    }
}
