//! `counterfoil tenants`: the tenants' configuration, checked before it is in force.

mod validate;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Flags of `counterfoil tenants`.
#[derive(Debug, Args)]
pub struct TenantsArgs {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check every file, and print what each route will guarantee; asks nobody
    #[command(after_help = "\
Exit code 0: the configuration can be applied. 1: it cannot; each problem comes as file:line:column: code: what; what to do.

Example:
  counterfoil tenants validate --dir tenants")]
    Validate(validate::ValidateArgs),
}

/// Validates.
///
/// # Errors
/// When the configuration has problems.
pub async fn run(args: TenantsArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Validate(args) => Ok(validate::run(&args)),
    }
}
