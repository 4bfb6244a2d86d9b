//! Time as the caller tells it.

/// One reading of both clocks. The core never reads a clock itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds since some fixed moment of this process; never steps back. Backoff and leases count in it.
    pub mono: u64,
    /// Milliseconds since 1970-01-01 UTC; may step. Only what crosses processes counts in it (Intent deadlines).
    pub wall: i64,
}

impl Now {
    /// Both clocks moved on by `ms` milliseconds.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self { mono: self.mono + ms, wall: self.wall + ms as i64 }
    }
}
