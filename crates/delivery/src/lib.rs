//! The decision core of Counterfoil: which posting may be sent when, what an answer means, and which offset may be
//! committed. The promise of GUARANTEES.md lives here.
//!
//! **Invariant of this crate:** no I/O, no clock, no async, no randomness. Facts come in as [`Input`] with the time
//! beside them, decisions go out as [`Action`]. What cannot happen here cannot fail here.

mod action;
mod batch;
mod budget;
mod connection;
mod core;
mod digest;
pub mod invariant;
mod lane;
mod line;
#[cfg(test)]
mod machines;
mod mutant;
mod outcome;
mod policy;
mod posting;
mod range;
mod spill;
mod time;
mod told;
mod turns;
mod window;

pub use crate::{
    action::{Action, Input, Prior, ReadBack},
    batch::Bulk,
    budget::Limit,
    connection::{ConnectionId, ConnectionLimits},
    core::{Core, CoreOptions, Gauges},
    line::{Shares, Urgency},
    mutant::Mutant,
    outcome::{Answer, Decision, ErrorClass, Intent, Outcome, Reason, ResolvedBy, Scope, Status},
    policy::{Class, Intents, OnExisting, OnUnknown, backoff_ms},
    posting::{NewPosting, Ticket},
    spill::Backlog,
    time::Now,
    told::{Left, LeftOf},
    turns::TenantId as TenantSlot,
    window::PartitionId,
};
