//! `counterfoil tenants`: the tenants' configuration, checked, planned, applied, and looked at.

mod apply;
mod difference;
mod document;
mod export;
mod list;
mod plan;
mod region;
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
    /// Compare the folder with what is applied in the region, and print the plan's hash; nothing is touched
    #[command(after_help = "\
Tenants begin with + (added), ~ (changed) or - (removed, if apply names it with --remove). Below each: what is different,
= what a route's guarantee becomes, ! what to know before it is applied. Secrets are not needed: the services resolve them.
Exit code 0: nothing to do. 2: changes are pending.

Examples:
  counterfoil tenants plan --tenants tenants --bootstrap kafka:9092
  counterfoil tenants plan --tenants tenants --out plan.json")]
    Plan(Box<plan::PlanArgs>),
    /// Put a plan in force: every service of the region takes it on, without a restart. All of it, or nothing
    #[command(after_help = "\
The plan is made anew, and must be the one that was read: a stale one is refused (CFG-0130). One apply at a time gets through in
a region. New tenants get their dead-letter topics first. Where there is nothing to do it says so, whatever plan was read.

Examples:
  counterfoil tenants apply --plan plan.json --operator ann --reason 'globex goes live'
  counterfoil tenants apply --plan 0123…cdef --operator ann --remove initech")]
    Apply(Box<apply::ApplyArgs>),
    /// List what is applied in the region: each tenant's revision, and who applied it
    #[command(after_help = "\
Example:
  counterfoil tenants list --bootstrap kafka:9092 --region eu")]
    List(Box<list::ListArgs>),
    /// Show what is applied of a tenant, with its files
    #[command(after_help = "\
Example:
  counterfoil tenants show acme --bootstrap kafka:9092")]
    Show(Box<list::ShowArgs>),
    /// Write what is applied into a folder; a plan of that folder has no changes
    #[command(after_help = "\
Example:
  counterfoil tenants export tenants-of-eu --bootstrap kafka:9092 --region eu")]
    Export(Box<export::ExportArgs>),
}

/// Does what is asked for.
///
/// # Errors
/// When the configuration has problems, the brokers do not answer, or a plan is refused.
pub async fn run(args: TenantsArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Validate(args) => Ok(validate::run(&args)),
        Action::Plan(args) => plan::run(*args).await,
        Action::Apply(args) => apply::run(*args).await,
        Action::List(args) => list::list(*args).await,
        Action::Show(args) => list::show(*args).await,
        Action::Export(args) => export::run(*args).await,
    }
}
