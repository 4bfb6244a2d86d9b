//! The subcommands.

pub mod connector;
pub mod control;
pub mod indoubt;
mod log;
pub mod mapping;
mod pick;
pub mod replay;
pub mod schemas;
pub mod send;
pub mod serve;
pub mod tenants;
pub mod topics;
pub mod up;
