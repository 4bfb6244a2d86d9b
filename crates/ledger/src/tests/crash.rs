//! A writing process is killed at random moments: what it was told is durable must be there.
//!
//! The writer is this test binary again, told by an environment variable where to write.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

use super::{NOW, conformance::options};
use crate::{Opened, Store as _, StoreKind, buckets::Buckets};

const DIR: &str = "COUNTERFOIL_CRASH_DIR";
/// Leaves the sync out, to see that this suite fails without it.
const NO_SYNC: &str = "COUNTERFOIL_CRASH_WITHOUT_SYNC";
const ROUNDS: u32 = 15;
/// Keys of a batch.
const KEYS: u8 = 8;
/// Batches before a new bucket begins.
const BUCKET: i64 = 40;

fn space() -> Arc<str> {
    Arc::from("space")
}

fn key(batch: i64, n: u8) -> Vec<u8> {
    [&batch.to_be_bytes()[..], &[n]].concat()
}

fn value(batch: i64, n: u8) -> Vec<u8> {
    vec![batch as u8 ^ n; 200]
}

/// Writes batch after batch and says which are durable, until it is killed.
fn write_until_killed(dir: &Path, kind: StoreKind) {
    let (buckets, opened) = Buckets::open(&options(dir, kind), NOW).unwrap();
    assert_eq!(opened, Opened::Fine);
    let sync = std::env::var_os(NO_SYNC).is_none();
    let first = buckets.position(&space()).unwrap().map_or(0, |p| p + 1);
    let mut out = std::io::stdout().lock();
    for batch in first.. {
        let changes = (0..KEYS).map(|n| (key(batch, n), value(batch, n))).collect();
        buckets.apply(&space(), changes, Some(batch)).unwrap();
        if sync {
            buckets.sync().unwrap();
        }
        writeln!(out, "acknowledged {batch}").unwrap();
        out.flush().unwrap();
        if batch % BUCKET == BUCKET - 1 {
            buckets.begin(NOW + batch).unwrap();
        }
    }
}

/// From when on a writer has its time to live.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    /// It may be killed while it opens what is there.
    Start,
    /// However slow the machine is, it comes to write.
    FirstWrite,
}

/// For a writer to come to write on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the writer and kills it after `delay`. Returns the last batch that it acknowledged.
fn kill_a_writer(test: &str, dir: &Path, from: From, delay: Duration) -> Option<i64> {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let (first, writes) = mpsc::channel();
    let reader = std::thread::Builder::new()
        .name("numbers".into())
        .spawn(move || {
            let numbers = lines.map_while(Result::ok).filter_map(|line| {
                // The test harness's own words may stand before it.
                line.rsplit_once("acknowledged ").and_then(|(_, n)| n.parse::<i64>().ok())
            });
            numbers.inspect(|_| first.send(()).unwrap_or_default()).last()
        })
        .unwrap();
    if from == From::FirstWrite {
        writes.recv_timeout(PATIENCE).expect("the writer comes to write");
    }
    std::thread::sleep(delay);
    writer.kill().unwrap(); // SIGKILL
    writer.wait().unwrap();
    reader.join().unwrap()
}

fn check(dir: &Path, kind: StoreKind, acknowledged: Option<i64>) {
    let (buckets, opened) = Buckets::open(&options(dir, kind), NOW).unwrap();
    assert_eq!(opened, Opened::Fine, "a kill is no damage");
    let position = buckets.position(&space()).unwrap();
    assert!(position >= acknowledged, "acknowledged {acknowledged:?}, there is {position:?}");
    for batch in 0..=position.unwrap_or(-1) {
        for n in 0..KEYS {
            assert_eq!(
                buckets.get(&space(), &key(batch, n)).unwrap(),
                Some(value(batch, n)),
                "batch {batch}"
            );
        }
    }
    let count = (position.unwrap_or(-1) + 1) as usize * usize::from(KEYS);
    assert_eq!(buckets.len(&space()).unwrap(), count, "records and position are of one batch");
}

fn suite(test: &str, kind: StoreKind) {
    if let Some(dir) = std::env::var_os(DIR) {
        write_until_killed(Path::new(&dir), kind);
    }
    let seed = std::env::var("COUNTERFOIL_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("COUNTERFOIL_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let (mut last, mut wrote) = (None, 0);
    for round in 0..ROUNDS {
        let delay = Duration::from_millis(random.u64(5..350));
        let from = if round % 3 == 0 { From::Start } else { From::FirstWrite };
        let acknowledged = kill_a_writer(test, dir.path(), from, delay);
        wrote += u32::from(acknowledged > last);
        println!("round {round}: killed {delay:?} after {from:?}, acknowledged {acknowledged:?}");
        last = last.max(acknowledged);
        check(dir.path(), kind, last);
    }
    assert!(wrote >= ROUNDS * 2 / 3, "only {wrote} of {ROUNDS} writers came to write anything");
    assert!(last > Some(BUCKET), "no bucket was ever left");
}

#[test]
fn sled_keeps_what_it_acknowledged() {
    suite("tests::crash::sled_keeps_what_it_acknowledged", StoreKind::Sled);
}

#[test]
fn redb_keeps_what_it_acknowledged() {
    suite("tests::crash::redb_keeps_what_it_acknowledged", StoreKind::Redb);
}
