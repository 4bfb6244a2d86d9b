//! Tasks with a name, whose panics do not pass in silence.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tracing::Instrument;

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The task panicked; the message is in `message`.
    #[error("task `{name}` panicked: {message}")]
    Panicked {
        /// The name given to [`spawn`].
        name: &'static str,
        /// What the panic said.
        message: String,
    },
    /// The task was aborted, or the runtime went away.
    #[error("task `{name}` was cancelled")]
    Cancelled {
        /// The name given to [`spawn`].
        name: &'static str,
    },
}

/// A running task. Awaiting it yields its result; dropping it leaves it running.
#[derive(Debug)]
pub struct Task<T> {
    name: &'static str,
    watcher: JoinHandle<Result<T, TaskError>>,
    inner: AbortHandle,
}

impl<T> Task<T> {
    /// Stops the task at its next await point.
    pub fn abort(&self) {
        self.inner.abort();
    }

    /// Whether the task has come to its end.
    pub fn is_finished(&self) -> bool {
        self.watcher.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        Pin::new(&mut self.watcher)
            .poll(context)
            .map(|joined| joined.unwrap_or(Err(TaskError::Cancelled { name })))
    }
}

/// Spawns `future` on the current runtime, in a span of its name. A panic is logged at once, as an ERROR, and becomes
/// the task's result; nobody needs to await the task for that.
pub fn spawn<T: Send + 'static>(
    name: &'static str,
    future: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    let task = tokio::spawn(future.instrument(tracing::info_span!("task", name)));
    let inner = task.abort_handle();
    let watcher = tokio::spawn(async move { task.await.map_err(|error| report(name, error)) });
    Task { name, watcher, inner }
}

fn report(name: &'static str, error: JoinError) -> TaskError {
    let Ok(payload) = error.try_into_panic() else { return TaskError::Cancelled { name } };
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    tracing::error!(task = name, message, "task panicked");
    TaskError::Panicked { name, message }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_panics_and_aborts_are_told_apart() {
        assert_eq!(spawn("adds", async { 1 + 1 }).await.unwrap(), 2);

        let error = spawn("breaks", async { assert_eq!(1, 2, "numbers {}", 7) }).await.unwrap_err();
        assert!(
            error.to_string().contains("task `breaks` panicked") && error.to_string().contains("numbers 7")
        );

        let endless = spawn("endless", std::future::pending::<()>());
        endless.abort();
        assert!(matches!(endless.await, Err(TaskError::Cancelled { name: "endless" })));
    }
}
