//! The gateway: the HTTP edge where events enter.
//!
//! accept → verify → validate → publish. An answer of 2xx means that the brokers have the event on all in-sync replicas;
//! anything else says what is wrong, with a stable code, and that a resend does no harm.
//!
//! A deployment runs `counterfoil-gateway`; another program can run the same in itself: [`Setup::load`] reads the
//! configuration without side effects, [`Setup::build`] binds and connects, [`Service::run`] serves until the shutdown.

mod arguments;
pub mod clock;
pub mod http;
pub mod incoming;
pub mod intake;
mod metrics;
pub mod objects;
pub mod options;
pub mod placement;
pub mod problem;
pub mod publish;
mod service;
mod setup;
pub mod tenants;
pub mod webhook;

pub use arguments::Arguments;
pub use metrics::GatewayMetrics;
pub use options::Options;
pub use service::{Drained, Service, run_process};
pub use setup::{Setup, StartError};
