//! Mappings: programs in the Vector Remap Language (VRL) that turn one shape of data into another.
//!
//! A program is compiled before it runs, sees nothing but its input, and gives the same output for the same input:
//! functions that ask the machine, the network, the clock or chance do not exist here (see [`functions`]).
//!
//! [`connectors`] holds the programs that turn vendors' webhooks into canonical events, and the base mappings of targets; [`recorded`] holds
//! such programs against recorded webhooks; [`payload`]
//! turns an event into what a target is sent.

mod compact;
pub mod connectors;
mod diagnostic;
mod error;
pub mod functions;
mod money;
pub mod payload;
mod program;
pub mod recorded;
pub mod signature;
mod time;

pub use diagnostic::Diagnostic;
pub use error::MappingError;
pub use payload::{Mapping, Refusal};
pub use program::Program;
pub use signature::Signature;
