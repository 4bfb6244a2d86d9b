//! Test only: the real systems that tests talk to, and the tools to start, break and stop them.
//!
//! What is needed is installed into [`cache_dir`] from Maven Central and PyPI, or built with Go, on first use; every later start is
//! offline. Everything started here listens on loopback, keeps its data in a temporary directory and ends with the
//! test process, however that process ends.
//!
//! The `start` functions block the calling thread for seconds. In a test on a current-thread runtime with other
//! tasks that must go on meanwhile, call them in `tokio::task::spawn_blocking`.

mod cache;
pub mod commercetools;
pub mod compose;
pub mod kafka;
pub mod localstripe;
mod maven;
mod pip;
mod port;
mod process;
pub mod registry;
mod scratch;
pub mod toxiproxy;
pub mod tryton;
mod wait;

pub use cache::{cache_dir, workspace_root};
pub use port::free_port;
pub use process::Process;
pub use scratch::Scratch;
pub use wait::wait_until;
