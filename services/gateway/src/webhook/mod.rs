//! Vendors' webhooks: who sent them, and whether what their programs make of them would be let in.

mod check;
mod signature;
mod vector;

pub use check::faults;
pub(crate) use signature::decoy;
pub use signature::{Sent, SignatureError, verify};
pub use vector::Vector;
