//! Points at which this process dies as if its machine did: nothing is flushed, nobody is told. For tests alone: only with
//! the feature `failpoints`, which nothing that is shipped enables. Without it all of this is nothing.

/// Dies here if the environment's `FAILPOINTS` says so: `polled=1*off->return` the second time (docs.rs/fail has the grammar).
#[inline]
pub(crate) fn point(name: &'static str) {
    #[cfg(feature = "failpoints")]
    fail::fail_point!(name, |_| die(name));
    #[cfg(not(feature = "failpoints"))]
    let _: &str = name;
}

/// The points that `FAILPOINTS` names are armed until the answer is dropped.
#[cfg(feature = "failpoints")]
pub(crate) fn arm() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}

/// By SIGABRT, so that it is told from every other end.
#[cfg(feature = "failpoints")]
fn die(name: &str) {
    eprintln!("crash point reached: {name}");
    std::process::abort();
}
