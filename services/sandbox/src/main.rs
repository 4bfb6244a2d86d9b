//! `counterfoil-sandbox`: the sandbox ERP as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use sandbox_service::Arguments;

#[derive(Parser)]
#[command(name = "counterfoil-sandbox", version)]
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
