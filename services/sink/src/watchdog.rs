//! Ends a process whose loop does not come to its next turn any more: its disk does not answer, or something waits for ever. Its
//! membership of the group is kept up by a thread of its own, so nobody else would be given its partitions.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Looks without a beat until a loop is taken for stuck. A process that was stopped as a whole and goes on has missed one.
const LOOKS: u32 = 10;

/// What a loop tells at each of its turns. It is watched for as long as it exists.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Calls `stuck` once the loop has not beaten for `limit`. Nothing is watched where that is 0.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn watch(pulse: &Pulse, limit: Duration, stuck: impl FnOnce() + Send + 'static) -> io::Result<()> {
    if limit.is_zero() {
        return Ok(());
    }
    let watched = Arc::downgrade(&pulse.0);
    let work = move || {
        if stands_still(&watched, limit / LOOKS) {
            stuck();
        }
    };
    thread::Builder::new().name("watchdog".into()).spawn(work).map(drop)
}

/// Returns when the loop is stuck, or, with false, when it has ended.
fn stands_still(watched: &Weak<AtomicU64>, step: Duration) -> bool {
    let (mut last, mut missed) = (0, 0);
    while missed < LOOKS {
        thread::sleep(step);
        let Some(beats) = watched.upgrade().map(|beats| beats.load(Ordering::Relaxed)) else { return false };
        missed = if beats == last { missed + 1 } else { 0 };
        last = beats;
    }
    true
}

/// Ends the process at once: whatever it waits for, an orderly end would wait for it as well. Whoever is given its partitions
/// resolves what was under way, as after any crash.
pub(crate) fn end() {
    let what = "SNK-0045 the sink's loop stands still: the process ends, so that others get its partitions";
    tracing::error!(code = "SNK-0045", "{what}");
    eprintln!("error: {what}"); // the log may be waiting for the same thing
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    fn watched(pulse: &Pulse, limit: Duration) -> mpsc::Receiver<Instant> {
        let (tell, told) = mpsc::channel();
        watch(pulse, limit, move || tell.send(Instant::now()).unwrap_or_default()).unwrap_or_default();
        told
    }

    #[test]
    fn a_loop_that_stands_still_is_noticed_and_one_that_goes_on_is_not() {
        let pulse = Pulse::default();
        let told = watched(&pulse, LIMIT);
        let mut last = Instant::now();
        let until = last + 2 * LIMIT;
        while last < until {
            assert!(told.try_recv().is_err(), "it beats");
            thread::sleep(LIMIT / 50);
            pulse.beat();
            last = Instant::now();
        }
        let noticed = told.recv_timeout(10 * LIMIT);
        assert!(noticed.is_ok_and(|at| at > last + LIMIT * 8 / 10), "{noticed:?} after {last:?}");
    }

    #[test]
    fn a_loop_that_has_ended_is_not_stuck_and_nothing_is_watched_without_a_limit() {
        let (ended, unwatched) = (Pulse::default(), Pulse::default());
        let told = watched(&ended, LIMIT / 10);
        drop(ended);
        assert_eq!(told.recv(), Err(mpsc::RecvError), "the watcher has ended with it");
        assert_eq!(watched(&unwatched, Duration::ZERO).recv(), Err(mpsc::RecvError));
    }
}
