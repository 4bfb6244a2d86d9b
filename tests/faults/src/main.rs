//! The proof under faults: real processes, a real Kafka, proxies between, and an oracle that counts every effect.
//!
//! `campaign` draws faults from a seed, round after round, while events stream through; then it brings everything to
//! rest and holds both ends against each other. The program runs the services by starting itself.

mod admin;
mod books;
mod brokers;
mod campaign;
mod changelog;
mod check;
mod class;
mod cluster;
mod erp;
mod evidence;
mod feed;
mod flags;
mod isolation;
mod moments;
mod mutants;
mod plan;
mod points;
mod preload;
mod rest;
mod sinks;
mod soak;
mod sometimes;
mod source;
mod strike;
mod summary;
mod takeover;
mod topic;
mod tryton;
mod verdict;
mod world;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

/// As in the services themselves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Faults against running services, and the proof that nothing is lost and nothing is double.
#[derive(Parser)]
#[command(name = "faults", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draw faults from a seed while events stream through, then compare both ends
    Campaign(campaign::Options),
    /// Let a sink die at each of thirteen points, for each class of target, and see another one bring everything to its end
    Points(points::Options),
    /// Break the protocol on purpose in the sinks themselves, and require that the checks notice it
    Mutants(mutants::Options),
    /// Kill, stop and restart the brokers themselves, of which there are three, while events stream through
    Brokers(brokers::Options),
    /// Let events stream for a long time past targets that have troubles, and watch the memory of the sinks
    Soak(soak::Options),
    /// Kill one of two sinks at its default settings, and measure how long its partitions stand still
    Takeover(takeover::Options),
    /// Let one tenant's target be dead while it floods the gateway, and measure what another one notices
    Isolation(isolation::Options),
    /// Kill sinks and lose answers while invoices are posted to Tryton, and count them in Tryton's own database
    ///
    /// Fails if an event has not become exactly one posted invoice, or if an undisturbed posting takes 10 % or more longer than the same
    /// calls by hand. The latter counts only where at least 40 postings were measured: with 200 events or more.
    Tryton(tryton::Options),
    /// The `counterfoil` command, for the processes that this program starts
    #[command(hide = true)]
    Counterfoil {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(command)));
    ended.unwrap_or_else(|error: anyhow::Error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let good = match command {
        Command::Campaign(options) => Box::pin(campaign::run(options)).await?,
        Command::Points(options) => Box::pin(points::run(options)).await?,
        Command::Mutants(options) => Box::pin(mutants::run(options)).await?,
        Command::Brokers(options) => Box::pin(brokers::run(options)).await?,
        Command::Soak(options) => Box::pin(soak::run(options)).await?,
        Command::Takeover(options) => Box::pin(takeover::run(options)).await?,
        Command::Isolation(options) => Box::pin(isolation::run(options)).await?,
        Command::Tryton(options) => Box::pin(tryton::run(options)).await?,
        Command::Counterfoil { arguments } => {
            let line = std::iter::once(OsString::from("counterfoil")).chain(arguments);
            return Box::pin(cli::run(cli::args::Arguments::try_parse_from(line)?)).await;
        }
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
