//! `counterfoil serve`: the same as the services' own binaries.

use clap::{Args, Subcommand};

/// Flags of `counterfoil serve`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  counterfoil serve sink --bootstrap kafka:9092 --registry http://registry:8080 --tenants /etc/counterfoil/tenants")]
pub struct ServeArgs {
    /// Which service.
    #[command(subcommand)]
    service: Service,
}

#[derive(Debug, Subcommand)]
enum Service {
    /// Takes business events and webhooks over HTTP, checks them, and publishes them to Kafka
    Gateway(gateway::Arguments),
    /// Reads events from Kafka and posts each of them to its targets once in effect
    Sink(sink::Arguments),
    /// Asks systems that call nobody what has changed in them, and brings it to the gateway
    Source(source::Arguments),
    /// A small ERP in memory, with faults on demand and an exact count of every change, for demo and evaluation
    Sandbox(sandbox_service::Arguments),
}

/// Runs the service until it is told to end.
///
/// # Errors
/// When it cannot start, or its drain left something behind.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    match args.service {
        Service::Gateway(arguments) => Box::pin(arguments.run()).await,
        Service::Sink(arguments) => Box::pin(arguments.run()).await,
        Service::Source(arguments) => Box::pin(arguments.run()).await,
        Service::Sandbox(arguments) => Box::pin(arguments.run()).await,
    }
}
