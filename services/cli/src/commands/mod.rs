//! The subcommands.

pub mod connector;
pub mod control;
pub mod indoubt;
pub mod mapping;
mod pick;
pub mod schemas;
pub mod send;
pub mod serve;
pub mod tenants;
pub mod topics;
pub mod up;
