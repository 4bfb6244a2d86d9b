//! The sandbox ERP as a service: listeners, health, metrics, drain. What it serves is in the `sandbox` crate.

mod arguments;
mod gauges;
mod options;
mod service;

pub use arguments::Arguments;
pub use options::{Options, StartError};
pub use service::Service;
