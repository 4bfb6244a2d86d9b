//! The ledger: what the sink knows about each posting, in a local store that the changelog topic can rebuild anywhere.
//!
//! The changelog is the truth, the store a cache that may be thrown away (docs/adr/0003). A write counts as durable
//! against a killed process once [`Written`] reports it; against a lost machine once the changelog acknowledged it.

mod batch;
mod error;
pub mod record;
mod sled_store;
mod store;
mod writer;

pub use crate::{
    error::LedgerError,
    record::{Entry, Stored, range},
    sled_store::{Opened, SledStore},
    store::{Change, Store},
    writer::{Job, Ledger, LedgerOptions, Written},
};

#[cfg(test)]
mod tests;
