//! What to do next when the answer was not simply yes.

use event::EventId;

/// What the target is able to do; decides how an unknown outcome is resolved (GUARANTEES.md, G2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// K: honours an idempotency key for `window_ms` milliseconds.
    Keyed {
        /// How long the target remembers a key.
        window_ms: u64,
        /// Whether it can also be read by the external id, for when the window is over.
        readable: bool,
    },
    /// U: can be written and read by the external id.
    Upsert,
    /// N: neither.
    Neither(OnUnknown),
}

/// What a class N route does when nobody knows whether the target applied a posting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnUnknown {
    /// At most one effect: the posting becomes InDoubt.
    #[default]
    Park,
    /// At least one effect: it is sent again, and flagged.
    Resend,
}

/// What to do when a look-up after an unknown outcome finds a document that says something else than the posting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnExisting {
    /// Write over it: nothing newer of ours was sent, so what stands there is older.
    #[default]
    Overwrite,
    /// Touch nothing: somebody else may have written it. The posting becomes InDoubt.
    Verify,
    /// Leave it as it is: that the document exists is all that is asked for. The posting is Committed.
    Skip,
}

/// Which Intents a core asks for (docs/adr/0014).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intents {
    /// One before each attempt.
    Each,
    /// One for a range of records, where the class makes a repeat harmless: after a takeover every record of the range
    /// without an outcome counts as possibly sent. One before each attempt for everything else.
    Shared {
        /// The longest request at a target of class U, milliseconds: it must be over when the lease is, and when a drain
        /// is, for the next owner knows no deadline to wait for.
        upsert_ms: u64,
    },
}

impl Intents {
    /// Whether an attempt goes without an Intent of its own. `age_ms` is how old the event is: an old one could outlive
    /// its key before a successor resolves it, who would have nothing better than the event's age to go by.
    pub fn is_shared(self, class: Class, timeout_ms: u64, age_ms: u64) -> bool {
        let Self::Shared { upsert_ms } = self else { return false };
        match class {
            Class::Keyed { .. } => class.resolve(age_ms) == Resolution::Resend,
            Class::Upsert => timeout_ms <= upsert_ms,
            Class::Neither(_) => false,
        }
    }
}

/// How an unknown outcome is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Send the same bytes with the same key again.
    Resend,
    /// Look at the target first.
    ReadBack,
    /// Leave it to an operator.
    Park,
}

impl Class {
    /// How it is resolved where a repeat of the same request is known to be useless.
    pub(crate) fn without_key(self) -> Resolution {
        match self {
            Self::Keyed { readable: true, .. } | Self::Upsert => Resolution::ReadBack,
            Self::Keyed { readable: false, .. } | Self::Neither(_) => Resolution::Park,
        }
    }

    /// How an unknown outcome is resolved when the first attempt was `age_ms` milliseconds ago.
    pub(crate) fn resolve(self, age_ms: u64) -> Resolution {
        match self {
            // Half the window: the answer to a resend must still arrive inside it.
            Self::Keyed { window_ms, .. } if age_ms < window_ms / 2 => Resolution::Resend,
            Self::Keyed { readable: true, .. } | Self::Upsert => Resolution::ReadBack,
            Self::Keyed { readable: false, .. } | Self::Neither(OnUnknown::Park) => Resolution::Park,
            Self::Neither(OnUnknown::Resend) => Resolution::Resend,
        }
    }
}

/// The wait before retry number `retry` (1 for the first): 100 ms doubling to 30 s, minus up to a quarter so that
/// lanes that failed together do not come back together. The jitter comes from the event id: same event, same wait.
pub fn backoff_ms(retry: u32, event: EventId) -> u64 {
    const FIRST_MS: u64 = 100;
    const MOST_MS: u64 = 30_000;
    let full = (FIRST_MS << retry.saturating_sub(1).min(16)).min(MOST_MS);
    let seed = event.0.as_u64_pair().1.wrapping_add(u64::from(retry)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    full - full / 4 * (seed >> 56) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trusted_for_half_its_window_only() {
        let keyed = |readable| Class::Keyed { window_ms: 1_000, readable };
        assert_eq!(keyed(true).resolve(499), Resolution::Resend);
        assert_eq!(keyed(true).resolve(500), Resolution::ReadBack);
        assert_eq!(keyed(false).resolve(500), Resolution::Park);
        assert_eq!(Class::Upsert.resolve(0), Resolution::ReadBack);
        assert_eq!(Class::Neither(OnUnknown::Park).resolve(0), Resolution::Park);
        assert_eq!(Class::Neither(OnUnknown::Resend).resolve(0), Resolution::Resend);
    }

    #[test]
    fn backoff_grows_to_its_cap_and_no_further() {
        let event = EventId(uuid::Uuid::from_u128(7));
        let waits: Vec<u64> = (1..40).map(|retry| backoff_ms(retry, event)).collect();
        assert!((75..=100).contains(&waits[0]), "{}", waits[0]);
        assert!(waits.iter().all(|w| *w <= 30_000));
        assert!(waits[38] >= 22_500);
    }
}
