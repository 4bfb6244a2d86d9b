//! Vendors' webhooks: who sent them.

mod signature;

pub(crate) use signature::decoy;
pub use signature::{Sent, SignatureError, verify};
