//! What every service needs and none should write twice: layered configuration, start-up, health and metrics over
//! HTTP, graceful drain, named tasks.
//!
//! The shape of a service: load [`config`] without side effects, build (bind, connect), run until [`Shutdown`], drain
//! with a deadline.

pub mod config;

mod admin;
mod readiness;
mod serve;
mod shutdown;
mod task;

pub use admin::Admin;
/// `#[serde(with = "service_kit::duration")]` for durations written `5s`, `250ms`, `10m`.
pub use humantime_serde as duration;
pub use readiness::{Check, Readiness};
pub use serve::{Limits, serve};
pub use shutdown::Shutdown;
pub use task::{Task, TaskError, spawn};
