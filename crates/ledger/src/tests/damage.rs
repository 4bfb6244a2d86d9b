//! Files that are not what was written. Whatever happens to them, a ledger opens, and never vouches for what it lost:
//! either it is set aside, or it is as it was at some earlier position.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{KINDS, NOW, conformance::options};
use crate::{Opened, Store as _, StoreKind, buckets::Buckets};

const BATCHES: i64 = 300;

fn space() -> Arc<str> {
    Arc::from("space")
}

fn value(batch: i64, key: u8) -> Vec<u8> {
    let word = batch * 1_000 + i64::from(key);
    (0..16).flat_map(|i| (word ^ i).to_be_bytes()).collect()
}

fn key(batch: i64, key: u8) -> Vec<u8> {
    [&[1, key][..], &batch.to_be_bytes()].concat()
}

/// A ledger of two buckets; half of the batches are in each.
fn written(kind: StoreKind) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (buckets, _) = Buckets::open(&options(dir.path(), kind), NOW).unwrap();
    for batch in 0..BATCHES {
        if batch == BATCHES / 2 {
            buckets.begin(NOW + 1).unwrap();
        }
        let changes = (0..4).map(|k| (key(batch, k), value(batch, k))).collect();
        buckets.apply(&space(), changes, Some(batch)).unwrap();
        if batch % 10 == 0 {
            buckets.sync().unwrap();
        }
    }
    buckets.sync().unwrap();
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Every file of the buckets; the list is not one of them.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "buckets") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Opens what is left, and holds it to its word. Returns whether it was set aside, and its position.
fn open_damaged(dir: &Path, kind: StoreKind, what: &str) -> (bool, Option<i64>) {
    let (buckets, opened) =
        Buckets::open(&options(dir, kind), NOW + 2).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let position = buckets.position(&space()).unwrap();
    for batch in 0..=position.unwrap_or(-1) {
        for k in 0..4 {
            let found = buckets.get(&space(), &key(batch, k)).unwrap();
            assert_eq!(found, Some(value(batch, k)), "{what}: position {position:?}, batch {batch} is lost");
        }
    }
    buckets.apply(&space(), vec![(b"more".to_vec(), Vec::new())], Some(BATCHES)).unwrap();
    buckets.sync().unwrap();
    (matches!(opened, Opened::SetAside(_)), position)
}

#[test]
fn a_flipped_bit_is_never_believed() {
    let seed = std::env::var("COUNTERFOIL_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("COUNTERFOIL_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for kind in KINDS {
        let (original, mut set_aside) = (written(kind), 0);
        for round in 0..40 {
            let dir = tempfile::tempdir().unwrap();
            copy(original.path(), dir.path());
            let files = files(dir.path());
            let file = &files[random.usize(..files.len())];
            let mut bytes = fs::read(file).unwrap();
            // Where something was written: much of a file is empty.
            let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            if used.is_empty() {
                continue;
            }
            let at = used[random.usize(..used.len())];
            bytes[at] ^= 1 << random.u8(..8);
            fs::write(file, bytes).unwrap();
            let what = format!("{kind:?} round {round}, byte {at} of {}", file.display());
            let (aside, position) = open_damaged(dir.path(), kind, &what);
            println!("{what}: set aside {aside}, position {position:?}");
            set_aside += usize::from(aside);
        }
        assert!(set_aside > 0, "{kind:?}: no flipped bit was ever met");
    }
}

#[test]
fn a_truncated_file_is_never_believed() {
    for kind in KINDS {
        let original = written(kind);
        for file in 0..files(original.path()).len() {
            for part in [0, 1, 2, 3] {
                let dir = tempfile::tempdir().unwrap();
                copy(original.path(), dir.path());
                let file = &files(dir.path())[file];
                let length = fs::metadata(file).unwrap().len();
                fs::File::options().write(true).open(file).unwrap().set_len(length * part / 4).unwrap();
                let what = format!("{kind:?}, {part}/4 of {}", file.display());
                let (aside, position) = open_damaged(dir.path(), kind, &what);
                println!("{what}: set aside {aside}, position {position:?}");
            }
        }
    }
}

#[test]
fn a_deleted_file_or_folder_is_never_believed() {
    for kind in KINDS {
        let original = written(kind);
        for file in 0..files(original.path()).len() {
            let dir = tempfile::tempdir().unwrap();
            copy(original.path(), dir.path());
            let file = &files(dir.path())[file];
            fs::remove_file(file).unwrap();
            let what = format!("{kind:?} without {}", file.display());
            let (aside, position) = open_damaged(dir.path(), kind, &what);
            println!("{what}: set aside {aside}, position {position:?}");
        }
        for name in [format!("{kind:?}-{NOW}").to_lowercase(), format!("{kind:?}-{}", NOW + 1).to_lowercase()]
        {
            let dir = tempfile::tempdir().unwrap();
            copy(original.path(), dir.path());
            fs::remove_dir_all(dir.path().join(&name)).unwrap();
            let found = open_damaged(dir.path(), kind, &name);
            assert_eq!(found, (true, None), "{name}");
            assert!(dir.path().join("damaged-1/buckets").exists(), "kept for whoever wants to look");
        }
        let dir = tempfile::tempdir().unwrap();
        copy(original.path(), dir.path());
        fs::remove_file(dir.path().join("buckets")).unwrap();
        assert_eq!(open_damaged(dir.path(), kind, "no list"), (true, None));
    }
}
