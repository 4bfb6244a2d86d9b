//! What goes into the core, and what comes out of it.

use std::sync::Arc;

use crate::{
    outcome::{Answer, Decision, Intent, Outcome, Reason, Status},
    posting::Ticket,
    spill::Backlog,
    window::PartitionId,
};

/// A decision for the caller to carry out. Each names the [`Input`] that reports back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Ask the ledger about the posting and its entity → [`Input::Known`].
    Consult(Ticket),
    /// Make the Intent durable → [`Input::IntentDurable`] or [`Input::IntentFailed`].
    WriteIntent(Ticket, Intent),
    /// Make durable that records of the partition below `until` may be sent without an Intent of their own →
    /// [`Input::RangeDurable`] or [`Input::RangeFailed`].
    WriteRange {
        /// The partition.
        partition: PartitionId,
        /// The first offset that the range does not cover.
        until: i64,
    },
    /// Send the request, giving up after `timeout_ms` → [`Input::Answered`].
    Send {
        /// The posting.
        ticket: Ticket,
        /// 1 for the first attempt.
        attempt: u32,
        /// The hard deadline of the request, in milliseconds from now.
        timeout_ms: u64,
    },
    /// Send these postings in one request, giving up after `timeout_ms` → [`Input::AnsweredTogether`].
    SendTogether {
        /// The postings, two or more, each with the number of its attempt.
        postings: Vec<(Ticket, u32)>,
        /// The hard deadline of the request, in milliseconds from now.
        timeout_ms: u64,
    },
    /// Read the document by its external id → [`Input::ReadBack`].
    ReadBack {
        /// The posting.
        ticket: Ticket,
        /// The hard deadline of the request, in milliseconds from now.
        timeout_ms: u64,
    },
    /// Write the dead letter, with the record's original bytes → [`Input::DeadLettered`].
    DeadLetter(Ticket, Reason),
    /// Make the outcome durable → [`Input::OutcomeDurable`].
    WriteOutcome(Ticket, Outcome),
    /// The posting is over; `duplicate_of` tells the outcome that an earlier record of the same event had.
    Done {
        /// The posting; its ticket is stale from here on.
        ticket: Ticket,
        /// Set when nothing was done because the ledger had an outcome.
        duplicate_of: Option<Status>,
    },
    /// Everything before `offset` is settled: it may be committed.
    StoreOffset {
        /// The partition.
        partition: PartitionId,
        /// The offset of the next record to read.
        offset: i64,
    },
    /// Read again from the log what was left there: the records of the partition in `from..to` that are of the backlog,
    /// in order, as many as fit → [`Core::readmit`](crate::Core::readmit) for each, then
    /// [`Core::reread`](crate::Core::reread).
    Reread {
        /// The partition.
        partition: PartitionId,
        /// The connection or the route.
        backlog: Backlog,
        /// The first offset to read.
        from: i64,
        /// The offset to stop before.
        to: i64,
        /// How many records of the backlog fit.
        fit: usize,
    },
    /// Fetch no more records of the partition: its window is full.
    Pause(PartitionId),
    /// Fetch again.
    Resume(PartitionId),
}

/// A fact for the core. Facts about a posting that is gone are ignored.
#[derive(Clone, Debug)]
pub enum Input {
    /// What the ledger knows.
    Known {
        /// The posting asked about.
        ticket: Ticket,
        /// Its record in the ledger.
        prior: Prior,
        /// The newest source version applied to its entity on its route.
        last_version: Option<i64>,
    },
    /// The Intent is durable.
    IntentDurable(Ticket),
    /// The Intent could not be made durable (disk full): nothing may be sent.
    IntentFailed(Ticket),
    /// The range is durable.
    RangeDurable {
        /// The partition.
        partition: PartitionId,
        /// The first offset that it does not cover.
        until: i64,
    },
    /// The range could not be made durable: nothing may be sent under it.
    RangeFailed(PartitionId),
    /// The target answered, or did not.
    Answered(Ticket, Answer),
    /// The target answered a request that several shared, or did not: each has its own answer, and none is missing.
    AnsweredTogether(Vec<(Ticket, Answer)>),
    /// What reading the target showed.
    ReadBack(Ticket, ReadBack),
    /// The dead letter is acknowledged by the brokers.
    DeadLettered(Ticket),
    /// The outcome is acknowledged by the brokers and in the local ledger.
    OutcomeDurable(Ticket),
}

/// The ledger's record of a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prior {
    /// It has none.
    None,
    /// An attempt was intended; how it ended is not known.
    Intent(Intent),
    /// It is over.
    Outcome(Outcome),
    /// It was in doubt, and an operator has decided, for this reason.
    Decided(Outcome, Decision, Reason),
}

/// What reading the target by the external id showed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReadBack {
    /// The document is there and says what the posting says.
    Matches {
        /// The target's identifier of it.
        document: Option<Arc<str>>,
    },
    /// The document is there and says something else.
    Differs {
        /// The target's identifier of it.
        document: Option<Arc<str>>,
    },
    /// The document is there and says what the posting says, but a step that follows it was not done yet.
    Unfinished {
        /// The target's identifier of it.
        document: Option<Arc<str>>,
    },
    /// There is none.
    Absent,
    /// There is more than one.
    Several,
    /// The look itself failed.
    Failed(Answer),
}
