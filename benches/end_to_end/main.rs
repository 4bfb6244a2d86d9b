//! Kafka → HTTP end to end: Counterfoil beside the raw limit of the machine, measured in the same run.
//!
//! `cargo bench` starts a real Kafka, fills a topic, and lets each program post its events to a target of 0 ms and of
//! 20 ms, in turns. Every program, and the target, is a process of its own. Nothing here passes or fails on time; the run
//! fails only where an event is lost, doubled or out of order.

mod child;
mod feed;
mod figures;
mod options;
mod raw;
mod report;
mod round;
mod target;

use std::process::ExitCode;

use clap::Parser as _;
use options::{Options, Role};

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.role.clone() {
        None => threads().and_then(|runtime| runtime.block_on(round::run_all(&options))),
        // One thread: both must leave the second core to the program that is measured, or to the target.
        Some(Role::Target(target)) => {
            one_thread().and_then(|runtime| runtime.block_on(target::serve(target)))
        }
        Some(Role::Raw(raw)) => one_thread().and_then(|runtime| runtime.block_on(raw::run(raw))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn threads() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn one_thread() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
