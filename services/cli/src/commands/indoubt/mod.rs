//! `counterfoil indoubt`: what nobody knows the end of, with its evidence, and what an operator decides about it.

mod show;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use contract::{DECISION_HEADER, Decision, Decoder, Outcome, RegistryClient, Verdict};
use event::{EventId, TenantId};
use kafka::Producer;
use service_kit::config::Flags;

use crate::{
    commands::log,
    error::{self, CommandError},
    settings::{RegistryArgs, Settings, SettingsArgs, TopicSettingsArgs},
};

/// How long the brokers may take to acknowledge a decision.
const ACK: Duration = Duration::from_secs(30);

/// Flags of `counterfoil indoubt`.
#[derive(Debug, Args)]
pub struct IndoubtArgs {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what is in doubt, oldest first
    #[command(after_help = "\
Example:
  counterfoil indoubt list --tenant acme --bootstrap kafka:9092 --registry http://registry:8080")]
    List(ListArgs),
    /// Show everything that is known about an event in doubt
    Show(ShowArgs),
    /// Decide about an event in doubt, after a look at the target
    #[command(after_help = "\
The event's own record is published once more, with the decision as its header. Whoever owns its partition carries it out,
in the order of its document; the outcome event follows. A decision holds for the outcome that was shown and no later one.

Example:
  counterfoil indoubt resolve 6f0c…e1 --as committed --document INV-2026-00042 --reason 'found in the ERP'
  counterfoil indoubt resolve 6f0c…e1 --as retry --reason 'not in the ERP, asked Kim'")]
    Resolve(ResolveArgs),
}

#[derive(Debug, Args)]
struct Where {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    cluster: TopicSettingsArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    place: Where,
    /// Only this tenant's
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    place: Where,
    /// The event's id
    event: uuid::Uuid,
    /// The route, if the event is in doubt on several
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ResolveArgs {
    #[command(flatten)]
    show: ShowArgs,
    /// What became of it
    #[arg(long = "as", value_name = "VERDICT")]
    verdict: As,
    /// The target's identifier of the document, of one that is committed
    #[arg(long, value_name = "ID")]
    document: Option<String>,
    /// Why: kept with the outcome
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who decides [default: the user's name]
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum As {
    /// The target has it
    Committed,
    /// The target does not have it, and is not to get it: a dead letter keeps it
    Rejected,
    /// The target does not have it, and is to get it: it is sent once more
    Retry,
}

impl Where {
    fn load(&self) -> anyhow::Result<Option<Settings>> {
        self.settings.load(self.registry.flags(self.cluster.flags(Flags::new())))
    }
}

/// Lists, shows or resolves.
///
/// # Errors
/// When brokers or registry do not answer, or nothing in doubt is meant.
pub async fn run(args: IndoubtArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List(args) => list(args).await?,
        Action::Show(args) => {
            let Some(settings) = args.place.load()? else { return Ok(ExitCode::SUCCESS) };
            show::one(&find(&settings, &args).await?, args.json);
        }
        Action::Resolve(args) => resolve(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let Some(settings) = args.place.load()? else { return Ok(()) };
    let mut doubts = log::in_doubt(&settings, decoder(&settings)?).await?;
    doubts.retain(|outcome| args.tenant.as_ref().is_none_or(|tenant| *tenant == outcome.tenant));
    show::all(&doubts, args.json);
    Ok(())
}

async fn resolve(args: ResolveArgs) -> anyhow::Result<()> {
    let Some(settings) = args.show.place.load()? else { return Ok(()) };
    let outcome = find(&settings, &args.show).await?;
    let record = log::record_of(&settings, decoder(&settings)?, &outcome).await?;
    let decision = Decision {
        route: outcome.route.clone(),
        generation: outcome.generation,
        settled_at: outcome.settled_at,
        verdict: match args.verdict {
            As::Committed => Verdict::Committed,
            As::Rejected => Verdict::Rejected,
            As::Retry => Verdict::Retry,
        },
        document: args.document,
        operator: args.operator,
        reason: args.reason,
    };
    publish(&settings, &record, &decision).await?;
    show::decided(&outcome, &decision, args.show.json);
    Ok(())
}

/// The event's bytes as they came, where they came, with the decision beside them.
async fn publish(settings: &Settings, record: &log::Record, decision: &Decision) -> anyhow::Result<()> {
    let header = decision.to_header();
    let mut headers: Vec<(&str, &[u8])> = record.headers().filter(|(n, _)| *n != DECISION_HEADER).collect();
    headers.push((DECISION_HEADER, &header));
    let producer = Producer::new(&settings.kafka)?;
    let sent = producer.send(&record.topic, record.partition, &record.label.key, &record.value, &headers);
    tokio::time::timeout(ACK, sent).await??;
    Ok(())
}

/// The one event in doubt that is meant.
async fn find(settings: &Settings, args: &ShowArgs) -> anyhow::Result<Outcome> {
    let event = EventId(args.event);
    let doubts = log::in_doubt(settings, decoder(settings)?).await?;
    let meant = |outcome: &Outcome| {
        outcome.event_id == event && args.route.as_ref().is_none_or(|route| *route == outcome.route)
    };
    let mut found: Vec<Outcome> = doubts.into_iter().filter(meant).collect();
    match (found.pop(), found.is_empty()) {
        (Some(outcome), true) => Ok(outcome),
        (None, _) => Err(error::command(CommandError::NotInDoubt(event))),
        (Some(last), false) => {
            found.push(last);
            let routes = found.into_iter().map(|outcome| outcome.route).collect::<Vec<_>>().join(", ");
            Err(error::command(CommandError::SeveralInDoubt { event, routes }))
        }
    }
}

fn decoder(settings: &Settings) -> anyhow::Result<Decoder> {
    Ok(Decoder::new(RegistryClient::new(&settings.registry.url).map_err(error::registry)?))
}
