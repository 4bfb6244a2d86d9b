//! Records on their way to the brokers, and what happens once they are there.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use bytes::Bytes;
use delivery::{Input, Ticket};
use kafka::{AssignmentId, Journal, JournalError, JournalRecord};
use ledger::Job;
use slab::Slab;

/// A record to send.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    pub(crate) headers: Vec<(Cow<'static, str>, Vec<u8>)>,
}

/// What an acknowledgement means.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// The claim of a partition: its changelog can be read to the end now.
    Claim(AssignmentId),
    /// An Intent in the changelog that the local ledger has.
    Intent,
    /// An Intent of class N in the changelog: the local ledger gets it now.
    IntentFirst(Ticket, Box<Job>),
    /// The Intent of a range of records in the changelog: the local ledger gets it now.
    RangeFirst(AssignmentId, Box<Job>),
    /// An outcome in the changelog.
    Outcome(Ticket),
    /// An outcome event for subscribers.
    OutcomeEvent(Ticket),
    /// The outcome event of a posting that was over before; then the core may know.
    Again(Box<Input>),
    /// The dead letter of a rejected posting.
    DeadLetter(Ticket),
    /// The dead letter of a record that cannot be read.
    Poison(AssignmentId, i64),
}

/// The journal with a memory of what each record is for. Records of one partition keep their order even when the
/// client's queue is full for a while.
pub(crate) struct Outbox {
    journal: Journal,
    purposes: Slab<Purpose>,
    waiting: VecDeque<(Letter, usize)>,
}

impl Outbox {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { journal, purposes: Slab::new(), waiting: VecDeque::new() }
    }

    /// Sends a record. What cannot be sent at all is given back with its reason.
    pub(crate) fn send(&mut self, letter: Letter, purpose: Purpose) -> Result<(), (Purpose, String)> {
        let token = self.purposes.insert(purpose);
        if !self.waiting.is_empty() {
            self.waiting.push_back((letter, token));
            return Ok(());
        }
        self.offer(letter, token)
    }

    /// What the acknowledged record was for. Makes use of the room it left.
    pub(crate) fn acked(&mut self, token: usize) -> Option<Purpose> {
        self.purposes.try_remove(token)
    }

    /// Sends what had to wait. Records that cannot be sent at all are given back.
    pub(crate) fn retry(&mut self) -> Vec<(Purpose, String)> {
        let mut refused = Vec::new();
        while let Some((letter, token)) = self.waiting.pop_front() {
            let before = self.waiting.len();
            if let Err(back) = self.offer_first(letter, token) {
                refused.push(back);
            }
            if self.waiting.len() > before {
                break;
            }
        }
        refused
    }

    /// Records that are not acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.purposes.len()
    }

    /// Waits until everything is acknowledged. Blocking.
    pub(crate) fn flush(&self, deadline: std::time::Duration) -> bool {
        self.journal.flush(deadline)
    }

    fn offer(&mut self, letter: Letter, token: usize) -> Result<(), (Purpose, String)> {
        match self.hand_over(&letter, token) {
            Err(JournalError::Full) => {
                self.waiting.push_back((letter, token));
                Ok(())
            }
            result => self.given_back(result, token),
        }
    }

    fn offer_first(&mut self, letter: Letter, token: usize) -> Result<(), (Purpose, String)> {
        match self.hand_over(&letter, token) {
            Err(JournalError::Full) => {
                self.waiting.push_front((letter, token));
                Ok(())
            }
            result => self.given_back(result, token),
        }
    }

    fn given_back(
        &mut self,
        result: Result<(), JournalError>,
        token: usize,
    ) -> Result<(), (Purpose, String)> {
        let Err(error) = result else { return Ok(()) };
        let text = crate::restore::chain(&error);
        Err((self.purposes.remove(token), text))
    }

    fn hand_over(&self, letter: &Letter, token: usize) -> Result<(), JournalError> {
        let headers: Vec<(&str, &[u8])> = letter.headers.iter().map(|(k, v)| (&**k, v.as_slice())).collect();
        let record = JournalRecord {
            topic: &letter.topic,
            partition: letter.partition,
            key: &letter.key,
            value: &letter.value,
            headers: &headers,
        };
        self.journal.send(&record, token)
    }
}
