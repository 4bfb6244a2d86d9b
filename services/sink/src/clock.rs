//! The one place where the sink reads the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use delivery::Now;

/// Turns clock readings into the core's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.mono(Instant::now()), wall: wall.as_millis() as i64 }
    }

    /// A moment in the core's monotonic milliseconds.
    pub(crate) fn mono(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_millis() as u64
    }

    /// The moment at which the core's monotonic clock shows `mono`.
    pub(crate) fn instant(&self, mono: u64) -> Instant {
        self.start + Duration::from_millis(mono)
    }
}
