//! `counterfoil-gateway`: the gateway as a process of its own.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;
use gateway::Options;
use service_kit::config::{self, Flags};

/// Takes business events and webhooks over HTTP, checks them, and publishes them to Kafka.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// TOML file with settings; environment variables COUNTERFOIL_… and the flags below override it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print the effective settings without secrets, and exit.
    #[arg(long)]
    print_config: bool,
    /// Check settings, tenants, connectors and topics, and exit.
    #[arg(long)]
    check_config: bool,
    /// Where to take events.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where to serve health and metrics.
    #[arg(long)]
    admin_listen: Option<SocketAddr>,
    /// Kafka brokers, HOST:PORT separated by commas.
    #[arg(long)]
    bootstrap: Option<String>,
    /// Base URL of the schema registry.
    #[arg(long)]
    registry: Option<String>,
    /// Folder of the tenants' configuration.
    #[arg(long)]
    tenants: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("counterfoil-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let flags = Flags::new()
        .set("--listen", "listen", arguments.listen.map(|a| a.to_string()))
        .set("--admin-listen", "admin_listen", arguments.admin_listen.map(|a| a.to_string()))
        .set("--bootstrap", "kafka.bootstrap", arguments.bootstrap)
        .set("--registry", "registry.url", arguments.registry)
        .set("--tenants", "tenants", arguments.tenants.map(text));
    let options: Options =
        config::load(arguments.config.as_deref(), flags).map_err(|e| coded(e.code(), e))?;
    if arguments.print_config {
        print!("{}", config::print_config(&options)?);
        return Ok(());
    }
    if arguments.check_config {
        gateway::Setup::load(options, &tenancy::Environment).map_err(|e| coded(e.code(), e))?;
        return Ok(());
    }
    telemetry::init(options.log.format, &options.log.filter)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(gateway::run_process(options))
}

/// An error under its code, for the last line of a process that did not start.
fn coded(code: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    anyhow::Error::new(error).context(code)
}
