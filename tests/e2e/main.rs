//! End to end: the real binary, as processes of their own, on a real Apache Kafka and a real Apicurio registry.
//!
//! Each scenario works in a region of its own, so that all of them share one broker and one registry. Nothing here is
//! retried, and nothing waits for a time to pass: it polls with a deadline.
//!
//! `E2E_SEED` repeats the kills of a printed seed, `E2E_LOG` sets the processes' log filter; a failed scenario shows the
//! end of every log. `KAFKA_BOOTSTRAP` and `REGISTRY_URL` name a cluster and a registry to use in place of started ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

mod broker_down;
mod demo;
mod drain;
mod indoubt;
mod kills;
mod localstripe;
mod members;
mod onboarding;
mod pause;
mod polling;
mod registry_down;
mod replay;
mod sleeper;
mod target_down;
mod unreadable;
