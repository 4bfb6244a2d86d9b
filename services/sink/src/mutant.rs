//! Breakages of the protocol on purpose, to show that tests/faults would notice each of them. For tests alone: only with the
//! feature `failpoints`, and only where `FAILPOINTS` names them. Without it all of this is nothing. Those of the decision core are in
//! `delivery`.

use std::sync::Arc;

use target::Posting;

/// Whether the environment's `FAILPOINTS` asks for this breakage: `mutant_skip_restore=return`.
#[inline]
pub(crate) fn is_armed(name: &'static str) -> bool {
    #[cfg(feature = "failpoints")]
    fail::fail_point!(name, |_| true);
    #[cfg(not(feature = "failpoints"))]
    let _: &str = name;
    false
}

/// What an attempt sends: the posting as it is, or under a key of its own.
#[inline]
pub(crate) fn sent(posting: &Arc<Posting>) -> Arc<Posting> {
    #[cfg(feature = "failpoints")]
    if is_armed("mutant_new_key") {
        return Arc::new(posting.under_a_new_key());
    }
    Arc::clone(posting)
}
