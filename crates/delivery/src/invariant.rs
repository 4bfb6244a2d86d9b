//! The invariants of GUARANTEES.md that can be checked while running.
//!
//! A violated invariant panics in debug builds, so that no test passes over it, and is counted in release builds,
//! where `counterfoil_sink_invariant_violations_count{id}` must stay 0.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! invariants {
    ($($(#[$doc:meta])* $name:ident => $id:literal),+ $(,)?) => {
        /// The ids that GUARANTEES.md, the tests, the metrics and the code share.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum InvariantId { $($(#[$doc])* $name),+ }

        impl InvariantId {
            /// Every invariant.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The id as GUARANTEES.md writes it.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),+ }
            }
        }
    };
}

invariants! {
    /// Every request has an earlier durable Intent with the same hash.
    IntentBeforeSend => "INT-1",
    /// A terminal outcome never changes.
    TerminalIsFinal => "LED-1",
    /// The committed offset never passes an event without an outcome.
    ContiguousPrefix => "OFF-1",
    /// Effects of one entity apply in non-decreasing source version.
    VersionOrder => "ORD-1",
    /// Only the owner of a partition sends for it.
    OwnerSends => "OWN-1",
    /// A rejection has its dead letter first.
    DeadLetterFirst => "DLQ-1",
    /// In-flight requests stay within their limit.
    Bounded => "BND-1",
}

static VIOLATIONS: [AtomicU64; InvariantId::ALL.len()] =
    [const { AtomicU64::new(0) }; InvariantId::ALL.len()];

/// Records that an invariant was seen broken. Use [`check_invariant!`](crate::check_invariant).
pub fn violated(id: InvariantId, what: &str) {
    VIOLATIONS[id as usize].fetch_add(1, Ordering::Relaxed);
    debug_assert!(false, "invariant {} violated: {what}", id.id());
}

/// How often each invariant was seen broken in this process.
pub fn violations() -> impl Iterator<Item = (InvariantId, u64)> {
    InvariantId::ALL.iter().map(|id| (*id, VIOLATIONS[*id as usize].load(Ordering::Relaxed)))
}

/// Checks an invariant in every build.
#[macro_export]
macro_rules! check_invariant {
    ($id:ident, $holds:expr) => {
        if !$holds {
            $crate::invariant::violated($crate::invariant::InvariantId::$id, stringify!($holds));
        }
    };
}
