//! `counterfoil topics`: what the cluster has, beside what is specified.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use event::TenantId;
use serde_json::{Value, json};
use service_kit::config::Flags;
use topics::{Plan, Specs};

use crate::{
    PENDING,
    error::{self, CommandError},
    out,
    settings::{Settings, SettingsArgs, TopicSettingsArgs},
    tenants,
};

/// Flags of `counterfoil topics`.
#[derive(Debug, Args)]
pub struct TopicsArgs {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print what `apply` would do, and the plan's hash; nothing is touched
    #[command(after_help = "\
Lines begin with + (create), ~ (change of configuration), ! (refused, or left to the cluster's operator), ? (not specified).
Exit code 0: nothing to do. 2: changes are pending.

Example:
  counterfoil topics plan --bootstrap kafka:9092 --tenants tenants")]
    Plan(PlanArgs),
    /// Create and change topics. A partition count is never changed, nothing is ever deleted
    #[command(after_help = "\
Example:
  counterfoil topics apply --bootstrap kafka:9092 --tenants tenants --plan 0123…cdef")]
    Apply(ApplyArgs),
}

#[derive(Debug, Args)]
struct PlanArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    topics: TopicSettingsArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ApplyArgs {
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Consent {
    /// Apply only if the plan is still the one with this hash
    #[arg(long = "plan", value_name = "HASH")]
    hash: Option<String>,
    /// Apply whatever the plan is now
    #[arg(long)]
    yes: bool,
}

impl PlanArgs {
    fn load(&self) -> anyhow::Result<Option<Settings>> {
        self.settings.load(self.topics.flags(Flags::new()))
    }
}

/// Plans or applies.
///
/// # Errors
/// When specifications or tenants are wrong, the cluster does not answer, or the plan is stale or refused.
pub async fn run(args: TopicsArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Plan(args) => {
            let Some(settings) = args.load()? else { return Ok(ExitCode::SUCCESS) };
            let plan = plan(&settings).await?;
            print(&plan, args.json, None);
            Ok(if plan.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PENDING) })
        }
        Action::Apply(ApplyArgs { plan: args, consent }) => {
            let Some(settings) = args.load()? else { return Ok(ExitCode::SUCCESS) };
            let plan = plan(&settings).await?;
            if let Some(given) = consent.hash.filter(|given| *given != plan.hash()) {
                return Err(error::command(CommandError::StalePlan { given, now: plan.hash() }));
            }
            apply(&settings, &plan).await?;
            print(&plan, args.json, Some(!plan.is_empty()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What would have to be done to the cluster.
///
/// # Errors
/// When specifications or tenants are wrong, or the cluster does not answer.
pub(super) async fn plan(settings: &Settings) -> anyhow::Result<Plan> {
    let specs = specs(settings)?;
    let tenants = tenants::of_region(&settings.tenants, &settings.region).map_err(error::command)?;
    let desired = specs.all_for(&settings.region, &tenants).map_err(error::topics)?;
    let cluster = kafka::admin::describe(&settings.kafka).await.map_err(error::admin)?;
    Ok(topics::plan(&desired, &cluster.topics))
}

fn specs(settings: &Settings) -> anyhow::Result<Specs> {
    let specs = settings.topics.as_deref().map_or_else(Specs::embedded, Specs::load);
    let specs = specs.map_err(error::topics)?;
    Ok(match settings.replication {
        Some(replication) => specs.with_replication(replication),
        None => specs,
    })
}

/// Creates the dead-letter topics of `tenants` that are not there, and changes no other. Returns their names.
///
/// # Errors
/// When specifications are wrong, the cluster does not answer, or it refuses a topic.
pub(super) async fn create_dead_letters(
    settings: &Settings,
    tenants: &[TenantId],
) -> anyhow::Result<Vec<String>> {
    let mut desired = specs(settings)?.all_for(&settings.region, tenants).map_err(error::topics)?;
    let names: Vec<String> = tenants.iter().map(|t| topics::names::dlq(&settings.region, Some(t))).collect();
    desired.retain(|topic| names.contains(&topic.name));
    let missing = async || -> anyhow::Result<Plan> {
        let cluster = kafka::admin::describe(&settings.kafka).await.map_err(error::admin)?;
        let create = topics::plan(&desired, &cluster.topics).create;
        Ok(Plan { create, ..Plan::default() })
    };
    let plan = missing().await?;
    if let Err(error) = apply(settings, &plan).await {
        // Somebody else may have created one in the meantime.
        if !missing().await?.is_empty() {
            return Err(error);
        }
    }
    Ok(plan.create.into_iter().map(|topic| topic.name).collect())
}

/// Carries the plan out.
///
/// # Errors
/// When it holds a refused change, or the cluster refuses one.
pub(super) async fn apply(settings: &Settings, plan: &Plan) -> anyhow::Result<()> {
    if plan.is_empty() {
        return Ok(());
    }
    kafka::admin::apply(&settings.kafka, plan).await.map_err(error::admin)
}

/// `applied`: none for a plan that is only shown.
fn print(plan: &Plan, as_json: bool, applied: Option<bool>) {
    if as_json {
        let mut document = document(plan);
        if let Some(applied) = applied {
            document["applied"] = json!(applied);
        }
        out::line(format_args!("{document:#}"));
        return;
    }
    out::line(plan);
    match applied {
        None if plan.is_empty() => out::line("nothing to do"),
        None => out::line(format_args!("plan {}", plan.hash())),
        Some(true) => out::line("applied"),
        Some(false) => out::line("nothing to do"),
    }
}

fn document(plan: &Plan) -> Value {
    let count = |topic: &str, actual: i32, desired: i32| json!({"topic": topic, "actual": actual, "desired": desired});
    let create = plan.create.iter().map(|t| {
        json!({"topic": t.name, "partitions": t.partitions, "replication": t.replication, "configs": t.configs})
    });
    let alter = plan.alter.iter().map(|a| {
        let changes =
            a.changes.iter().map(|(name, now, then)| json!({"name": name, "now": now, "then": then}));
        json!({"topic": a.topic, "changes": changes.collect::<Value>()})
    });
    json!({
        "plan": plan.hash(),
        "pending": !plan.is_empty(),
        "create": create.collect::<Value>(),
        "alter": alter.collect::<Value>(),
        "refused": plan.refused.iter().map(|r| count(&r.topic, r.actual, r.desired)).collect::<Value>(),
        "replication_drift": plan.drift.iter().map(|d| count(&d.topic, d.actual, d.desired)).collect::<Value>(),
        "unknown": plan.unknown,
        "unchanged": plan.unchanged,
    })
}
