//! Breakages on purpose, to show that the tests would notice each of them. Only with the feature `mutants`, which no
//! program of ours enables; without it [`is_broken`] is `false` and costs nothing.

/// One way in which the ledger's rules could be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Intent and outcome of a posting have one key in the changelog, whoever writes them. (With its term in it, the key of
    /// a former owner would still be another one.)
    SingleKey,
    /// The changelog's keys say nothing of the term.
    NoTerm,
    /// An Intent that stands behind an outcome in the changelog counts.
    LateIntentCounts,
}

#[cfg(feature = "mutants")]
mod armed {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ARMED: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// What was armed before is armed again when this is dropped, by a panic too.
    struct Before(Option<Mutant>);

    impl Drop for Before {
        fn drop(&mut self) {
            ARMED.set(self.0);
        }
    }

    impl Mutant {
        /// Every mutant, with the invariant that must notice it.
        pub const ALL: [(Self, &'static str); 3] =
            [(Self::SingleKey, "LED-1"), (Self::NoTerm, "OWN-1"), (Self::LateIntentCounts, "LED-1")];

        /// What comes of `work` with the ledger broken, on this thread alone.
        pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
            let _before = Before(ARMED.replace(Some(self)));
            work()
        }
    }

    pub(crate) fn is_broken(mutant: Mutant) -> bool {
        ARMED.get() == Some(mutant)
    }
}

#[cfg(feature = "mutants")]
pub(crate) use armed::is_broken;

/// Nothing is broken.
#[cfg(not(feature = "mutants"))]
#[inline]
pub(crate) fn is_broken(_: Mutant) -> bool {
    false
}
