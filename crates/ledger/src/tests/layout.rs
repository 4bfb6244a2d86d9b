//! The names in the ledger's folder: older folders must be read.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{NOW, conformance::options};
use crate::{
    OpenError, Opened, Store as _, StoreKind,
    buckets::{Buckets, Opener},
    layout::{Found, Layout, Name},
};

#[test]
fn names_and_list_do_not_change() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path()).unwrap();
    assert_eq!(layout.read().unwrap(), Found::Nothing);
    let names = [
        Name { kind: StoreKind::Sled, start: 0 },
        Name { kind: StoreKind::Sled, start: 1_764_000_000_000 },
        Name { kind: StoreKind::Redb, start: 1_766_000_000_000 },
    ];
    for name in ["sled", "sled-1764000000000", "redb-1766000000000"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    layout.write(&names, None).unwrap();
    let list = fs::read_to_string(dir.path().join("buckets")).unwrap();
    assert_eq!(list, "counterfoil ledger 1\nsled\nsled-1764000000000\nredb-1766000000000\n");
    assert_eq!(layout.read().unwrap(), Found::Buckets(names.to_vec()));
    // One that a crash may have left half created.
    layout.write(&names[..2], Some(names[2])).unwrap();
    let list = fs::read_to_string(dir.path().join("buckets")).unwrap();
    assert_eq!(list, "counterfoil ledger 1\nsled\nsled-1764000000000\nbeginning redb-1766000000000\n");
    assert_eq!(layout.read().unwrap(), Found::Buckets(names[..2].to_vec()));
    assert!(!dir.path().join("redb-1766000000000").exists());
    assert_eq!(layout.read().unwrap(), Found::Buckets(names[..2].to_vec()), "the same when read again");
}

#[test]
fn a_first_bucket_that_was_half_created_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let name = Name { kind: StoreKind::Sled, start: 5 };
    let layout = Layout::new(dir.path()).unwrap();
    layout.write(&[], Some(name)).unwrap();
    assert_eq!(layout.read().unwrap(), Found::Nothing);
    fs::create_dir(layout.path(name)).unwrap();
    let (_, opened) = Buckets::open(&options(dir.path(), StoreKind::Sled), NOW).unwrap();
    assert_eq!(opened, Opened::Fine);
    assert!(!layout.path(name).exists());
}

#[test]
fn the_first_versions_folder_is_the_oldest_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let space = "space".into();
    {
        // As 0.34 of sled leaves it: `<dir>/sled`, no list.
        let path = dir.path().join("sled");
        fs::create_dir(&path).unwrap();
        let store = StoreKind::Sled.open(&path, 1 << 20, false).unwrap();
        store.apply(&space, vec![(b"key".to_vec(), b"old".to_vec())], Some(5)).unwrap();
        store.sync().unwrap();
    }
    let (buckets, opened) = Buckets::open(&options(dir.path(), StoreKind::Sled), NOW).unwrap();
    assert_eq!(opened, Opened::Fine);
    assert!(buckets.is_due(NOW), "nobody knows how old it is");
    assert_eq!(buckets.expire(NOW).unwrap(), 0);
    assert_eq!(buckets.get(&space, b"key").unwrap().as_deref(), Some(&b"old"[..]));
    assert_eq!(buckets.position(&space).unwrap(), Some(5));
    let names: Vec<String> = buckets.names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["sled".to_owned(), format!("sled-{NOW}")]);
}

#[test]
fn a_bucket_that_cannot_be_created_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&fails);
    let opener: Opener = Box::new(move |name: Name, path: &Path, present| {
        if flag.load(Ordering::SeqCst) {
            return Err(OpenError::Damaged("a disk that is full".into()));
        }
        name.kind.open(path, 1 << 20, present)
    });
    let options = options(dir.path(), StoreKind::Redb);
    let (buckets, _) = Buckets::open_with(&options, NOW, opener).unwrap();
    fails.store(true, Ordering::SeqCst);
    assert!(buckets.begin(NOW + 1).is_err());
    assert!(!dir.path().join(format!("redb-{}", NOW + 1)).exists());
    buckets.apply(&"space".into(), Vec::new(), Some(1)).unwrap();
    fails.store(false, Ordering::SeqCst);
    buckets.begin(NOW + 2).unwrap();
    drop(buckets);
    let (buckets, opened) = Buckets::open(&options, NOW).unwrap();
    assert_eq!(opened, Opened::Fine);
    assert_eq!(buckets.position(&"space".into()).unwrap(), Some(1));
}

#[test]
fn another_store_takes_over_what_the_first_has_written() {
    let dir = tempfile::tempdir().unwrap();
    let space = "space".into();
    for (round, kind) in [StoreKind::Sled, StoreKind::Redb, StoreKind::Sled].into_iter().enumerate() {
        let (buckets, opened) = Buckets::open(&options(dir.path(), kind), NOW).unwrap();
        assert_eq!(opened, Opened::Fine);
        assert_eq!(buckets.position(&space).unwrap(), (round > 0).then(|| round as i64 - 1));
        assert_eq!(buckets.names().last().unwrap().kind, kind);
        let change = (format!("key {round}").into_bytes(), b"1".to_vec());
        buckets.apply(&space, vec![change], Some(round as i64)).unwrap();
        buckets.sync().unwrap();
        assert_eq!(buckets.len(&space).unwrap(), round + 1);
    }
}

#[test]
fn what_a_crash_leaves_of_a_deletion_is_deleted_and_an_unknown_bucket_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    drop(Buckets::open(&options(dir.path(), StoreKind::Redb), NOW).unwrap());
    fs::create_dir(dir.path().join("redb-5.expired")).unwrap();
    fs::create_dir(dir.path().join("redb-7")).unwrap();
    fs::write(dir.path().join("notes.txt"), "somebody's").unwrap();
    let (_, opened) = Buckets::open(&options(dir.path(), StoreKind::Redb), NOW).unwrap();
    assert_eq!(opened, Opened::Fine);
    assert!(!dir.path().join("redb-5.expired").exists());
    assert!(dir.path().join("damaged-1/redb-7").exists());
    assert!(dir.path().join("notes.txt").exists());
}
