//! `counterfoil mapping try`: one event's data through one route's mapping.

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use event::EventType;
use mapping::payload;
use serde_json::{Value, json};
use sink::RouteMappings;

use super::Folders;
use crate::{
    error::{self, CommandError},
    out,
};

/// Flags of `counterfoil mapping try`.
#[derive(Debug, Args)]
pub(super) struct TryArgs {
    #[command(flatten)]
    folders: Folders,
    /// The tenant
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Its route
    #[arg(long, value_name = "NAME")]
    route: String,
    /// What happened; the route's first event type unless given
    #[arg(long, value_name = "TYPE")]
    event: Option<EventType>,
    /// The event's `data` as JSON; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Print a refusal as JSON too
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TryArgs) -> anyhow::Result<ExitCode> {
    let set = args.folders.set()?;
    let unknown = |what, name: &str, have: Vec<&str>| {
        error::command(CommandError::Unknown { what, name: name.to_owned(), have: have.join(", ") })
    };
    let tenant = set.iter().find(|tenant| tenant.id.as_str() == args.tenant).ok_or_else(|| {
        unknown("tenant", &args.tenant, set.iter().map(|tenant| tenant.id.as_str()).collect())
    })?;
    let route = tenant.routes.iter().find(|route| route.name == args.route).ok_or_else(|| {
        unknown("route", &args.route, tenant.routes.iter().map(|route| route.name.as_str()).collect())
    })?;
    let types: Vec<String> = route.on.iter().map(ToString::to_string).collect();
    let event_type = match args.event {
        None => route.on.iter().next().copied(),
        Some(given) => route.on.get(&given).copied(),
    };
    let event_type = event_type.ok_or_else(|| {
        let given = args.event.map(|given| given.to_string()).unwrap_or_default();
        unknown("event type of the route", &given, types.iter().map(String::as_str).collect())
    })?;
    let mapping = RouteMappings::new(args.folders.connectors.as_deref())
        .of(route, event_type)
        .map_err(|error| sink::StartError::Plan(error))
        .map_err(error::sink)?;
    let data = read(&args.file)?;
    let mut event = payload::event(event_type.object().name(), data["id"].as_str().unwrap_or_default());
    event["type"] = json!(event_type.to_string());
    event["tenant"] = json!(args.tenant);
    match mapping.map_or_else(|| Ok(data.clone()), |mapping| mapping.apply(&data, &event)) {
        Ok(made) => {
            out::line(format_args!("{made:#}"));
            Ok(ExitCode::SUCCESS)
        }
        Err(refusal) => {
            let payload::Refusal { code, field, message } = refusal;
            if args.json {
                out::line(format_args!("{:#}", json!({"code": code, "field": field, "message": message})));
            } else {
                let field = field.map(|field| format!("{field}: ")).unwrap_or_default();
                out::line(format_args!("refused: {code}: {field}{message}"));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn read(file: &std::path::Path) -> anyhow::Result<Value> {
    let name = file.display().to_string();
    let unreadable = |source| error::command(CommandError::Input { file: name.clone(), source });
    let text = if name == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        text
    } else {
        fs::read_to_string(file).map_err(unreadable)?
    };
    serde_json::from_str(&text).map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))
}
