//! `counterfoil mapping impact`: what a change would break, before it is made.

use std::{collections::BTreeMap, fs, io, path::PathBuf, process::ExitCode};

use clap::Args;
use contract::DataType;
use event::ObjectKind;
use mapping::connectors::ConnectorErrors;
use serde_json::json;
use sink::{PlanError, RouteMappings};
use tenancy::Route;

use super::{
    Folders,
    cases::{self, Told},
};
use crate::{
    error::{self, CommandError},
    out,
};

/// Flags of `counterfoil mapping impact`.
#[derive(Debug, Args)]
pub(super) struct ImpactArgs {
    /// Folder of the tenants' configuration
    #[arg(long, value_name = "DIR", default_value = "tenants")]
    tenants: PathBuf,
    /// Folder of connectors as they would be, on top of the built-in ones
    #[arg(long, value_name = "DIR")]
    connectors: Option<PathBuf>,
    /// A schema as it would be, `<object>.v1.avsc`; may be given several times
    #[arg(long, value_name = "FILE")]
    schema: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What would break.
struct Broken {
    tenant: String,
    route: String,
    object: String,
    /// The case that does not hold any more; none where its programs do not compile.
    case: Option<String>,
    what: String,
}

pub(super) fn run(args: &ImpactArgs) -> anyhow::Result<ExitCode> {
    let folders = Folders { tenants: args.tenants.clone(), connectors: args.connectors.clone() };
    let set = folders.set()?;
    let schemas: BTreeMap<ObjectKind, DataType> = args.schema.iter().map(schema).collect::<Result<_, _>>()?;
    let mut mappings = RouteMappings::new(args.connectors.as_deref());
    let (mut broken, mut looked_at) = (Vec::new(), 0);
    for route in cases::routes(&set) {
        looked_at += 1;
        broken.extend(look(args, route, &schemas, &mut mappings)?);
    }
    if args.json {
        let all = broken.iter().map(|one| {
            let Broken { tenant, route, object, case, what } = one;
            json!({"tenant": tenant, "route": route, "object": object, "case": case, "what": what})
        });
        out::line(format_args!("{:#}", json!({"routes": looked_at, "broken": all.collect::<Vec<_>>()})));
    } else {
        for Broken { tenant, route, object, case, what } in &broken {
            let case = case.as_ref().map(|case| format!("{case}: ")).unwrap_or_default();
            out::line(format_args!("{tenant}/{route} ({object}): {case}{what}"));
        }
        out::line(format_args!("{looked_at} routes, {} broken", broken.len()));
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What would break of a route: programs that do not compile any more, and cases of those that do which do not hold any more, one line
/// for each field that is different.
fn look(
    args: &ImpactArgs,
    route: &Route,
    schemas: &BTreeMap<ObjectKind, DataType>,
    mappings: &mut RouteMappings,
) -> anyhow::Result<Vec<Broken>> {
    let mut broken = Vec::new();
    let of = |object: String, case: Option<String>, what: String| {
        let (tenant, route) = (route.tenant.to_string(), route.name.clone());
        Broken { tenant, route, object, case, what }
    };
    let told = cases::of_route(&args.tenants, route, |event_type| {
        let made = match schemas.get(&event_type.object()) {
            Some(data) => mappings.for_data(route, event_type, data),
            None => mappings.of(route, event_type),
        };
        let object = event_type.object().name();
        made.map_err(|error| broken.extend(wrong(error).map(|what| of(object.to_owned(), None, what)))).ok()
    })?;
    for Told { file, object, difference } in told {
        let lines = difference.iter().flat_map(|difference| difference.lines());
        broken.extend(lines.map(|line| of(object.clone(), Some(file.clone()), line.to_owned())));
    }
    Ok(broken)
}

/// What is wrong, each by itself.
fn wrong(error: PlanError) -> impl Iterator<Item = String> {
    let all = match error {
        PlanError::Mapping { problems, .. } | PlanError::Mappings(ConnectorErrors(problems)) => {
            problems.iter().map(ToString::to_string).collect()
        }
        other => vec![other.to_string()],
    };
    all.into_iter()
}

/// The object of a schema's file, and the type that it gives.
fn schema(path: &PathBuf) -> anyhow::Result<(ObjectKind, DataType)> {
    let file = path.display().to_string();
    let wrong = |what: String| {
        let source = io::Error::new(io::ErrorKind::InvalidData, what);
        error::command(CommandError::Input { file: file.clone(), source })
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let object = name.split('.').next().unwrap_or_default().parse::<ObjectKind>();
    let object = object.map_err(|error| wrong(format!("its name is not `<object>.v1.avsc`: {error}")))?;
    let text = fs::read_to_string(path)
        .map_err(|source| error::command(CommandError::Input { file: file.clone(), source }))?;
    Ok((object, DataType::of_schema(object, &text).map_err(wrong)?))
}
