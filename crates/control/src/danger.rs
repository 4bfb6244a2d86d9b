//! What an operator should know of a change before it is applied.

use std::{fmt, sync::Arc};

use tenancy::{Connection, Route, Tenant};

use crate::{
    Pauses,
    plan::{Kind, TenantPlan},
};

/// Something about a change that the difference of the files does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Danger {
    /// The tenant goes.
    Removed,
    /// Its last state cannot be read by this build, so nothing can be said of it.
    Unreadable,
    /// It is spread over another number of partitions.
    Shards {
        /// Of how many.
        before: u32,
        /// Of how many.
        after: u32,
    },
    /// A route goes.
    Gone {
        /// Its name.
        route: String,
    },
    /// A route has another name.
    Renamed {
        /// Its name so far.
        before: String,
        /// Its name.
        after: String,
    },
    /// A route leads to another connection, object or connector.
    Rerouted {
        /// Its name.
        route: String,
        /// Where it led to: a connection, and what of it differs.
        before: String,
        /// Where it leads to.
        after: String,
    },
    /// A connection leads elsewhere, and is not paused.
    Moved {
        /// The connection.
        connection: String,
    },
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => write!(
                f,
                "its keys let nobody in any more, and what waits for its targets becomes dead letters (SNK-0042)"
            ),
            Self::Unreadable => {
                write!(f, "its applied state is not valid for this build: nothing is compared")
            }
            Self::Shards { before, after } => write!(
                f,
                "`shards` {before} → {after}: events that are repeated meet ledgers that do not know them; apply refuses it \
                 without --allow-shards"
            ),
            Self::Gone { route } => {
                write!(f, "route `{route}` goes: what waits for it becomes dead letters (SNK-0042)")
            }
            Self::Renamed { before, after } => write!(
                f,
                "route `{before}` seems to be renamed to `{after}`: a new identity in the ledger. What waits for `{before}` becomes \
                 dead letters (SNK-0042), and `{after}` knows nothing of what it posted"
            ),
            Self::Rerouted { route, before, after } => write!(
                f,
                "route `{route}` leads to `{after}` in the place of `{before}`, and its ledger goes on: what it posted to `{before}` \
                 is not posted to `{after}`, and what may have been sent there is resolved there. Pause it, let it come to rest, and \
                 apply then"
            ),
            Self::Moved { connection } => write!(
                f,
                "connection `{connection}` leads to another address, and is not paused: what is under way there is looked up \
                 at the new one. Pause it, let it come to rest, and apply then"
            ),
        }
    }
}

impl TenantPlan {
    /// The numbers of partitions, where they change. A removed tenant that comes back counts too: its events may.
    pub fn shards(&self) -> Option<(u32, u32)> {
        let (before, after) = (self.was.as_ref()?.shards, self.is.as_ref()?.shards);
        (before != after).then_some((before, after))
    }

    /// What an operator should know; `pauses` are those that hold.
    pub fn dangers(&self, pauses: &Pauses) -> Vec<Danger> {
        match (self.kind, &self.was, &self.is) {
            (Kind::Unchanged, ..) => Vec::new(),
            (Kind::Removed, ..) => vec![Danger::Removed],
            (_, None, _) => self.before.iter().map(|_| Danger::Unreadable).collect(),
            (_, Some(was), Some(is)) => {
                let shards = self.shards().map(|(before, after)| Danger::Shards { before, after });
                shards
                    .into_iter()
                    .chain(gone(was, is))
                    .chain(rerouted(was, is))
                    .chain(moved(was, is, pauses))
                    .collect()
            }
            (_, Some(_), None) => Vec::new(),
        }
    }
}

/// Routes that are gone, or seem to be renamed: a new one does the same.
fn gone(was: &Tenant, is: &Tenant) -> Vec<Danger> {
    let lacks = |tenant: &Tenant, route: &Route| tenant.routes.iter().all(|other| other.name != route.name);
    let same = |a: &Route, b: &Route| a.connection.name == b.connection.name && !a.on.is_disjoint(&b.on);
    let danger = |before: &Arc<Route>| {
        let after = is.routes.iter().find(|route| lacks(was, route) && same(before, route));
        let (before, after) = (before.name.clone(), after.map(|after| after.name.clone()));
        match after {
            Some(after) => Danger::Renamed { before, after },
            None => Danger::Gone { route: before },
        }
    };
    was.routes.iter().filter(|route| lacks(is, route)).map(danger).collect()
}

/// Routes that keep their name and lead elsewhere.
fn rerouted(was: &Tenant, is: &Tenant) -> Vec<Danger> {
    let danger = |before: &Arc<Route>| {
        let after = is.routes.iter().find(|route| route.name == before.name)?;
        let (was, is) = places(before, after);
        (was != is).then(|| Danger::Rerouted { route: before.name.clone(), before: was, after: is })
    };
    was.routes.iter().filter_map(danger).collect()
}

/// Where a route led, and where it leads: as little of it as says what differs.
fn places(before: &Route, after: &Route) -> (String, String) {
    let names = |route: &Route| route.connection.name.clone();
    let objects = |route: &Route| {
        let object = route.object.as_deref().unwrap_or("the event's own");
        format!("{}, object {object}", names(route))
    };
    let connectors = |route: &Route| format!("{} ({})", names(route), route.connection.connector);
    if names(before) != names(after) {
        (names(before), names(after))
    } else if before.connection.connector != after.connection.connector {
        (connectors(before), connectors(after))
    } else {
        (objects(before), objects(after))
    }
}

/// Connections that lead elsewhere while one of their routes may send.
fn moved(was: &Tenant, is: &Tenant, pauses: &Pauses) -> Vec<Danger> {
    let moves = |connection: &Connection| {
        let after = is.connections.get(&connection.name);
        after.is_some_and(|after| after.base_url != connection.base_url)
    };
    let sends = |name: &str| {
        let mut routes = was.routes.iter().filter(|route| route.connection.name == name);
        routes.any(|route| !pauses.covers(was.id.as_str(), name, &route.name))
    };
    let moved = was.connections.values().filter(|connection| moves(connection) && sends(&connection.name));
    moved.map(|connection| Danger::Moved { connection: connection.name.clone() }).collect()
}
