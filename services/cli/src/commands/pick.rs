//! What commands that try one event out have in common: a route by its names, an event by its data.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use event::EventType;
use mapping::payload;
use serde_json::{Value, json};
use tenancy::{Route, TenantSet};

use crate::error::{self, CommandError};

/// A tenant's route, and the event type that it is tried with: its first one unless one is given.
pub(super) fn route<'a>(
    set: &'a TenantSet,
    tenant: &str,
    route: &str,
    event_type: Option<EventType>,
) -> anyhow::Result<(&'a Route, EventType)> {
    let unknown = |what, name: &str, have: Vec<String>| {
        error::command(CommandError::Unknown { what, name: name.to_owned(), have: have.join(", ") })
    };
    let found = set
        .iter()
        .find(|one| one.id.as_str() == tenant)
        .ok_or_else(|| unknown("tenant", tenant, set.iter().map(|one| one.id.to_string()).collect()))?;
    let names = || found.routes.iter().map(|one| one.name.clone()).collect();
    let found =
        found.routes.iter().find(|one| one.name == route).ok_or_else(|| unknown("route", route, names()))?;
    let picked = match event_type {
        None => found.on.iter().next().copied(),
        Some(given) => found.on.get(&given).copied(),
    };
    let picked = picked.ok_or_else(|| {
        let given = event_type.map(|given| given.to_string()).unwrap_or_default();
        unknown("event type of the route", &given, found.on.iter().map(ToString::to_string).collect())
    })?;
    Ok((found, picked))
}

/// The data of an event, from a file or, for `-`, standard input.
pub(super) fn data(file: &Path) -> anyhow::Result<Value> {
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

/// What a mapping sees of it as `%event`.
pub(super) fn event(tenant: &str, event_type: EventType, data: &Value) -> Value {
    let mut event = payload::event(event_type.object().name(), data["id"].as_str().unwrap_or_default());
    event["type"] = json!(event_type.to_string());
    event["tenant"] = json!(tenant);
    event
}
