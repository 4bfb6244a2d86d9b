//! The vocabulary of Counterfoil: tenants, event ids, event types, canonical objects, record keys and the envelope.
//!
//! This crate is the bottom layer. It depends on nothing of ours, does no I/O and has no clock.

mod envelope;
mod event_type;
mod id;
mod key;
mod object;
mod tenant;

pub use envelope::Envelope;
pub use event_type::{EventType, EventTypeError};
pub use id::{EntityId, EventId, PostingKey, RouteId};
pub use key::{KeyError, RecordKey};
pub use object::{ObjectKind, UnknownObject};
pub use tenant::{TenantId, TenantIdError};
