//! `counterfoil tenants list|show`: what is applied.

use std::process::ExitCode;

use clap::Args;
use event::TenantId;
use serde_json::json;
use tenancy::Revision;

use super::{
    document,
    region::{self, RegionArgs, instant},
};
use crate::{
    error::{self, CommandError},
    out,
};

/// Flags of `counterfoil tenants list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    region: RegionArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Flags of `counterfoil tenants show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    region: RegionArgs,
    /// The tenant
    tenant: TenantId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists every tenant.
pub(super) async fn list(args: ListArgs) -> anyhow::Result<ExitCode> {
    let Some(settings) = args.region.load()? else { return Ok(ExitCode::SUCCESS) };
    let state = region::readable(&settings).await?;
    let unreadable = state.tenants.unreadable();
    if args.json {
        let document = json!({
            "region": settings.region,
            "tenants": document::revisions(&state),
            "unreadable": unreadable.iter().map(|(tenant, why)| (tenant.to_string(), why)).collect::<std::collections::BTreeMap<_, _>>(),
        });
        out::line(format_args!("{document:#}"));
        return Ok(ExitCode::SUCCESS);
    }
    for revision in state.tenants.current().values() {
        out::line(line(revision));
    }
    for (tenant, why) in unreadable {
        out::line(format_args!("{tenant}: its newest record cannot be read by this build (CFG-0137): {why}"));
    }
    if state.tenants.current().is_empty() && unreadable.is_empty() {
        out::line("nothing is applied");
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows one tenant with its files.
pub(super) async fn show(args: ShowArgs) -> anyhow::Result<ExitCode> {
    let Some(settings) = args.region.load()? else { return Ok(ExitCode::SUCCESS) };
    let state = region::readable(&settings).await?;
    let current = state.tenants.current();
    let Some(revision) = current.get(&args.tenant) else {
        let have: Vec<&str> = current.keys().map(TenantId::as_str).collect();
        let (name, have) = (args.tenant.to_string(), have.join(", "));
        return Err(error::command(CommandError::Unknown { what: "tenant", name, have }));
    };
    if args.json {
        let mut document = document::revision(revision);
        document["files"] = json!(revision.files);
        out::line(format_args!("{document:#}"));
        return Ok(ExitCode::SUCCESS);
    }
    out::line(line(revision));
    for (file, text) in &revision.files {
        out::line(format_args!("\n--- {file}\n{}", text.trim_end()));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(revision: &Revision) -> String {
    let Revision { tenant, revision: number, hash, removed, operator, reason, at, .. } = revision;
    let state = if *removed { "removed" } else { "in force" };
    let hash = hash.get(..12).unwrap_or(hash);
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{tenant}  revision {number}  {state}  {hash}  {} by {operator}{reason}", instant(*at))
}
