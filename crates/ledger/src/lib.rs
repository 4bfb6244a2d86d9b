//! The ledger: what the sink knows about each posting, in a local store that the changelog topic can rebuild anywhere.
//!
//! The changelog is the truth, the store a cache that may be thrown away (docs/adr/0003). A write counts as durable
//! against a killed process once [`Written`] reports it; against a lost machine once the changelog acknowledged it.
//! The store lies in buckets of time, so that it shrinks behind the horizon (docs/adr/0012).

mod batch;
mod buckets;
mod error;
mod expiry;
mod layout;
mod ledger;
mod mutant;
pub mod record;
mod redb_store;
mod sled_store;
mod store;
mod writer;

pub use crate::{
    error::LedgerError,
    ledger::{Ledger, LedgerOptions, Opened},
    mutant::Mutant,
    record::{Entry, Stored, claim, range},
    redb_store::RedbStore,
    sled_store::SledStore,
    store::{Change, OpenError, Store, StoreKind},
    writer::{Job, Written},
};

#[cfg(test)]
mod tests;
