//! How many postings of our partitions are in doubt: counted in the ledger, now and then, on a thread of its own (DBT-1).

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ledger::Ledger;
use telemetry::IntGaugeVec;
use tracing::warn;

/// Between two counts.
const EVERY: Duration = Duration::from_secs(5);

/// Counts, one count at a time.
pub(crate) struct Doubts {
    gauge: IntGaugeVec,
    counted: Option<Instant>,
    counting: Arc<AtomicBool>,
}

impl Doubts {
    pub(crate) fn new(gauge: IntGaugeVec) -> Self {
        Self { gauge, counted: None, counting: Arc::default() }
    }

    /// Counts again, if it is time to. `owned` are topic and key space of each partition whose ledger is complete.
    pub(crate) fn count(&mut self, ledger: &Ledger, owned: impl Iterator<Item = (Arc<str>, Arc<str>)>) {
        let due = self.counted.is_none_or(|at| at.elapsed() >= EVERY);
        if !due || self.counting.swap(true, Ordering::AcqRel) {
            return;
        }
        self.counted = Some(Instant::now());
        let (gauge, counting, ledger) = (self.gauge.clone(), Arc::clone(&self.counting), ledger.clone());
        let owned: Vec<_> = owned.collect();
        tokio::task::spawn_blocking(move || {
            match sums(&ledger, owned) {
                Ok(sums) => {
                    // Topics of which nothing is ours any more are somebody else's to tell.
                    gauge.reset();
                    sums.iter().for_each(|(topic, n)| gauge.with_label_values(&[topic]).set(*n as i64));
                }
                Err(error) => warn!(code = error.code(), %error, "postings in doubt cannot be counted"),
            }
            counting.store(false, Ordering::Release);
        });
    }
}

fn sums(
    ledger: &Ledger,
    owned: Vec<(Arc<str>, Arc<str>)>,
) -> Result<BTreeMap<Arc<str>, usize>, ledger::LedgerError> {
    let mut sums = BTreeMap::new();
    for (topic, space) in owned {
        *sums.entry(topic).or_default() += ledger.in_doubt(&space)?;
    }
    Ok(sums)
}
