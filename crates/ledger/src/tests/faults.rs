//! A disk that fails: redb on a storage that refuses to grow, refuses everything, or forgets what was not synced.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use delivery::{Prior, Status};
use parking_lot::Mutex;
use redb::StorageBackend;

use super::{NOW, conformance::options, entity, intent, key, outcome, space, stored, ticket};
use crate::{
    Entry, Job, Ledger, RedbStore, Store, StoreKind, Written,
    buckets::{Buckets, Opener},
    layout::Name,
};

/// A disk: what was written, what of it is safe, and what is wrong with it.
#[derive(Debug, Default)]
struct Disk {
    written: Mutex<Vec<u8>>,
    safe: Mutex<Vec<u8>>,
    /// No byte more: ENOSPC.
    full: AtomicBool,
    /// No write at all: EIO.
    broken: AtomicBool,
    /// Says that it synced, and did not.
    lies: AtomicBool,
    refused: AtomicBool,
}

impl Disk {
    /// Everything that was not synced is gone.
    fn cut_power(&self) {
        let safe = self.safe.lock().clone();
        *self.written.lock() = safe;
    }

    fn refuse(&self, flag: &AtomicBool, errno: nix::errno::Errno) -> std::io::Result<()> {
        if !flag.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.refused.store(true, Ordering::SeqCst);
        Err(std::io::Error::from_raw_os_error(errno as i32))
    }
}

#[derive(Debug)]
struct Handle(Arc<Disk>);

impl StorageBackend for Handle {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.written.lock().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let written = self.0.written.lock();
        let from = offset as usize;
        let bytes = written.get(from..from + out.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.refuse(&self.0.broken, nix::errno::Errno::EIO)?;
        let mut written = self.0.written.lock();
        if len > written.len() as u64 {
            self.0.refuse(&self.0.full, nix::errno::Errno::ENOSPC)?;
        }
        written.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.0.refuse(&self.0.broken, nix::errno::Errno::EIO)?;
        if !self.0.lies.load(Ordering::SeqCst) {
            let written = self.0.written.lock().clone();
            *self.0.safe.lock() = written;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.refuse(&self.0.broken, nix::errno::Errno::EIO)?;
        let mut written = self.0.written.lock();
        let from = offset as usize;
        let place = written.get_mut(from..from + data.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        place.copy_from_slice(data);
        Ok(())
    }
}

fn store(disk: &Arc<Disk>) -> RedbStore {
    let disk = Arc::clone(disk);
    RedbStore::on(move || Handle(Arc::clone(&disk))).unwrap()
}

struct Rig {
    ledger: Ledger,
    written: mpsc::Receiver<Written>,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new(disk: &Arc<Disk>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::clone(disk);
        let opener: Opener =
            Box::new(move |_: Name, _: &Path, _| Ok(Arc::new(store(&disk)) as Arc<dyn Store>));
        let options = options(dir.path(), StoreKind::Redb);
        let (buckets, _) = Buckets::open_with(&options, NOW, opener).unwrap();
        let (report, written) = mpsc::channel();
        let ledger = Ledger::start(buckets, &options, move |w| report.send(w).unwrap()).unwrap();
        Self { ledger, written, _dir: dir }
    }

    /// What became of a job; that the store fails, or no longer does, is told beside it.
    fn next(&self) -> Written {
        loop {
            match self.written.recv_timeout(Duration::from_secs(20)).unwrap() {
                Written::Fails(_) => {}
                other => return other,
            }
        }
    }

    fn intent(&self, n: u128) -> Written {
        let job = Job::Intent {
            ticket: ticket(),
            space: space(),
            key: key(n),
            intent: intent(1, 9),
            position: None,
        };
        self.ledger.submit(vec![job]);
        self.next()
    }
}

fn an_outcome(n: u128, position: i64) -> Job {
    let outcome = outcome(Status::Committed, 7);
    Job::Outcome { ticket: ticket(), space: space(), key: key(n), entity: entity(), outcome, position }
}

/// Intents until the disk refuses one.
fn fill(rig: &Rig) -> u128 {
    for n in 1_000.. {
        match rig.intent(n) {
            Written::Intents(_) => assert!(n < 100_000, "it never was full"),
            Written::IntentsFailed(tickets) => {
                assert_eq!(tickets.len(), 1);
                return n;
            }
            other => panic!("{other:?}"),
        }
    }
    unreachable!()
}

#[test]
fn an_intent_that_finds_no_space_is_reported_and_later_ones_get_in_again() {
    let disk = Arc::new(Disk::default());
    let rig = Rig::new(&disk);
    rig.ledger.submit(vec![an_outcome(1, 0)]);
    assert!(matches!(rig.next(), Written::Outcomes(_)));
    disk.full.store(true, Ordering::SeqCst);
    let failed = fill(&rig);
    assert!(disk.refused.load(Ordering::SeqCst), "the fault happened");
    assert!(matches!(rig.intent(failed), Written::IntentsFailed(_)), "still no space");
    // What was known is known, the outcome too that no sync has made durable.
    let consult = |n| rig.ledger.consult(&space(), &key(n), entity()).unwrap().0;
    assert!(matches!(consult(1), Prior::Outcome(_)));
    assert!(matches!(consult(1_000), Prior::Intent(_)));
    disk.full.store(false, Ordering::SeqCst);
    assert!(matches!(rig.intent(failed), Written::Intents(_)));
    drop(rig);
    disk.cut_power();
    let store = store(&disk);
    for n in [1, 1_000, failed] {
        assert!(store.get(&space(), &crate::record::posting_key(&key(n))).unwrap().is_some(), "{n}");
    }
    assert_eq!(store.position(&space()).unwrap(), Some(0));
}

#[test]
fn a_disk_that_fails_for_a_while_fails_intents_and_nothing_more() {
    let disk = Arc::new(Disk::default());
    let rig = Rig::new(&disk);
    assert!(matches!(rig.intent(1), Written::Intents(_)));
    disk.broken.store(true, Ordering::SeqCst);
    for n in 2..5 {
        assert!(matches!(rig.intent(n), Written::IntentsFailed(_)));
    }
    assert!(disk.refused.load(Ordering::SeqCst), "the fault happened");
    disk.broken.store(false, Ordering::SeqCst);
    assert!(matches!(rig.intent(5), Written::Intents(_)) || matches!(rig.intent(5), Written::Intents(_)));
    for n in [1, 5] {
        assert!(matches!(rig.ledger.consult(&space(), &key(n), entity()).unwrap().0, Prior::Intent(_)));
    }
}

/// Batches with syncs, then no power. Tells which were acknowledged and which are there.
fn power_cut(lies: bool) -> (i64, Option<i64>) {
    let disk = Arc::new(Disk::default());
    let store = store(&disk);
    let mut acknowledged = -1;
    for batch in 0..50_i64 {
        disk.lies.store(lies && batch > 20, Ordering::SeqCst);
        let changes = (0..4).map(|n| (vec![n, batch as u8], vec![7; 100])).collect();
        store.apply(&space(), changes, Some(batch)).unwrap();
        if batch % 5 == 4 {
            store.sync().unwrap();
            acknowledged = batch;
        }
    }
    store.apply(&space(), vec![(b"never synced".to_vec(), Vec::new())], Some(99)).unwrap();
    // Its last words do not reach the disk.
    disk.broken.store(true, Ordering::SeqCst);
    drop(store);
    disk.broken.store(false, Ordering::SeqCst);
    disk.cut_power();
    let store = self::store(&disk);
    let position = store.position(&space()).unwrap();
    let records = store.len(&space()).unwrap() as i64;
    assert_eq!(records, (position.unwrap_or(-1) + 1) * 4, "records and position are of one batch");
    (acknowledged, position)
}

#[test]
fn a_power_cut_loses_nothing_that_was_synced() {
    let (acknowledged, position) = power_cut(false);
    assert_eq!(position, Some(acknowledged));
    // The check can fail: a disk that only says so loses acknowledged changes.
    let (acknowledged, position) = power_cut(true);
    assert!(position < Some(acknowledged), "{position:?}");
}

#[test]
fn restoring_on_a_failing_disk_is_an_error_and_works_later() {
    let disk = Arc::new(Disk::default());
    let rig = Rig::new(&disk);
    disk.broken.store(true, Ordering::SeqCst);
    let records = [stored(1, Entry::Outcome(outcome(Status::Committed, 7)))];
    let error = rig.ledger.restore(&space(), &records, 0).unwrap_err();
    assert_eq!(error.code(), "SNK-0020");
    disk.broken.store(false, Ordering::SeqCst);
    if rig.ledger.restore(&space(), &records, 0).is_err() {
        rig.ledger.restore(&space(), &records, 0).unwrap();
    }
    assert_eq!(rig.ledger.next_position(&space()).unwrap(), 1);
}
