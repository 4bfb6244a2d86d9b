//! When faults were on.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::plan::Fault;

/// What a fault causes may become known so much later: backoff, a session time-out, a takeover, a restore.
const AFTERMATH: i64 = 20_000_000;

/// Microseconds since 1970-01-01 UTC.
pub fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The time in which a fault was on.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub round: usize,
    pub fault: Fault,
    pub from: i64,
    pub to: i64,
}

impl Window {
    /// Whether something that began and ended then can come of it.
    pub fn explains(&self, began: i64, ended: i64) -> bool {
        began <= self.to + AFTERMATH && ended >= self.from
    }

    /// Whether something was under way while the fault was on.
    pub fn meets(&self, began: i64, ended: i64) -> bool {
        began <= self.to && ended >= self.from
    }
}

/// Everything that was done to the system, with its time.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    pub windows: Vec<Window>,
    /// When sinks were killed.
    pub kills: Vec<i64>,
    /// Times at which no record could have enough replicas.
    pub unreplicated: Vec<(i64, i64)>,
    /// Faults that were seen to do what they are for, by name.
    pub seen: Vec<&'static str>,
    /// Faults that this cluster cannot have.
    pub impossible: Vec<&'static str>,
}

impl Moments {
    /// The newest round that had begun by then.
    pub fn round_at(&self, moment: i64) -> Option<usize> {
        self.windows.iter().filter(|window| window.from <= moment).map(|window| window.round).max()
    }
}
