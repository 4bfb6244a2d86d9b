//! The loop of a member's thread: obey, commit, fetch.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer as _},
    message::BorrowedMessage,
};
use tracing::warn;

use crate::{
    Fetched, GroupEvent, GroupOptions,
    consumer::{ASK, Context, Told},
    label::Label,
    reader::is_passing,
};

/// How long the thread waits for a record before it looks for commands.
const POLL: Duration = Duration::from_millis(10);
/// Most records handed over at a time.
const BATCH: usize = 512;
/// Records handed over and not yet taken in, beyond which nothing more is fetched.
const MAX_OUTSTANDING: usize = 8_192;

/// What the member's thread runs.
pub(crate) struct PollLoop {
    pub(crate) consumer: BaseConsumer<Context>,
    pub(crate) options: GroupOptions,
    pub(crate) outstanding: Arc<AtomicUsize>,
    /// The group's session time-out.
    pub(crate) session: Duration,
}

impl PollLoop {
    pub(crate) fn run(self) {
        let mut last_commit = Instant::now();
        let mut seen = 0;
        loop {
            let told = self.consumer.context().obey(&self.consumer);
            if told == Told::Abandoned {
                warn!("the consumer was given up, it leaves its group after a session time-out");
                std::thread::sleep(self.session);
            }
            let leave = told != Told::GoOn;
            let assignments = self.consumer.context().assignments.lock().generation();
            // A new assignment has no lease before its first commit is confirmed.
            if leave || assignments != seen || last_commit.elapsed() >= self.options.commit_every {
                seen = assignments;
                last_commit = Instant::now();
                self.consumer.context().commit(&self.consumer);
            }
            if leave {
                break;
            }
            self.fetch();
        }
        // Unsubscribing revokes: the rendezvous above drains and commits.
        self.consumer.unsubscribe();
        let end = Instant::now() + self.options.drain + ASK;
        while !self.consumer.context().assignments.lock().is_empty() && Instant::now() < end {
            if let Some(Err(error)) = self.consumer.poll(POLL).map(|m| m.map(|_| ())) {
                warn!(%error, "while leaving the group");
            }
        }
    }

    fn fetch(&self) {
        if self.outstanding.load(Ordering::Relaxed) > MAX_OUTSTANDING {
            std::thread::sleep(POLL);
            return;
        }
        let mut batch = Vec::new();
        let mut timeout = POLL;
        while let Some(polled) = self.consumer.poll(timeout) {
            timeout = Duration::ZERO;
            match polled {
                Ok(message) => batch.extend(self.take(&message)),
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    (self.consumer.context().report)(GroupEvent::Failed(error.to_string()));
                    std::thread::sleep(self.options.commit_every);
                }
            }
            if batch.len() >= BATCH {
                break;
            }
        }
        if !batch.is_empty() {
            tracing::trace!(records = batch.len(), "records fetched");
            self.outstanding.fetch_add(batch.len(), Ordering::Relaxed);
            (self.consumer.context().report)(GroupEvent::Records(batch));
        }
    }

    fn take(&self, message: &BorrowedMessage<'_>) -> Option<Fetched> {
        let id = self.consumer.context().assignments.lock().id(message.topic(), message.partition())?;
        Some(Fetched {
            id,
            offset: message.offset(),
            key: Label::of(message),
            value: message.payload().map(Bytes::copy_from_slice),
        })
    }
}
