//! What reaches the engine's loop.

use std::sync::Arc;

use contract::{RegistryError, WriterSchema};
use delivery::{Answer, ConnectionId, ReadBack, Ticket};
use kafka::{AssignmentId, GroupEvent, Journaled};
use ledger::Written;
use target::{News, Standing};

use crate::{
    plan::Plan,
    reread::{Gone, Reread},
};

/// A new plan.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Arc<Plan>,
    /// Everything that was to be known when the catch-up of this number was asked for is in it.
    pub(crate) caught: Option<u64>,
    /// How many tenants' configurations cannot be carried out as they are.
    pub(crate) troubled: usize,
    /// How many tenants are delivered with other connectors than they were applied with.
    pub(crate) others: usize,
}

/// A fact for the engine.
#[derive(Debug)]
pub(crate) enum Message {
    /// From the consumer's thread.
    Group(GroupEvent),
    /// From the ledger's thread.
    Ledger(Written),
    /// From the producer's thread.
    Journal(Journaled),
    /// A target told of the limits of the account, in answer to a request that left at a moment, monotonic milliseconds; it comes
    /// before the answer that it came with.
    Told(ConnectionId, u64, News),
    /// A target answered a posting.
    Answered(Ticket, Answer),
    /// A target answered a request that several postings shared.
    AnsweredTogether(Vec<(Ticket, Answer)>),
    /// A target answered a look-up.
    ReadBack(Ticket, ReadBack, Option<Standing>),
    /// The registry answered.
    Schema(u32, Result<Arc<WriterSchema>, RegistryError>),
    /// What was left in the log was read again.
    Reread(Result<Reread, Gone>),
    /// A partition's ledger is complete, or cannot be.
    Restored(AssignmentId, Result<usize, String>),
    /// The next record of the control topic.
    Control(control::Record),
    /// The configuration has changed.
    Planned(Planned),
    /// The member has left the group: nothing more will come.
    Left,
}
