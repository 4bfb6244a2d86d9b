//! The changelog is the truth: a lost ledger, or an older copy of its folder, becomes the same again by it.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use delivery::{Prior, Status};

use super::{KINDS, NOW, conformance::options, entity, intent, key, outcome, space, stored, ticket};
use crate::{Entry, Job, Ledger, Opened, StoreKind, Stored};

/// A changelog, and whoever writes it.
#[derive(Default)]
struct Changelog(Vec<Stored>);

impl Changelog {
    /// Postings `from..to`, each with its Intent, then with its outcome; every seventh stays open, every eleventh is in
    /// doubt first.
    fn grow(&mut self, from: u128, to: u128) {
        for n in from..to {
            self.0.push(stored(n, Entry::Intent(intent(1, 9_000 + n as i64))));
            if n % 11 == 0 {
                self.0.push(stored(n, Entry::Outcome(outcome(Status::InDoubt, n as i64))));
            }
            if n % 7 != 0 {
                self.0.push(stored(n, Entry::Outcome(outcome(Status::Committed, n as i64))));
            }
        }
    }

    /// What a takeover does: from the store's position to the end.
    fn restore(&self, ledger: &Ledger, space: &Arc<str>) -> usize {
        let start = ledger.next_position(space).unwrap() as usize;
        for (index, records) in self.0[start..].chunks(50).enumerate() {
            let last = start + index * 50 + records.len() - 1;
            ledger.restore(space, records, last as i64).unwrap();
        }
        self.0.len() - start
    }
}

fn open(dir: &Path, kind: StoreKind) -> Ledger {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        // The thread of the last one may still hold the files.
        match Ledger::open(&options(dir, kind), NOW, |_| {}) {
            Ok((ledger, opened)) => {
                assert_eq!(opened, Opened::Fine);
                return ledger;
            }
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error:?}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn an_older_copy_of_the_folder_is_caught_up() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let (now, older) = (dir.path().join("ledger"), dir.path().join("older"));
        let mut changelog = Changelog::default();
        changelog.grow(0, 300);
        let ledger = open(&now, kind);
        changelog.restore(&ledger, &space());
        drop(ledger);
        drop(open(&now, kind));
        std::thread::sleep(Duration::from_millis(100));
        copy(&now, &older);
        changelog.grow(250, 600);
        let ledger = open(&now, kind);
        changelog.restore(&ledger, &space());
        ledger.store.expire(NOW + 20 * 24 * 3_600_000).unwrap(); // another bucket
        changelog.grow(600, 700);
        changelog.restore(&ledger, &space());
        let digest = ledger.digest(&space()).unwrap();
        drop(ledger);
        // Whoever restores a backup: in the place of the folder.
        std::fs::rename(&now, dir.path().join("newer")).unwrap();
        copy(&older, &now);
        let ledger = open(&now, kind);
        assert_ne!(ledger.digest(&space()).unwrap(), digest, "it is older");
        assert!(matches!(ledger.consult(&space(), &key(652), entity()).unwrap().0, Prior::None));
        assert!(changelog.restore(&ledger, &space()) > 0);
        assert_eq!(ledger.digest(&space()).unwrap(), digest, "{kind:?}");
        assert!(matches!(ledger.consult(&space(), &key(652), entity()).unwrap().0, Prior::Outcome(_)));
    }
}

/// LED-2: what the ledger's thread wrote while it delivered, and what another machine makes of the changelog.
#[test]
fn a_restored_ledger_has_the_digest_of_the_one_that_wrote_the_changelog() {
    for kind in KINDS {
        let (written, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut changelog = Changelog::default();
        changelog.grow(0, 300);
        let ledger = open(written.path(), kind);
        for (offset, stored) in changelog.0.iter().enumerate() {
            let (ticket, space, key, position) = (ticket(), space(), stored.key, offset as i64);
            ledger.submit(vec![match &stored.entry {
                Entry::Intent(intent) => {
                    Job::Intent { ticket, space, key, intent: *intent, position: Some(position) }
                }
                Entry::Outcome(outcome) => {
                    let (entity, outcome) = (stored.entity, outcome.clone());
                    Job::Outcome { ticket, space, key, entity, outcome, position }
                }
                Entry::Claim(_) => unreachable!("nobody claims here"),
            }]);
        }
        ledger.settle();
        let before = ledger.digest(&space()).unwrap();
        let ledger = open(restored.path(), kind);
        assert_ne!(ledger.digest(&space()).unwrap(), before, "nothing is there yet");
        assert_eq!(changelog.restore(&ledger, &space()), changelog.0.len());
        assert_eq!(ledger.digest(&space()).unwrap(), before, "{kind:?}");
    }
}

/// The same for every store and however it lies in buckets.
#[test]
fn a_restored_ledger_has_the_digest_of_the_lost_one() {
    let mut changelog = Changelog::default();
    changelog.grow(0, 500);
    let mut digests = Vec::new();
    for kind in KINDS {
        for new_bucket in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let ledger = open(dir.path(), kind);
            changelog.restore(&ledger, &space());
            if new_bucket {
                ledger.store.begin(NOW + 1).unwrap();
                ledger.restore(&space(), &changelog.0[100..], 600).unwrap();
            }
            digests.push(ledger.digest(&space()).unwrap());
        }
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    let mut other = Changelog::default();
    other.grow(0, 501);
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), StoreKind::Redb);
    other.restore(&ledger, &space());
    assert_ne!(ledger.digest(&space()).unwrap(), digests[0], "one posting more");
}
