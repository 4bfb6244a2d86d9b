//! What reaches the engine's loop.

use std::sync::Arc;

use contract::{RegistryError, WriterSchema};
use delivery::{Answer, ReadBack, Ticket};
use kafka::{AssignmentId, GroupEvent, Journaled};
use ledger::Written;
use target::Standing;

use crate::reread::{Gone, Reread};

/// A fact for the engine.
#[derive(Debug)]
pub(crate) enum Message {
    /// From the consumer's thread.
    Group(GroupEvent),
    /// From the ledger's thread.
    Ledger(Written),
    /// From the producer's thread.
    Journal(Journaled),
    /// A target answered a posting.
    Answered(Ticket, Answer),
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
    /// The member has left the group: nothing more will come.
    Left,
}
