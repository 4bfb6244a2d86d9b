//! The command line: one subcommand for each thing the platform can be asked to do.

use clap::{Parser, Subcommand};

use crate::commands::{
    connector::ConnectorArgs,
    control::{PausedArgs, TurnArgs},
    indoubt::IndoubtArgs,
    mapping::MappingArgs,
    replay::ReplayArgs,
    schemas::SchemasArgs,
    send::SendArgs,
    serve::ServeArgs,
    tenants::TenantsArgs,
    topics::TopicsArgs,
    up::UpArgs,
};

/// Keeps business systems in step over Kafka: every event posted to its targets once in effect, and provably so.
///
/// Settings come from a TOML file (--config, or COUNTERFOIL_CONFIG), overridden by environment variables
/// (COUNTERFOIL_KAFKA__BOOTSTRAP is kafka.bootstrap), overridden by flags; --print-config shows the result.
#[derive(Debug, Parser)]
#[command(name = "counterfoil", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  counterfoil demo
  counterfoil up --init --sandbox --bootstrap 127.0.0.1:9092 --registry http://127.0.0.1:8090
  counterfoil send events.jsonl --key env:COUNTERFOIL_ACME_KEY

Exit codes: 0 done, 1 failed, 2 changes are pending (topics plan, tenants plan, schemas check), 64 the command line is wrong";

/// What `counterfoil` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything on this machine, send the bundled events, and show that nothing is lost and nothing is double
    Demo(crate::demo::DemoArgs),
    /// Run gateway and sink in one process, against a Kafka cluster and a registry
    Up(Box<UpArgs>),
    /// Run one service as a process of its own, as in production
    Serve(ServeArgs),
    /// Compare the cluster's topics with what is specified, and create or change them
    Topics(TopicsArgs),
    /// Check the tenants' configuration, plan what it changes, and put it in force in a region
    Tenants(TenantsArgs),
    /// Begin and check the definitions of systems
    Connector(ConnectorArgs),
    /// Test and try out what becomes of events before they are sent, and see what a change would break
    Mapping(MappingArgs),
    /// Check, register and publish the schemas of events
    Schemas(SchemasArgs),
    /// Deliver a tenant's events again: those that have no outcome, those that were rejected, or all of them
    Replay(Box<ReplayArgs>),
    /// Hold a tenant, a connection or a route: nothing new is sent, nothing is lost
    Pause(TurnArgs),
    /// Let a tenant, a connection or a route go on, in order
    Resume(TurnArgs),
    /// Show what is paused, by whom and why
    Paused(PausedArgs),
    /// Send canonical events from a file of JSON lines through the gateway
    Send(SendArgs),
    /// List, show and decide what is in doubt: events of which nobody knows whether their target has them
    Indoubt(IndoubtArgs),
}
