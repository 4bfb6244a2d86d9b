//! Waiting for a condition with a deadline.

use std::future::Future;
use std::time::{Duration, Instant};

/// Polls `condition` until it is true.
///
/// # Errors
/// When `within` is over first; the text names `what` was waited for.
pub async fn wait_until<F, C>(within: Duration, what: &str, mut condition: C) -> anyhow::Result<()>
where
    C: FnMut() -> F,
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + within;
    let mut pause = Duration::from_millis(5);
    while !condition().await {
        anyhow::ensure!(Instant::now() < deadline, "waited {within:?} in vain for {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn it_polls_until_the_condition_holds() {
        let mut polls = 0;
        let three = || {
            polls += 1;
            std::future::ready(polls == 3)
        };
        wait_until(Duration::from_secs(5), "a third poll", three).await.unwrap();
        assert_eq!(polls, 3);
    }

    #[tokio::test]
    async fn it_names_what_did_not_come() {
        let error = wait_until(Duration::ZERO, "godot", || std::future::ready(false)).await.unwrap_err();
        assert!(error.to_string().contains("godot"));
    }
}
