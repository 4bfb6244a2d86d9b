//! From a signal to an orderly end.

use std::{future::Future, io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit status when the drain was cut short by a second signal or by the deadline.
const EXIT_UNCLEAN: i32 = 70;

/// Tells every part of a service to stop taking work. Cloning is cheap; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the shutdown. Further calls do nothing.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether it has begun.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves once it has begun.
    pub fn triggered(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.clone().cancelled_owned()
    }

    /// A shutdown of a part: it begins with this one, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Begins on the first SIGTERM or SIGINT. A second signal, or `drain_deadline` passing after the first, ends the
    /// process at once with status 70: what is not acknowledged by then was never promised.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signals(&self, drain_deadline: Duration) -> io::Result<()> {
        let mut signals =
            Signals { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
        let shutdown = self.clone();
        drop(crate::spawn("signals", async move {
            let name = signals.next().await;
            tracing::info!(signal = name, deadline = ?drain_deadline, "draining");
            shutdown.trigger();
            tokio::select! {
                second = signals.next() => tracing::warn!(signal = second, "second signal, not waiting for the drain"),
                () = tokio::time::sleep(drain_deadline) => tracing::warn!("drain deadline passed"),
            }
            std::process::exit(EXIT_UNCLEAN);
        }));
        Ok(())
    }
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_ends_with_its_parent_and_not_the_other_way_round() {
        let parent = Shutdown::new();
        let (first, second) = (parent.child(), parent.child());
        first.trigger();
        assert!(first.is_triggered() && !parent.is_triggered() && !second.is_triggered());
        parent.trigger();
        second.triggered().await;
    }
}
