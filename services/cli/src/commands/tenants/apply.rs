//! `counterfoil tenants apply`: a plan that was read, carried out.

use std::{collections::BTreeSet, process::ExitCode};

use clap::Args;
use control::{Applied, Order, Plan};
use event::TenantId;
use serde_json::json;
use tenancy::Revision;

use super::{
    document,
    plan::{self, Told},
    region::{self, Checkout, EmptyArgs, RegionArgs},
};
use crate::{
    commands::topics,
    error::{self, CommandError},
    out,
    settings::Settings,
};

/// Flags of `counterfoil tenants apply`.
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    region: RegionArgs,
    #[command(flatten)]
    empty: EmptyArgs,
    /// The plan that was read: its hash, or the file that `plan --out` wrote
    #[arg(long, value_name = "HASH|FILE")]
    plan: String,
    /// Who says so; it is kept
    #[arg(long, value_name = "NAME")]
    operator: String,
    /// Why; it is kept
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Remove this tenant, which the folder does not have any more; may be repeated
    #[arg(long, value_name = "TENANT")]
    remove: Vec<TenantId>,
    /// Let `shards` of this tenant change: nothing of it is under way, and nothing of it will be repeated; may be repeated
    #[arg(long, value_name = "TENANT")]
    allow_shards: Vec<TenantId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Applies. What goes on is said on standard error.
pub(super) async fn run(args: ApplyArgs) -> anyhow::Result<ExitCode> {
    let Some(settings) = args.region.load()? else { return Ok(ExitCode::SUCCESS) };
    let order = Order {
        plan: hash_of(&args.plan)?,
        remove: BTreeSet::from_iter(args.remove),
        shards: BTreeSet::from_iter(args.allow_shards),
        operator: args.operator,
        reason: args.reason,
        at: std::time::UNIX_EPOCH.elapsed().map_or(0, |age| age.as_millis() as i64),
    };
    let checkout = region::checkout(&settings, &args.empty)?;
    eprintln!("{}: valid", settings.tenants.display());
    let told = plan::tell(&settings, &checkout).await?;
    prepare(&settings, &checkout, &told, &order).await?;
    let plan = told.plan;
    let (kafka, topic) = (settings.kafka.clone(), region::topic(&settings));
    let region = settings.region.clone();
    let work = move || control::apply(&kafka, &region, &topic, &checkout.desired, &order);
    let applied = tokio::task::spawn_blocking(work).await?.map_err(error::apply)?;
    print(&plan, &applied, args.json);
    Ok(ExitCode::SUCCESS)
}

/// What comes before the writing: whether it may be done, and a dead-letter topic for each tenant. A sink waits for the topic of a
/// tenant that it is to serve, so it comes first.
async fn prepare(settings: &Settings, checkout: &Checkout, told: &Told, order: &Order) -> anyhow::Result<()> {
    if told.plan.is_empty() {
        return Ok(());
    }
    order.check(&told.plan).map_err(error::refusal)?;
    for tenant in &told.tenants {
        tenant.warnings.iter().for_each(|warning| eprintln!("{}: {warning}", tenant.plan.tenant));
    }
    let tenants: Vec<TenantId> = checkout.desired.ids().cloned().collect();
    for topic in topics::create_dead_letters(settings, &tenants).await? {
        eprintln!("{topic}: created");
    }
    eprintln!("writing {} tenants, {} stay as they are", told.tenants.len(), told.plan.unchanged());
    Ok(())
}

fn print(plan: &Plan, applied: &Applied, as_json: bool) {
    if as_json {
        let document = json!({
            "plan": plan.hash(),
            "applied": !applied.written.is_empty(),
            "written": applied.written.iter().map(document::revision).collect::<serde_json::Value>(),
            "tenants": document::revisions(&applied.state),
        });
        return out::line(format_args!("{document:#}"));
    }
    for Revision { tenant, revision, removed, .. } in &applied.written {
        let word = if *removed { "removed" } else { "in force" };
        out::line(format_args!("{tenant}: revision {revision} {word}"));
    }
    out::line(if applied.written.is_empty() { "nothing to do" } else { "applied" });
}

/// The hash that is meant: 64 hexadecimal digits are one, everything else is a file.
fn hash_of(given: &str) -> anyhow::Result<String> {
    if given.len() == 64 && given.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(given.to_owned());
    }
    let failed = |source| error::command(CommandError::PlanFile { file: given.to_owned(), source });
    let text = std::fs::read_to_string(given).map_err(failed)?;
    let document: serde_json::Value = serde_json::from_str(&text).map_err(|error| failed(error.into()))?;
    let hash = document["plan"].as_str().map(str::to_owned);
    hash.ok_or_else(|| failed(std::io::Error::other("it has no `plan`")))
}
