//! The idempotency keys an account remembers.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use ahash::AHashMap;

use crate::{answer::Answer, refusal::Refusal};

/// What a key says about a request.
pub(crate) enum Seen {
    /// New: it is now in flight until [`Keys::finish`] or [`Keys::release`].
    New,
    /// Answered before, with this.
    Answered(Answer),
}

struct Entry {
    fingerprint: u64,
    first_use: Instant,
    answer: Option<Answer>,
}

/// Keys with the answers they got. A key is forgotten a window after its first use, unless still in flight.
#[derive(Default)]
pub(crate) struct Keys {
    entries: AHashMap<Arc<str>, Entry>,
    answered: VecDeque<(Instant, Arc<str>)>,
}

impl Keys {
    /// Takes note of a key. `fingerprint` stands for the whole request but the key.
    pub(crate) fn begin(
        &mut self,
        key: &Arc<str>,
        fingerprint: u64,
        now: Instant,
        window: Duration,
    ) -> Result<Seen, Refusal> {
        self.forget(now, window);
        if let Some(entry) = self.entries.get(key)
            && (entry.answer.is_none() || now.duration_since(entry.first_use) < window)
        {
            return match &entry.answer {
                _ if entry.fingerprint != fingerprint => Err(Refusal::KeyReused),
                None => Err(Refusal::InFlight),
                Some(answer) => Ok(Seen::Answered(answer.clone())),
            };
        }
        self.entries.insert(Arc::clone(key), Entry { fingerprint, first_use: now, answer: None });
        Ok(Seen::New)
    }

    /// Stores the answer of a key in flight.
    pub(crate) fn finish(&mut self, key: &Arc<str>, answer: Answer) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some(answer);
            self.answered.push_back((entry.first_use, Arc::clone(key)));
        }
    }

    /// Forgets a key in flight: its request was refused, the next one with it starts anew.
    pub(crate) fn release(&mut self, key: &Arc<str>) {
        self.entries.remove(key);
    }

    /// Drops what is past the window. Keys that took long leave a little later than due; `begin` checks each one's time.
    fn forget(&mut self, now: Instant, window: Duration) {
        while let Some((first_use, _)) = self.answered.front()
            && now.duration_since(*first_use) >= window
        {
            if let Some((first_use, key)) = self.answered.pop_front()
                && self.entries.get(&key).is_some_and(|e| e.first_use == first_use && e.answer.is_some())
            {
                self.entries.remove(&key);
            }
        }
    }
}
