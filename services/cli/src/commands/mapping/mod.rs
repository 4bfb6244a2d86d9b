//! `counterfoil mapping`: what becomes of an event before it is sent, tested and tried out; asks nobody.

mod attempt;
mod cases;
mod impact;
mod run;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use tenancy::{Offline, TenantSet};

/// Flags of `counterfoil mapping`.
#[derive(Debug, Args)]
pub struct MappingArgs {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the cases of base mappings and of tenants' overlays
    #[command(after_help = "\
Cases are connectors/<system>/mappings/tests/<object>.<case>.yaml and <tenant>/mappings/tests/<route>.<case>.yaml.
Exit code 0: all of them hold. 1: one does not; each difference has its place.

Example:
  counterfoil mapping test --tenants tenants")]
    Test(run::TestArgs),
    /// Show what a route makes of an event's data, or why it refuses it
    #[command(after_help = "\
Exit code 0: it makes a payload. 1: it refuses.

Example:
  counterfoil mapping try --tenant acme --route customers --event customer.updated customer.json")]
    Try(attempt::TryArgs),
    /// Show which tenants' routes a change of schemas or base mappings would break, and on which field
    #[command(after_help = "\
Exit code 0: nothing breaks. 1: something does.

Example:
  counterfoil mapping impact --schema schemas/customer.v1.avsc --connectors connectors")]
    Impact(impact::ImpactArgs),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct Folders {
    /// Folder of the tenants' configuration
    #[arg(long, value_name = "DIR", default_value = "tenants")]
    tenants: PathBuf,
    /// Folder of connectors on top of the built-in ones: a file of it counts in the place of theirs
    #[arg(long, value_name = "DIR")]
    connectors: Option<PathBuf>,
}

impl Folders {
    /// The tenants; secrets are not resolved.
    fn set(&self) -> anyhow::Result<TenantSet> {
        TenantSet::load(&self.tenants, &Offline).map_err(|errors| crate::error::coded(errors.code(), errors))
    }
}

/// Tests, tries out, or looks ahead.
///
/// # Errors
/// When files cannot be read.
pub async fn run(args: MappingArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Test(args) => run::run(&args),
        Action::Try(args) => attempt::run(&args),
        Action::Impact(args) => impact::run(&args),
    }
}
