//! The faults an account was told to have: which request they hit.

use std::time::{Duration, Instant};

use crate::settings::Settings;

/// What is to be done with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Apply,
    /// 503, nothing applied.
    Fail,
    /// Close the connection now, apply after this time.
    ApplyLate(Duration),
}

/// The account's random choices and its throttle.
pub(crate) struct Faults {
    dice: fastrand::Rng,
    second_began: Option<Instant>,
    in_this_second: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            dice: fastrand::Rng::with_seed(Settings::default().seed),
            second_began: None,
            in_this_second: 0,
        }
    }
}

impl Faults {
    pub(crate) fn seed(&mut self, seed: u64) {
        self.dice.seed(seed);
    }

    /// Whether a request is within the limit of its second. 0 is no limit.
    pub(crate) fn within(&mut self, per_second: u32, now: Instant) -> bool {
        if per_second == 0 {
            return true;
        }
        if self.second_began.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1)) {
            self.second_began = Some(now);
            self.in_this_second = 0;
        }
        self.in_this_second = self.in_this_second.saturating_add(1);
        self.in_this_second <= per_second
    }

    /// How many requests its second still has. 0 is no limit, of which nothing is left to tell.
    pub(crate) fn left(&self, per_second: u32, now: Instant) -> Option<u32> {
        let fresh = self.second_began.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1));
        let used = if fresh { 0 } else { self.in_this_second };
        (per_second > 0).then(|| per_second.saturating_sub(used))
    }

    pub(crate) fn delay(&mut self, settings: &Settings) -> Duration {
        let jitter = if settings.jitter_ms == 0 { 0 } else { self.dice.u64(0..=settings.jitter_ms) };
        Duration::from_millis(settings.latency_ms + jitter)
    }

    /// Decides over a write that will be carried out unless it fails.
    pub(crate) fn verdict(&mut self, settings: &mut Settings) -> Verdict {
        if self.hits(&mut settings.fail_next, settings.fail_rate) {
            return Verdict::Fail;
        }
        if settings.apply_late_ms > 0 && self.drops_answer(settings) {
            return Verdict::ApplyLate(Duration::from_millis(settings.apply_late_ms));
        }
        Verdict::Apply
    }

    /// Decides whether the answer to an applied write is lost.
    pub(crate) fn drops_answer(&mut self, settings: &mut Settings) -> bool {
        self.hits(&mut settings.drop_answer_next, settings.drop_answer_rate)
    }

    fn hits(&mut self, next: &mut u64, rate: f64) -> bool {
        if *next > 0 {
            *next -= 1;
            return true;
        }
        rate > 0.0 && self.dice.f64() < rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let mut settings = Settings { fail_rate: 0.5, ..Settings::default() };
        let mut run = |seed| {
            let mut faults = Faults::default();
            faults.seed(seed);
            (0..64).map(|_| faults.verdict(&mut settings)).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn the_throttle_opens_again_with_the_next_second() {
        let mut faults = Faults::default();
        let start = Instant::now();
        let allowed = (0..5).filter(|_| faults.within(3, start)).count();
        assert_eq!(allowed, 3);
        assert!(!faults.within(3, start + Duration::from_millis(999)));
        assert!(faults.within(3, start + Duration::from_secs(1)));
        assert!((0..100).all(|_| faults.within(0, start)));
    }

    #[test]
    fn what_is_left_of_a_second_is_told() {
        let mut faults = Faults::default();
        let start = Instant::now();
        assert_eq!((faults.left(0, start), faults.left(3, start)), (None, Some(3)));
        assert!(faults.within(3, start) && faults.within(3, start));
        assert_eq!(faults.left(3, start), Some(1));
        assert!(faults.within(3, start) && !faults.within(3, start));
        assert_eq!(faults.left(3, start), Some(0));
        assert_eq!(faults.left(3, start + Duration::from_secs(1)), Some(3));
    }
}
