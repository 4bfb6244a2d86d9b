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

static VIOLATIONS: Counts = Counts::new();

/// How often each invariant was seen broken.
struct Counts([AtomicU64; InvariantId::ALL.len()]);

impl Counts {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; InvariantId::ALL.len()])
    }

    /// Counts in every build; what follows is the build's choice.
    fn report(&self, id: InvariantId, what: &str, panics: bool) {
        self.0[id as usize].fetch_add(1, Ordering::Relaxed);
        assert!(!panics, "invariant {} violated: {what}", id.id());
    }

    fn all(&self) -> impl Iterator<Item = (InvariantId, u64)> {
        InvariantId::ALL.iter().map(|id| (*id, self.0[*id as usize].load(Ordering::Relaxed)))
    }
}

/// Records that an invariant was seen broken. Use [`check_invariant!`](crate::check_invariant).
pub fn violated(id: InvariantId, what: &str) {
    VIOLATIONS.report(id, what, cfg!(debug_assertions));
}

/// How often each invariant was seen broken in this process.
pub fn violations() -> impl Iterator<Item = (InvariantId, u64)> {
    VIOLATIONS.all()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::panic::catch_unwind;

    use super::*;

    fn broken(counts: &Counts) -> Vec<(InvariantId, u64)> {
        counts.all().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn a_release_build_counts_each_violation_under_its_own_id_and_goes_on() {
        let counts = Counts::new();
        for (times, id) in InvariantId::ALL.iter().enumerate() {
            (0..times).for_each(|_| counts.report(*id, "a test", false));
        }
        let expected = InvariantId::ALL.iter().enumerate().map(|(times, id)| (*id, times as u64)).skip(1);
        assert_eq!(broken(&counts), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_debug_build_counts_it_too_and_panics_with_its_id() {
        let counts = Counts::new();
        let said = catch_unwind(|| counts.report(InvariantId::OwnerSends, "now < lease", true)).unwrap_err();
        let said = said.downcast_ref::<String>().unwrap();
        assert_eq!(said, "invariant OWN-1 violated: now < lease");
        assert_eq!(broken(&counts), [(InvariantId::OwnerSends, 1)]);
    }

    /// In whichever build it runs. No other test of the crate breaks this one.
    #[test]
    fn what_holds_is_not_reported_and_what_does_not_is() {
        let seen = || violations().find(|(id, _)| *id == InvariantId::Bounded).unwrap().1;
        check_invariant!(Bounded, 1 < 2);
        assert_eq!(seen(), 0);
        let ended = catch_unwind(|| check_invariant!(Bounded, 2 < 1));
        assert_eq!((ended.is_err(), seen()), (cfg!(debug_assertions), 1));
    }
}
