//! `counterfoil mapping try`: one event's data through one route's mapping.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use event::EventType;
use mapping::payload;
use serde_json::json;
use sink::RouteMappings;

use super::Folders;
use crate::{commands::pick, error, out};

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
    let (route, event_type) = pick::route(&set, &args.tenant, &args.route, args.event)?;
    let mapping = RouteMappings::new(args.folders.connectors.as_deref())
        .of(route, event_type)
        .map_err(sink::StartError::Plan)
        .map_err(error::sink)?;
    let data = pick::data(&args.file)?;
    let event = pick::event(&args.tenant, event_type, &data);
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
