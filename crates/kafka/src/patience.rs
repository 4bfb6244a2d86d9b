//! Asking again while a leader or coordinator is being made or moves, which librdkafka does not do for questions.

use std::time::{Duration, Instant};

use rdkafka::{
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};

/// The wait before a question is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until the answer is not a passing one, or `patience` is over.
pub(crate) fn patiently<T>(patience: Duration, ask: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    let start = Instant::now();
    loop {
        match ask() {
            Err(error) if moves(&error) && start.elapsed() < patience => std::thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

fn moves(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, LeaderNotAvailable, NotCoordinator,
        NotLeaderForPartition, WaitingForCoordinator,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(
            CoordinatorLoadInProgress
                | CoordinatorNotAvailable
                | LeaderNotAvailable
                | NotCoordinator
                | NotLeaderForPartition
                | WaitingForCoordinator
        )
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::Cell;

    use super::*;

    /// Answers `error` so many times, then 7. Also tells how often it was asked.
    fn ask(error: RDKafkaErrorCode, times: u32, patience: Duration) -> (KafkaResult<u32>, u32) {
        let asked = Cell::new(0);
        let answer = patiently(patience, || {
            asked.set(asked.get() + 1);
            if asked.get() > times { Ok(7) } else { Err(KafkaError::MetadataFetch(error)) }
        });
        (answer, asked.get())
    }

    #[test]
    fn a_leader_that_is_being_made_is_waited_for() {
        let (answer, asked) = ask(RDKafkaErrorCode::NotLeaderForPartition, 2, Duration::from_secs(10));
        assert_eq!((answer.unwrap(), asked), (7, 3));
    }

    #[test]
    fn not_for_ever_and_nothing_else_is() {
        let (answer, asked) = ask(RDKafkaErrorCode::LeaderNotAvailable, 1_000, Duration::ZERO);
        assert_eq!((answer.is_err(), asked), (true, 1));
        let (answer, asked) = ask(RDKafkaErrorCode::UnknownTopicOrPartition, 1, Duration::from_secs(10));
        assert_eq!((answer.is_err(), asked), (true, 1));
    }
}
