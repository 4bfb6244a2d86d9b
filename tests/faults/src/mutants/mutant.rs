//! The breakages that are not of the decision core, and what must notice each of them.

use contract::OutcomeStatus;

use crate::class::Class;

/// A way in which a sink is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Every attempt has an idempotency key of its own.
    NewKey,
    /// A takeover does not read the changelog.
    SkipRestore,
}

impl Mutant {
    pub const ALL: [Self; 2] = [Self::NewKey, Self::SkipRestore];

    pub fn parse(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|mutant| mutant.name() == name).ok_or(format!("one of {names}"))
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::NewKey => "new_key",
            Self::SkipRestore => "skip_restore",
        }
    }

    /// What `FAILPOINTS` must say for a sink to be broken in this way.
    pub fn failpoint(self) -> String {
        format!("mutant_{}=return", self.name())
    }

    /// The class whose promise hangs on what is broken: K on the key, N on what is known of earlier attempts.
    pub const fn class(self) -> Class {
        match self {
            Self::NewKey => Class::Keyed,
            Self::SkipRestore => Class::Neither,
        }
    }

    /// Whether the sink whose answer is lost is killed, and its ledger removed, so that its successor depends on the changelog.
    /// Otherwise it waits for the answer in vain, and tries again.
    pub const fn is_of_takeover(self) -> bool {
        matches!(self, Self::SkipRestore)
    }

    /// The invariants of which one must notice it.
    pub const fn invariants(self) -> &'static [&'static str] {
        match self {
            Self::NewKey => &["EFF-1"],
            Self::SkipRestore => &["EFF-2"],
        }
    }

    /// How the event ends whose answer is lost, where nothing is broken; with one effect.
    pub const fn sound_outcome(self) -> OutcomeStatus {
        match self {
            Self::NewKey => OutcomeStatus::Committed,
            Self::SkipRestore => OutcomeStatus::InDoubt,
        }
    }

    /// How often it is written then: with a key it is repeated, without one it must not be.
    pub const fn sound_writes(self) -> usize {
        match self {
            Self::NewKey => 2,
            Self::SkipRestore => 1,
        }
    }
}
