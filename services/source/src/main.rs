//! `counterfoil-source`: the source as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use source::Arguments;

#[derive(Parser)]
#[command(name = "counterfoil-source", version)]
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
