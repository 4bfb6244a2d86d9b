//! Completing the local ledger from the changelogs before anything is delivered.

use std::{sync::Arc, time::Duration};

use kafka::{AssignmentId, Met, Range, RangeReader, Settings};
use ledger::{Ledger, Stored};
use tracing::info;

use crate::{crash, mutant};

/// Records applied at a time.
const BATCH: usize = 2_000;
/// How long the brokers may keep silent in the middle of a changelog.
const PATIENCE: Duration = Duration::from_secs(30);

/// One partition to restore.
pub(crate) struct Wanted {
    pub(crate) id: AssignmentId,
    pub(crate) changelog: Arc<str>,
    pub(crate) partition: i32,
    /// Its key space in the ledger.
    pub(crate) space: Arc<str>,
    /// The next changelog offset that the ledger had not seen when the partition was given to us.
    pub(crate) known: i64,
    /// The offset of our claim in the changelog, which was sent after that.
    pub(crate) claimed: i64,
}

/// Reads the changelogs from where the local ledger ends to where they end, and reports each partition when it is
/// complete, with the number of records applied. Blocking.
///
/// Our claims are in the changelogs, so the ends that are read here are behind them: what a former owner appends later
/// counts for nobody.
pub(crate) fn restore(
    settings: &Settings,
    ledger: &Ledger,
    wanted: &[Wanted],
    report: impl Fn(AssignmentId, Result<usize, String>),
) {
    if mutant::is_armed("mutant_skip_restore") {
        return wanted.iter().for_each(|w| report(w.id, Ok(0)));
    }
    ledger.settle();
    let mut restores: Vec<Restore<'_>> = Vec::with_capacity(wanted.len());
    let result = RangeReader::new(settings).map_err(|e| chain(&e)).and_then(|reader| {
        let ranges = wanted
            .iter()
            .map(|w| {
                restores.push(Restore {
                    ledger,
                    wanted: w,
                    batch: Vec::new(),
                    last: -1,
                    applied: 0,
                    done: false,
                });
                range(&reader, ledger, w)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut failure = Ok(());
        reader
            .read(&ranges, PATIENCE, |index, met| {
                let restore = &mut restores[index];
                failure = restore.meet(met);
                if failure.is_ok() && restore.done {
                    report(restore.wanted.id, Ok(restore.applied));
                }
                failure.is_ok()
            })
            .map_err(|e| chain(&e))?;
        failure
    });
    if let Err(reason) = result {
        let done = |id| restores.iter().any(|r| r.wanted.id == id && r.done);
        for wanted in wanted.iter().filter(|w| !done(w.id)) {
            report(wanted.id, Err(reason.clone()));
        }
    } else {
        let records: usize = restores.iter().map(|r| r.applied).sum();
        info!(partitions = wanted.len(), records, "ledger restored");
    }
}

fn range(reader: &RangeReader, ledger: &Ledger, wanted: &Wanted) -> Result<Range, String> {
    let Wanted { changelog, partition, space, known, claimed, .. } = wanted;
    if known > claimed {
        return Err(format!(
            "the local ledger knows {changelog}/{partition} up to offset {known}, but the changelog ended at {claimed}: the \
             topic was deleted or belongs to another cluster; restore it, or move the ledger's folder away"
        ));
    }
    let (low, end) = reader.bounds(changelog, *partition).map_err(|e| chain(&e))?;
    let next = ledger.next_position(space).map_err(|e| chain(&e))?;
    Ok(Range { topic: Arc::clone(changelog), partition: *partition, start: next.max(low), end })
}

struct Restore<'a> {
    ledger: &'a Ledger,
    wanted: &'a Wanted,
    batch: Vec<Stored>,
    /// The offset of the newest record in the batch.
    last: i64,
    applied: usize,
    done: bool,
}

impl Restore<'_> {
    fn meet(&mut self, met: Met<'_>) -> Result<(), String> {
        match met {
            Met::End => {
                self.done = true;
                self.apply()
            }
            Met::Record(record) => {
                crash::point("mid_restore");
                self.last = record.offset;
                if let (Some(key), Some(value)) = (record.key, record.value) {
                    let stored = Stored::from_changelog(key, value).map_err(|error| {
                        let Wanted { changelog, partition, .. } = self.wanted;
                        format!("{changelog}/{partition} offset {}: {}", record.offset, chain(&error))
                    })?;
                    self.batch.push(stored);
                }
                if self.batch.len() >= BATCH { self.apply() } else { Ok(()) }
            }
        }
    }

    fn apply(&mut self) -> Result<(), String> {
        if self.last < 0 {
            return Ok(());
        }
        self.applied += self.batch.len();
        let applied = self.ledger.restore(&self.wanted.space, &self.batch, self.last);
        self.batch.clear();
        applied.map_err(|e| chain(&e))
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
