//! The rules of the core, one small test for each. How they hold together under faults is in `tests/model`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod batches;
mod limits;
mod looking;
mod moving;
mod operator;
mod ownership;
mod path;
mod pausing;
mod records;
mod resolution;
mod retries;
mod rig;
mod shared;
mod spilling;
mod steps;
