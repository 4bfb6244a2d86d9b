//! What must have happened at least once, or the run proved nothing.

use std::collections::BTreeMap;

/// Counts of noteworthy events over a whole run.
#[derive(Clone, Default)]
pub struct Sometimes(BTreeMap<&'static str, u64>);

const REQUIRED: [&str; 32] = [
    "crash after the effect and before the outcome",
    "crash with a durable write not yet reported",
    "duplicate stopped by the ledger",
    "duplicate stopped by the target's key",
    "stored failure told again",
    "foreign Intent met",
    "own Intent met after a rebalance",
    "a dead process's request applied late",
    "resolved by a resend",
    "read back: matches",
    "read back: absent",
    "read back: differs",
    "read back: unfinished",
    "read back: several",
    "read back: failed",
    "parked",
    "superseded",
    "rejected",
    "Intent failed",
    "shared Intent failed",
    "sent under a shared Intent",
    "left in the log",
    "read again",
    "window paused",
    "late answer to an orphan",
    "lease expired with work waiting",
    "replaced by a newer version",
    "used up its rate",
    "all slots of the process taken",
    "sent together",
    "refused as a whole",
    "nobody knows of several at once",
];

impl Sometimes {
    pub fn hit(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    pub fn print(&self) {
        for (what, count) in &self.0 {
            println!("{count:>9}  {what}");
        }
    }

    pub fn assert_all_happened(&self) {
        self.assert_happened(&REQUIRED);
    }

    pub fn assert_happened(&self, required: &[&str]) {
        let never: Vec<_> = required.iter().filter(|what| !self.0.contains_key(*what)).collect();
        assert!(never.is_empty(), "the run never saw: {never:?}");
    }
}
