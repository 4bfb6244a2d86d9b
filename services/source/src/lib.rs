//! The source: asks systems that call nobody what has changed in them, and brings it to the gateway.
//!
//! A round of one object begins a little before the last record that the gateway has acknowledged, and goes on page by page to the
//! end. Only what is acknowledged moves the place on, so nothing is passed over; what is told twice has the same event id twice.

mod arguments;
mod cursor;
mod error;
mod gateway;
mod keeper;
mod maker;
mod options;
mod poll;
mod polls;
mod programs;
mod service;

pub use arguments::Arguments;
pub use error::SourceError;
pub use options::{LogOptions, Options};
pub use service::Service;
