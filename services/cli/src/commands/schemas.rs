//! `counterfoil schemas`: this build's contracts beside the registry's, and their published history.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use contract::{Checked, Compatibility, Contracts, RegistryClient, RegistryError, history};
use event::ObjectKind;
use serde_json::json;
use service_kit::config::Flags;

use crate::{
    PENDING, error, out,
    settings::{RegistryArgs, Settings, SettingsArgs},
};

/// Flags of `counterfoil schemas`.
#[derive(Debug, Args)]
pub struct SchemasArgs {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what the registry thinks of this build's schemas, and whether they go with their published history
    #[command(after_help = "\
Exit code 0: all are registered. 1: at least one is not compatible. 2: some are still to be registered.

Example:
  counterfoil schemas check --registry http://127.0.0.1:8090
  counterfoil schemas check --offline --dir schemas")]
    Check(CheckArgs),
    /// Register every schema, at the compatibility level FULL_TRANSITIVE; all of them or none
    #[command(after_help = "\
Example:
  counterfoil schemas register --registry http://127.0.0.1:8090")]
    Register(RegisterArgs),
    /// Publish each schema that changed as the next version in the history of a checkout
    #[command(after_help = "\
The schemas are those that this program was built with: build it from the same checkout first.

Example:
  counterfoil schemas snapshot --dir schemas")]
    Snapshot(SnapshotArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Look at the history only, ask no registry
    #[arg(long)]
    offline: bool,
    /// The checkout's folder of schemas; its history is checked too [default: ./schemas, if there is one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RegisterArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SnapshotArgs {
    /// The checkout's folder of schemas
    #[arg(long, value_name = "DIR", default_value = "schemas")]
    dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks, registers or publishes.
///
/// # Errors
/// When a schema is not compatible, the registry does not answer, or the history cannot be read or written.
pub async fn run(args: SchemasArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Check(args) => check(args).await,
        Action::Register(args) => {
            let flags = args.registry.flags(Flags::new());
            let Some(settings) = args.settings.load(flags)? else { return Ok(ExitCode::SUCCESS) };
            let registered = register(&settings).await?;
            if args.json {
                let rows = registered.iter().map(|(subject, id)| json!({"subject": subject, "id": id}));
                out::line(format_args!("{:#}", json!({"registered": rows.collect::<Vec<_>>()})));
            } else {
                registered.iter().for_each(|(subject, id)| out::line(format_args!("{subject}: schema {id}")));
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Snapshot(args) => snapshot(&args),
    }
}

/// One subject and what the registry thinks of its schema.
struct Row {
    subject: String,
    verdict: Verdict,
}

enum Verdict {
    Registered(u32),
    Compatible,
    New,
    Incompatible(Vec<String>),
}

async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let Some(settings) = args.settings.load(args.registry.flags(Flags::new()))? else {
        return Ok(ExitCode::SUCCESS);
    };
    let history = check_history(args.dir.as_deref(), args.offline)?;
    let rows = if args.offline { Vec::new() } else { compare(&settings).await? };
    if args.json {
        let rows: Vec<_> = rows.iter().map(Row::document).collect();
        out::line(format_args!("{:#}", json!({"history": history, "subjects": rows})));
    } else {
        history.iter().for_each(|dir| {
            out::line(format_args!("history in {}: every version reads every other", dir.display()))
        });
        rows.iter().for_each(|row| out::line(row.line()));
    }
    if rows.iter().any(|row| matches!(row.verdict, Verdict::Incompatible(_))) {
        return Ok(ExitCode::FAILURE);
    }
    let registered = rows.iter().all(|row| matches!(row.verdict, Verdict::Registered(_)));
    Ok(if registered { ExitCode::SUCCESS } else { ExitCode::from(PENDING) })
}

/// The folder whose history was checked. Without `dir`, outside of a checkout, there is none to check.
fn check_history(dir: Option<&Path>, must: bool) -> anyhow::Result<Option<PathBuf>> {
    let folder = dir.unwrap_or(Path::new("schemas")).join("history");
    if dir.is_none() && !must && !folder.is_dir() {
        return Ok(None);
    }
    history::verify(&folder).map_err(error::history)?;
    Ok(Some(folder))
}

async fn compare(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let client = client(settings)?;
    let mut rows = Vec::new();
    for (subject, json) in subjects(&settings.region) {
        let verdict = verdict(&client, &subject, json).await.map_err(error::registry)?;
        rows.push(Row { subject, verdict });
    }
    Ok(rows)
}

async fn verdict(client: &RegistryClient, subject: &str, json: &str) -> Result<Verdict, RegistryError> {
    Ok(match client.check(subject, json).await? {
        Checked::NoSubject => Verdict::New,
        Checked::Incompatible(reasons) => Verdict::Incompatible(reasons),
        Checked::Compatible => {
            client.latest_id(subject, json).await?.map_or(Verdict::Compatible, Verdict::Registered)
        }
    })
}

/// Registers every schema and gives their ids. Nothing is registered if one of them is not compatible.
///
/// # Errors
/// When one is not compatible, or the registry does not answer.
pub(super) async fn register(settings: &Settings) -> anyhow::Result<Vec<(String, u32)>> {
    const LEVEL: Compatibility = Compatibility::FullTransitive;
    let client = client(settings)?;
    let mut new = Vec::new();
    for (subject, json) in subjects(&settings.region) {
        // The level first: it decides against how many versions the check is made.
        let is_new = client.check(&subject, json).await.map_err(error::registry)? == Checked::NoSubject;
        if !is_new {
            client.set_compatibility(&subject, LEVEL).await.map_err(error::registry)?;
            if let Checked::Incompatible(reasons) =
                client.check(&subject, json).await.map_err(error::registry)?
            {
                return Err(error::registry(RegistryError::Incompatible {
                    subject,
                    message: reasons.join("; "),
                }));
            }
        }
        new.push((subject, json, is_new));
    }
    let mut ids = Vec::with_capacity(new.len());
    for (subject, json, is_new) in new {
        let id = client.register(&subject, json).await.map_err(error::registry)?;
        if is_new {
            // Not before: some registries know no level of a subject that they do not have.
            client.set_compatibility(&subject, LEVEL).await.map_err(error::registry)?;
        }
        ids.push((subject, id));
    }
    Ok(ids)
}

fn snapshot(args: &SnapshotArgs) -> anyhow::Result<ExitCode> {
    let written = history::snapshot(&args.dir.join("history")).map_err(error::history)?;
    if args.json {
        out::line(format_args!("{:#}", json!({"written": written})));
    } else if written.is_empty() {
        out::line("nothing to publish");
    } else {
        written.iter().for_each(|path| out::line(path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn client(settings: &Settings) -> anyhow::Result<RegistryClient> {
    RegistryClient::new(&settings.registry.url).map_err(error::registry)
}

/// Every subject of a region with its schema.
fn subjects(region: &str) -> impl Iterator<Item = (String, &'static str)> {
    let contracts = Contracts::embedded();
    let objects = ObjectKind::ALL
        .into_iter()
        .map(move |kind| (contract::object_subject(region, kind), contracts.object(kind).json.as_str()));
    objects.chain([(contract::outcome_subject(region), contracts.outcome().json.as_str())])
}

impl Row {
    fn line(&self) -> String {
        let subject = &self.subject;
        match &self.verdict {
            Verdict::Registered(id) => format!("{subject}: registered, schema {id}"),
            Verdict::Compatible => format!("{subject}: compatible, to be registered as a new version"),
            Verdict::New => format!("{subject}: no version yet, to be registered"),
            Verdict::Incompatible(reasons) => format!("{subject}: NOT compatible: {}", reasons.join("; ")),
        }
    }

    fn document(&self) -> serde_json::Value {
        let subject = &self.subject;
        match &self.verdict {
            Verdict::Registered(id) => json!({"subject": subject, "state": "registered", "id": id}),
            Verdict::Compatible => json!({"subject": subject, "state": "compatible"}),
            Verdict::New => json!({"subject": subject, "state": "new"}),
            Verdict::Incompatible(reasons) => {
                json!({"subject": subject, "state": "incompatible", "reasons": reasons})
            }
        }
    }
}
