//! Puts a tenant together from its files.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use event::{EventType, RouteId, TenantId};

use crate::{
    api_key::KeyRing,
    connection::{self, Connection},
    files::Folder,
    node::{self, Node},
    problem::{Position, Report, code, did_you_mean},
    route::{self, Overlay, Route, RouteFile},
    secret::SecretSource,
    tenant::{self, Tenant},
    watch::Asked,
};

/// Reads one tenant's folder. All of it is read even if a part is wrong, so that every problem is reported.
pub(crate) fn tenant(
    place: &str,
    folder: &Folder,
    report: Report<'_>,
    keys: &mut KeyRing,
    source: &dyn SecretSource,
) -> Option<Tenant> {
    let asked = Asked::new(source);
    let tenant_file = read_tenant_file(place, folder, report, keys, &asked);
    let connections = read_connections(folder, report, &asked);
    let print = asked.print(folder);
    let mut routes = read_routes(folder, report);
    add_overlays(folder, &mut routes, report);
    check_sources(&connections, report);
    // A route's tenant may be known even where its file is wrong; the folder's name stands in then.
    let id: TenantId = place.parse().ok()?;
    let routes = connect(&id, routes, &connections, report);
    check_double_delivery(&routes, report);
    let by_type = index(&routes);
    let file = tenant_file?;
    let connections = connections.into_iter().filter_map(|(name, c)| Some((name, c?))).collect();
    Some(Tenant {
        id: file.id,
        name: file.name,
        region: file.region,
        owner: file.owner,
        shards: file.shards,
        weight: file.weight,
        quota: file.quota,
        connections,
        routes,
        print,
        by_type,
    })
}

fn read_tenant_file(
    place: &str,
    folder: &Folder,
    report: Report<'_>,
    keys: &mut KeyRing,
    source: &dyn SecretSource,
) -> Option<tenant::TenantFile> {
    let path = format!("{}/tenant.yaml", report.file);
    let report = Report { file: &path, ..report };
    let Some(text) = folder.get("tenant.yaml") else {
        report.add(
            code::UNREADABLE,
            Position::default(),
            "there is no such file, and every tenant needs one",
        );
        return None;
    };
    let node = node::parse(text, report)?;
    let file = tenant::read(report, &node, place, source)?;
    keys.add(report, &file.id, &file.api_keys);
    Some(file)
}

/// Every connection by name; `None` for one that is wrong, so that routes to it raise no second complaint.
fn read_connections(
    folder: &Folder,
    report: Report<'_>,
    source: &dyn SecretSource,
) -> BTreeMap<String, Option<Arc<Connection>>> {
    let mut connections = BTreeMap::new();
    each_file(folder, "connections", report, |name, node, report| {
        let connection = node.and_then(|node| connection::read(report, &node, name, source));
        connections.insert(name.to_owned(), connection.map(Arc::new));
    });
    connections
}

fn read_routes(folder: &Folder, report: Report<'_>) -> Vec<RouteFile> {
    let mut routes = Vec::new();
    each_file(folder, "routes", report, |name, node, report| {
        routes.extend(node.and_then(|node| route::read(report, &node, name)));
    });
    routes
}

/// Gives each route its program, `mappings/<route>.vrl`.
fn add_overlays(folder: &Folder, routes: &mut [RouteFile], report: Report<'_>) {
    for (file, text) in folder {
        let Some(name) = file.strip_prefix("mappings/").and_then(|file| file.strip_suffix(".vrl")) else {
            continue;
        };
        let path = format!("{}/{file}", report.file);
        match routes.iter_mut().find(|route| route.name == name) {
            Some(route) => route.mapping.overlay = Some(Overlay { file: path, text: text.clone() }),
            None => {
                let message = format!("there is no route `{name}`");
                let suggestion = did_you_mean(name, routes.iter().map(|route| route.name.as_str()));
                let report = Report { file: &path, ..report };
                report.add_with(code::UNKNOWN_REFERENCE, Position::default(), message, suggestion);
            }
        }
    }
}

fn each_file(
    folder: &Folder,
    kind: &str,
    report: Report<'_>,
    mut read: impl FnMut(&str, Option<Node>, Report<'_>),
) {
    for (file, text) in folder {
        let Some(name) = file.strip_prefix(kind).and_then(|f| f.strip_prefix('/')) else { continue };
        let Some(name) = name.strip_suffix(".yaml") else { continue };
        let path = format!("{}/{file}", report.file);
        let report = Report { file: &path, ..report };
        read(name, node::parse(text, report), report);
    }
}

/// Event ids derive from the source, so two of one tenant's webhooks and polls must not share one.
fn check_sources(connections: &BTreeMap<String, Option<Arc<Connection>>>, report: Report<'_>) {
    let mut seen = BTreeMap::new();
    for connection in connections.values().flatten() {
        let webhook = connection.webhook.as_ref().map(|webhook| ("webhook", &webhook.source, webhook.at));
        let poll = connection.poll.as_ref().map(|poll| ("poll", &poll.source, poll.at));
        for (kind, source, at) in webhook.into_iter().chain(poll) {
            let Some(other) = seen.insert(source.as_str(), connection.name.as_str()) else { continue };
            let path = format!("{}/connections/{}.yaml", report.file, connection.name);
            let message = format!("{kind} source `{source}` is already that of connection `{other}`");
            let hint = Some("give each its own `source`: event ids derive from it".to_owned());
            Report { file: &path, ..report }.add_with(code::DUPLICATE, at, message, hint);
        }
    }
}

/// Gives each route its connection.
fn connect(
    tenant: &TenantId,
    routes: Vec<RouteFile>,
    connections: &BTreeMap<String, Option<Arc<Connection>>>,
    report: Report<'_>,
) -> Vec<Arc<Route>> {
    let mut connected = Vec::new();
    for route in routes {
        let path = format!("{}/routes/{}.yaml", report.file, route.name);
        let report = Report { file: &path, ..report };
        if let Some(connection) = find_connection(&route, connections, report) {
            connected.push(Arc::new(Route {
                id: RouteId::derive(tenant, &route.name),
                name: route.name,
                tenant: tenant.clone(),
                on: route.on,
                connection,
                object: route.object,
                on_unknown: route.policy.on_unknown,
                posts: route.policy.posts,
                require: route.policy.require,
                mapping: route.mapping,
                places: route.places,
            }));
        }
    }
    connected
}

fn find_connection(
    route: &RouteFile,
    connections: &BTreeMap<String, Option<Arc<Connection>>>,
    report: Report<'_>,
) -> Option<Arc<Connection>> {
    let Some(connection) = connections.get(&route.to) else {
        let suggestion = did_you_mean(&route.to, connections.keys().map(String::as_str));
        let message = format!("there is no connection `{}`", route.to);
        report.add_with(code::UNKNOWN_REFERENCE, route.places.to, message, suggestion);
        return None;
    };
    let connection = connection.clone()?;
    if !connection.can_be_target() {
        let message =
            format!("connection `{}` has no `base_url`, so nothing can be delivered to it", route.to);
        report.add(code::UNKNOWN_REFERENCE, route.places.to, message);
        return None;
    }
    Some(connection)
}

/// Reports routes that would post the same event twice to the same object of a connection.
fn check_double_delivery(routes: &[Arc<Route>], report: Report<'_>) {
    for (i, route) in routes.iter().enumerate() {
        for other in &routes[..i] {
            let both = |t: &&EventType| {
                other.on.contains(t)
                    && other.connection.name == route.connection.name
                    && target_object(other, **t) == target_object(route, **t)
            };
            let Some(event_type) = route.on.iter().find(both) else { continue };
            let path = format!("{}/routes/{}.yaml", report.file, route.name);
            let message = format!(
                "`{event_type}` already goes to `{}` by route `{}`; both would post it",
                route.connection.name, other.name
            );
            Report { file: &path, ..report }.add(code::DOUBLE_DELIVERY, route.places.on, message);
        }
    }
}

fn target_object(route: &Route, event_type: EventType) -> &str {
    route.object.as_deref().unwrap_or_else(|| event_type.object().name())
}

fn index(routes: &[Arc<Route>]) -> HashMap<EventType, Vec<Arc<Route>>> {
    let mut by_type: HashMap<EventType, Vec<Arc<Route>>> = HashMap::new();
    for route in routes {
        for event_type in &route.on {
            by_type.entry(*event_type).or_default().push(Arc::clone(route));
        }
    }
    by_type
}
