//! `counterfoil connector try`: what a route would send for one event, and, if asked to, what the target says about it.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use event::{EventId, EventType, PostingKey};
use serde_json::{Value, json};
use sink::{Failure, Sight, StartError, Trial};
use target::Preview;
use tenancy::{Environment, Offline, SecretSource, TenantSet};

use crate::{commands::pick, error, out};

/// Flags of `counterfoil connector try`.
#[derive(Debug, Args)]
pub(super) struct TryArgs {
    /// Folder of the tenants' configuration
    #[arg(long, value_name = "DIR", default_value = "tenants")]
    tenants: PathBuf,
    /// Folder of connectors on top of the built-in ones: a file of it counts in the place of theirs
    #[arg(long, value_name = "DIR")]
    connectors: Option<PathBuf>,
    /// The tenant
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Its route
    #[arg(long, value_name = "NAME")]
    route: String,
    /// What happened; the route's first event type unless given
    #[arg(long, value_name = "TYPE")]
    event: Option<EventType>,
    /// Sign in, and make the look for real: it reads only
    #[arg(long)]
    look: bool,
    /// Where the sinks keep refresh tokens (`sink.signin`), for `--look`
    #[arg(long, value_name = "DIR", default_value = "data/signin")]
    signin: PathBuf,
    /// The event's `data` as JSON; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: TryArgs) -> anyhow::Result<ExitCode> {
    let source: &dyn SecretSource = if args.look { &Environment } else { &Offline };
    let set = TenantSet::load(&args.tenants, source).map_err(|errors| error::coded(errors.code(), errors))?;
    let (route, event_type) = pick::route(&set, &args.tenant, &args.route, args.event)?;
    let signin = args.look.then_some(args.signin.as_path());
    let trial = Trial::new(route, event_type, args.connectors.as_deref(), signin)
        .map_err(|error| error::sink(StartError::Plan(error)))?;
    let data = pick::data(&args.file)?;
    let event = pick::event(&args.tenant, event_type, &data);
    let tenant = route.tenant.clone();
    let entity = data["id"].as_str().unwrap_or_default();
    let key = PostingKey {
        event: EventId::derive(&tenant, "counterfoil connector try", event_type, entity, 1),
        route: route.id,
        generation: 0,
    };
    let tried =
        trial.posting(key, &data, &event).and_then(|posting| Ok((trial.requests(&posting)?, posting)));
    let (requests, posting) = match tried {
        Ok(tried) => tried,
        Err(refused) => {
            out::line(format_args!("refused: {refused}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    let seen = if args.look { Some(trial.look(&posting).await?) } else { None };
    if args.json {
        let requests: Value = requests.iter().map(as_json).collect();
        let look = seen.as_ref().map(sight_json);
        out::line(format_args!("{:#}", json!({"requests": requests, "look": look})));
    } else {
        requests.iter().for_each(show);
        match &seen {
            Some(seen) => out::line(format_args!("# the look says: {seen}")),
            None => out::line("# nothing was sent; --look makes the look for real"),
        }
    }
    Ok(if seen.is_none_or(|seen| seen.is_answered()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn sight_json(Sight { state, document, failure }: &Sight) -> Value {
    let failure = failure
        .as_ref()
        .map(|Failure { code, status, message }| json!({"code": code, "status": status, "message": message}));
    json!({"state": state, "document": document, "failure": failure})
}

fn as_json(preview: &Preview) -> Value {
    let Preview { request, send, headers, body } = preview;
    json!({"request": request, "send": send, "headers": headers, "body": body})
}

fn show(preview: &Preview) {
    let Preview { request, send, headers, body } = preview;
    out::line(format_args!("# {request}\n{send}"));
    headers.iter().for_each(|(name, value)| out::line(format_args!("{name}: {value}")));
    if !body.is_empty() {
        out::line(format_args!("\n{body}"));
    }
    out::line("");
}
