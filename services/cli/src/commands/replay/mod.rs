//! `counterfoil replay`: a tenant's events, delivered again.

mod choice;
mod publish;

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use contract::{Decoder, RegistryClient};
use event::{EventType, TenantId};
use serde_json::json;
use service_kit::config::Flags;

use crate::{
    commands::log::Log,
    error, out,
    settings::{RegistryArgs, Settings, SettingsArgs, TopicSettingsArgs},
};
use choice::{Choice, Kept};
use publish::Publisher;

/// Flags of `counterfoil replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
The events' own records are published once more, at most --per-second, and whoever owns their partitions delivers them in the order
of their documents. What has an outcome keeps it, unless --rejected or --force asks for a new generation: its postings are new ones, with keys
of their own, and each is meant to have an effect of its own. A version older than one that the target has is never sent.

Examples:
  counterfoil replay acme --dry-run
  counterfoil replay acme --rejected --code SNK-0001 --route invoices --reason 'the mapping is corrected' --operator ann
  counterfoil replay acme --force --route orders --from 2026-11-01T00:00:00Z --reason 'the CRM was restored from a backup'")]
pub struct ReplayArgs {
    /// Whose events
    tenant: TenantId,
    /// Only on this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Only these events
    #[arg(long = "event", value_name = "ID")]
    events: Vec<uuid::Uuid>,
    /// Only this entity's, by the source's key
    #[arg(long, value_name = "KEY")]
    entity: Option<String>,
    /// Only events of these types
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<EventType>,
    /// Only what was accepted at this moment or later
    #[arg(long, value_name = "RFC 3339")]
    from: Option<DateTime<Utc>>,
    /// Only what was accepted before this moment
    #[arg(long, value_name = "RFC 3339")]
    to: Option<DateTime<Utc>>,
    /// Those whose last outcome is a rejection, as a new generation
    #[arg(long, conflicts_with = "force")]
    rejected: bool,
    /// Only those that were rejected with this code
    #[arg(long, value_name = "CODE", requires = "rejected")]
    code: Option<String>,
    /// All of them, as a new generation: what was applied is applied again
    #[arg(long)]
    force: bool,
    /// What of a connection they may use while live events wait [default: redrive with --rejected or --event, else backfill]
    #[arg(long, value_enum, value_name = "KIND")]
    share: Option<Share>,
    /// Most records published in a second
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    per_second: u32,
    /// Only count
    #[arg(long)]
    dry_run: bool,
    /// Why: kept with each record
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Who asks for it [default: the user's name]
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    cluster: TopicSettingsArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What of a connection a replay may use (`limits.shares`).
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Share {
    /// That of a few events that are tried once more
    Redrive,
    /// That of a stretch of the past
    Backfill,
}

/// Publishes the events that are meant once more.
///
/// # Errors
/// When brokers or registry do not answer. What was published before that is delivered; the same command again does no harm.
pub async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let settings = args.settings.load(args.registry.flags(args.cluster.flags(Flags::new())))?;
    let Some(settings) = settings else { return Ok(ExitCode::SUCCESS) };
    let registry = RegistryClient::new(&settings.registry.url).map_err(error::registry)?;
    let log = Log::new(settings.clone(), Decoder::new(registry));
    let (tenant, as_json, dry) = (args.tenant.clone(), args.json, args.dry_run);
    let done = tokio::task::spawn_blocking(move || replay(&args, &settings, &log)).await??;
    if as_json {
        out::line(format_args!("{:#}", json!(done)));
    } else {
        let what = if dry { "would be published once more" } else { "published once more" };
        out::line(format_args!("{tenant}: {} of {} events {what}", done.published, done.seen));
    }
    Ok(ExitCode::SUCCESS)
}

/// What was done.
#[derive(Debug, Default, serde::Serialize)]
struct Done {
    /// Events of the tenant that the topics have.
    seen: usize,
    /// Records that were published.
    published: usize,
}

fn replay(args: &ReplayArgs, settings: &Settings, log: &Log) -> anyhow::Result<Done> {
    let kept = if args.rejected || args.force { Kept::read(log, &args.tenant)? } else { Kept::default() };
    let mut choice = Choice::new(args, kept);
    let mut publisher = if args.dry_run { None } else { Some(Publisher::new(settings, args.per_second)?) };
    let mut done = Done::default();
    for object in choice.objects() {
        log.events(object, &args.tenant, |envelope, record| {
            for wish in choice.wishes(&envelope, &mut done.seen) {
                done.published += 1;
                if let Some(publisher) = &mut publisher {
                    publisher.publish(log, &record, &wish)?;
                }
            }
            Ok(true)
        })?;
    }
    if let Some(publisher) = publisher {
        publisher.finish(log)?;
    }
    Ok(done)
}
