//! `counterfoil-gateway`: the gateway as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use gateway::Arguments;

/// An event is many small allocations on one thread that are freed on another: what this allocator is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "counterfoil-gateway", version)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    match CommandLine::parse().arguments.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
