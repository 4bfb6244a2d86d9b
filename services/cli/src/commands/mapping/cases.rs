//! The cases of a folder, run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use event::EventType;
use mapping::{Mapping, payload::Case};
use tenancy::{Route, TenantSet};

use crate::error::{self, CommandError};

/// What makes a payload of an event's data: a mapping, or none where the data is sent as it is; nothing at all where it does not compile.
pub(super) type Made = Option<Option<Mapping>>;

/// What became of a case.
pub(super) struct Told {
    pub(super) file: String,
    /// The object of its event.
    pub(super) object: String,
    /// What is different from what it says; none if it holds.
    pub(super) difference: Option<String>,
}

/// Runs the cases of `<folder>/tests` that `of_it` says are to be run, by the names of their files. Those of a mapping that does not compile are
/// left out: that is told by itself.
pub(super) fn run(
    folder: &Path,
    of_it: impl Fn(&str) -> bool,
    object: impl Fn(&Case) -> (String, Option<usize>),
    mappings: &[Made],
) -> anyhow::Result<Vec<Told>> {
    let mut told = Vec::new();
    for path in files(&folder.join("tests"))? {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !of_it(&stem) || path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let file = path.display().to_string();
        let yaml = fs::read_to_string(&path)
            .map_err(|source| error::command(CommandError::Input { file: file.clone(), source }))?;
        let (object, difference) = match Case::parse(&file, &yaml) {
            Err(wrong) => {
                let object = stem.split('.').next().unwrap_or_default();
                (object.to_owned(), Some(wrong.to_string()))
            }
            Ok(case) => match object(&case) {
                (object, Some(place)) => {
                    let Some(mapping) = &mappings[place] else { continue };
                    let difference = case.run(&object, mapping.as_ref()).err();
                    (object, difference)
                }
                (object, None) => {
                    let difference = format!("the route takes no events of `{object}`");
                    (object, Some(difference))
                }
            },
        };
        told.push(Told { file, object, difference });
    }
    Ok(told)
}

/// The files of a folder in the order of their names; none if there is no such folder.
pub(super) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = |source| error::command(CommandError::Tenants { path: folder.to_owned(), source });
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// Runs the cases of a route, `<tenant>/mappings/tests/<route>.<case>.yaml`. The event's object is that of the case's `event`, or the
/// route's first.
pub(super) fn of_route(
    tenants: &Path,
    route: &Route,
    mut compile: impl FnMut(EventType) -> Made,
) -> anyhow::Result<Vec<Told>> {
    let types = objects(route);
    let mappings: Vec<Made> = types.iter().map(|event_type| compile(*event_type)).collect();
    let folder = tenants.join(route.tenant.as_str()).join("mappings");
    let object = |case: &Case| {
        let named = case.event.get("object").and_then(|object| object.as_str());
        let place = named.map_or(Some(0), |name| types.iter().position(|t| t.object().name() == name));
        let name = place.map_or_else(|| named.unwrap_or_default(), |place| types[place].object().name());
        (name.to_owned(), place)
    };
    let of_it = |stem: &str| stem.strip_prefix(route.name.as_str()).is_some_and(|rest| rest.starts_with('.'));
    run(&folder, of_it, object, &mappings)
}

/// One event type for each object that a route takes.
pub(super) fn objects(route: &Route) -> Vec<EventType> {
    let mut types: Vec<EventType> = Vec::new();
    for event_type in &route.on {
        if !types.iter().any(|known| known.object() == event_type.object()) {
            types.push(*event_type);
        }
    }
    types
}

/// Every route of every tenant.
pub(super) fn routes(set: &TenantSet) -> impl Iterator<Item = &Route> {
    set.iter().flat_map(|tenant| tenant.routes.iter().map(|route| &**route))
}
