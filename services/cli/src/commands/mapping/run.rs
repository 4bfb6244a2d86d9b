//! `counterfoil mapping test`: the cases of base mappings and overlays.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
    process::ExitCode,
};

use clap::Args;
use event::ObjectKind;
use mapping::{
    Mapping, connectors,
    payload::{Lookups, Parts},
};
use serde_json::json;
use sink::{RouteMappings, payload_fields};
use target::Connector;

use super::{
    Folders,
    cases::{self, Told},
};
use crate::{error, out};

/// Flags of `counterfoil mapping test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    folders: Folders,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let mut told = bases(&args.folders)?;
    let set = args.folders.set()?;
    let mut mappings = RouteMappings::new(args.folders.connectors.as_deref());
    for route in cases::routes(&set) {
        let mut wrong = Vec::new();
        told.extend(cases::of_route(&args.folders.tenants, route, |event_type| {
            mappings.of(route, event_type).map_err(|error| wrong.push((event_type, error.to_string()))).ok()
        })?);
        told.extend(wrong.into_iter().map(|(event_type, difference)| Told {
            file: format!("{}/{}/mappings", args.folders.tenants.display(), route.tenant),
            object: event_type.object().name().to_owned(),
            difference: Some(difference),
        }));
    }
    let failed = told.iter().filter(|one| one.difference.is_some()).count();
    if args.json {
        let cases = told.iter().map(|one| json!({"file": one.file, "difference": one.difference}));
        let document = json!({"cases": told.len(), "failed": failed, "results": cases.collect::<Vec<_>>()});
        out::line(format_args!("{document:#}"));
    } else {
        for one in &told {
            match &one.difference {
                None => out::line(format_args!("{}: ok", one.file)),
                Some(difference) => {
                    out::line(format_args!("{}: FAILED\n  {}", one.file, difference.replace('\n', "\n  ")));
                }
            }
        }
        out::line(format_args!("{} cases, {failed} failed", told.len()));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The cases of the base mappings in a folder of connectors, and of those that go with a definition of it; the others are built in, and
/// tests of this repository.
fn bases(folders: &Folders) -> anyhow::Result<Vec<Told>> {
    let Some(dir) = &folders.connectors else { return Ok(Vec::new()) };
    let connectors = connectors::load(dir).map_err(|errors| {
        let code = errors.code().to_owned();
        error::coded(&code, errors)
    })?;
    let mut told = Vec::new();
    let mut definitions = BTreeMap::new();
    let in_folder = |system: &str, object: &str| {
        let mapping = dir.join(system).join("mappings").join(format!("{object}.vrl"));
        mapping.exists() || dir.join(format!("{system}.yaml")).exists()
    };
    for (system, object, base) in connectors.bases().filter(|(system, object, _)| in_folder(system, object)) {
        let Ok(kind) = object.split('.').next().unwrap_or_default().parse::<ObjectKind>() else { continue };
        let definition = match definitions.entry(system) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(definition(dir, system)?),
        }
        .as_ref();
        let parts = Parts {
            base: Some(base.clone()),
            fields: definition.and_then(|definition| payload_fields(definition, object)),
            lookups: definition.map(|definition| Lookups::new(definition.lookups())),
            ..Parts::default()
        };
        let mapping = match Mapping::compile(kind, &parts) {
            Ok(mapping) => mapping,
            Err(problems) => {
                told.extend(problems.iter().map(|one| Told {
                    file: base.name.clone(),
                    object: object.to_owned(),
                    difference: Some(one.to_string()),
                }));
                continue;
            }
        };
        let folder = dir.join(system).join("mappings");
        let of = |_: &mapping::payload::Case| (kind.name().to_owned(), Some(0));
        let of_it = |stem: &str| connectors.object_of_case(system, stem) == Some(object);
        told.extend(cases::run(&folder, of_it, of, &[Some(mapping)])?);
    }
    Ok(told)
}

/// The definition of the system that base mappings are of; none where only mappings are kept of it.
fn definition(dir: &Path, system: &str) -> anyhow::Result<Option<Connector>> {
    let kept = dir.join(format!("{system}.yaml")).exists() || Connector::embedded_names().contains(&system);
    let definition = kept.then(|| Connector::load(Some(dir), system)).transpose();
    definition.map_err(|error| {
        let code = error.code().to_owned();
        error::coded(&code, error)
    })
}
