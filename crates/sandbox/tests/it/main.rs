//! The sandbox over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod documents;
mod faults;
mod idempotency;
mod late;
mod oracle;
mod page;
mod support;
