//! `counterfoil tenants plan`: what an apply would change, and the plan's hash.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use control::{Kind, Pauses, Plan, TenantPlan};
use sink::Guarantee;

use super::{
    difference::{Difference, differences},
    document,
    region::{self, Checkout, EmptyArgs, RegionArgs},
};
use crate::{
    PENDING,
    error::{self, CommandError},
    out,
    settings::Settings,
};

/// Flags of `counterfoil tenants plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    region: RegionArgs,
    #[command(flatten)]
    empty: EmptyArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write the plan as JSON to this file too; `apply --plan FILE` takes it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A plan with all that is said of it.
pub(super) struct Told {
    /// The plan.
    pub plan: Plan,
    /// The region.
    pub region: String,
    /// What is said of each tenant that changes.
    pub tenants: Vec<ToldTenant>,
}

/// One tenant that changes.
pub(super) struct ToldTenant {
    /// What becomes of it.
    pub plan: TenantPlan,
    /// What its routes guarantee, where that changes.
    pub guarantees: Vec<Difference>,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// Plans.
pub(super) async fn run(args: PlanArgs) -> anyhow::Result<ExitCode> {
    let Some(settings) = args.region.load()? else { return Ok(ExitCode::SUCCESS) };
    let checkout = region::checkout(&settings, &args.empty)?;
    let told = tell(&settings, &checkout).await?;
    let document = document::plan(&told);
    if let Some(file) = &args.out {
        write(file, &format!("{document:#}\n"))?;
    }
    if args.json {
        out::line(format_args!("{document:#}"));
    } else {
        print(&told);
    }
    Ok(if told.plan.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PENDING) })
}

/// Compares a folder with what is applied.
pub(super) async fn tell(settings: &Settings, checkout: &Checkout) -> anyhow::Result<Told> {
    let state = region::state(settings).await?;
    let plan = Plan::new(&state, &checkout.desired);
    let told = |plan: &TenantPlan| tell_tenant(plan, &checkout.guarantees, &state.pauses, settings);
    let tenants = plan.pending().map(told).collect();
    Ok(Told { plan, region: settings.region.clone(), tenants })
}

fn tell_tenant(
    plan: &TenantPlan,
    guarantees: &[Guarantee],
    pauses: &Pauses,
    settings: &Settings,
) -> ToldTenant {
    let of_tenant = guarantees.iter().filter(|guarantee| guarantee.tenant == plan.tenant);
    let after: Vec<Guarantee> = if plan.after.is_some() { of_tenant.cloned().collect() } else { Vec::new() };
    let revision = plan.before.as_ref().filter(|before| !before.removed);
    let before = revision.map(|before| region::applied_guarantees(before, settings)).unwrap_or_default();
    let guarantees = differences(&before, &after);
    let mut warnings: Vec<String> = plan.dangers(pauses).iter().map(ToString::to_string).collect();
    let falls = guarantees.iter().filter(|difference| difference.falls_to_neither());
    warnings.extend(falls.map(|difference| {
        format!(
            "route `{}` falls to class N: what is under way there counts as never sent. Pause it, let it come to rest, and \
             apply then",
            difference.route
        )
    }));
    ToldTenant { plan: plan.clone(), guarantees, warnings }
}

fn print(told: &Told) {
    told.tenants.iter().for_each(print_tenant);
    out::line(format_args!("{} unchanged", told.plan.unchanged()));
    if told.plan.is_empty() {
        out::line("nothing to do");
    } else {
        out::line(format_args!("plan {}", told.plan.hash()));
    }
}

fn print_tenant(told: &ToldTenant) {
    let ToldTenant { plan, guarantees, warnings } = told;
    let (sign, word) = match plan.kind {
        Kind::Added => ('+', "added"),
        Kind::Changed => ('~', "changed"),
        Kind::Removed => ('-', "removed, if `--remove` names it"),
        Kind::Unchanged => (' ', "unchanged"),
    };
    out::line(format_args!("{sign} {}: {word}, revision {}", plan.tenant, plan.next_revision()));
    plan.changes.iter().for_each(|change| out::line(format_args!("    {change}")));
    guarantees.iter().for_each(|difference| out::line(format_args!("    = {difference}")));
    warnings.iter().for_each(|warning| out::line(format_args!("    ! {warning}")));
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let failed = |source| CommandError::Output { path: file.to_owned(), source };
    std::fs::write(file, text).map_err(failed).map_err(error::command)
}
