//! What each route will guarantee, before anything is deployed: derived from the same endpoints that deliver.

use std::{collections::BTreeSet, fmt, path::Path};

use delivery::{Class, OnExisting, OnUnknown};
use event::{ObjectKind, TenantId};
use mapping::connectors::ConnectorErrors;
use target::{Connector, DefinitionError, Endpoint, EndpointError, Misfit};
use tenancy::{Connection, Position, Problem, Require, Route, Shares, Tenant, TenantSet, revision::Digests};

use crate::{
    connectors::Connectors,
    plan::{self, Allowed, Excess, PlanError},
    restore::chain,
};

/// A route weaker than its policy asks.
const TOO_WEAK: &str = "CFG-0120";
/// A connector that does not exist or cannot be read.
const NO_CONNECTOR: &str = "CFG-0121";
/// A connection that leads to an address it does not allow.
const EGRESS: &str = "CFG-0122";
/// A route that its connector cannot carry out.
const NOT_POSSIBLE: &str = "CFG-0123";
/// A route of which nobody makes what its connector takes.
const NOT_MADE: &str = "CFG-0125";

/// What a route guarantees for some of its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarantee {
    /// Whose.
    pub tenant: TenantId,
    /// The route.
    pub route: String,
    /// The objects of the events that it is about.
    pub objects: BTreeSet<ObjectKind>,
    /// Where they go.
    pub connection: String,
    /// What kind of system that is.
    pub connector: String,
    /// What the target can do.
    pub class: Class,
    /// How long a write may take to show in a look-up, milliseconds.
    pub lag_ms: u64,
    /// What happens where a document is found that says something else.
    pub on_existing: OnExisting,
    /// Whether that document is changed only in the version that was found.
    pub conditional: bool,
    /// How many effects an event has, whatever fails.
    pub gives: Require,
    /// What the target may be asked for.
    pub allowed: Allowed,
    /// The field of the event's data that names what the target locks.
    pub serialize_on: Option<String>,
    /// How attempts are divided.
    pub shares: Shares,
    /// The most events that share a request; 1: each has its own.
    pub together: u32,
}

/// What an examination found.
#[derive(Debug, Default)]
pub struct Examined {
    /// For every route that can be carried out.
    pub guarantees: Vec<Guarantee>,
    /// What keeps the configuration from being accepted, each in its file: a tenant's, or a connector's.
    pub problems: Vec<Problem>,
    /// The connectors that it was examined with.
    pub connectors: Digests,
}

/// Examines every route of every tenant. `folder` is what the folder of the tenants is called in problems; connectors come from `dir`, or
/// from the binary.
pub fn examine(set: &TenantSet, folder: &str, dir: Option<&Path>) -> Examined {
    let mut examined = Examined::default();
    let mut connectors = Connectors::new(dir);
    for tenant in set.iter() {
        let mut of_tenant = Vec::new();
        check_connections(tenant, &mut of_tenant);
        for route in &tenant.routes {
            examine_route(route, &mut connectors, (&mut examined, &mut of_tenant));
        }
        let folder = folder.trim_end_matches('/');
        of_tenant.iter_mut().for_each(|problem| problem.file = format!("{folder}/{}", problem.file));
        examined.problems.append(&mut of_tenant);
    }
    examined.problems.sort_by(|a, b| (&a.file, a.at, a.code).cmp(&(&b.file, b.at, b.code)));
    examined.problems.dedup();
    examined.connectors = connectors.all_digests();
    examined
}

fn check_connections(tenant: &Tenant, problems: &mut Vec<Problem>) {
    for connection in tenant.connections.values() {
        if let Err(refused) = plan::check_egress(&plan::egress(connection), connection) {
            let hint = match refused.kind {
                target::Kind::Loopback | target::Kind::Private => {
                    "if it is meant: `egress: {allow_private: true}`"
                }
                target::Kind::LinkLocal | target::Kind::Special => {
                    "if it is meant: `egress: {allow: [<network>]}`"
                }
            };
            let at = connection.base_url_at;
            problems.push(of_connection(EGRESS, &tenant.id, connection, at, refused.to_string(), hint));
        }
    }
}

/// `of_tenant` takes what is wrong in the tenant's files, named as they lie in the tenants' folder.
fn examine_route(
    route: &Route,
    connectors: &mut Connectors,
    (examined, of_tenant): (&mut Examined, &mut Vec<Problem>),
) {
    let connection = &*route.connection;
    let connector = match connectors.get(&connection.connector) {
        Ok(connector) => connector,
        Err(error @ PlanError::Mappings(_)) => {
            return place(unmapped(route, error), (&mut examined.problems, of_tenant));
        }
        Err(error) => {
            let hint = "name one that exists, or give its folder with --connectors";
            let at = connection.connector_at;
            return of_tenant.push(of_connection(
                NO_CONNECTOR,
                &route.tenant,
                connection,
                at,
                chain(&error),
                hint,
            ));
        }
    };
    if let Some(misfits) = misfits(route, &connector) {
        return of_tenant.extend(misfits);
    }
    let (allowed, excess) = plan::allowed(&connection.limits, &connector.limits);
    of_tenant.extend(excess.iter().map(|excess| too_much(route, excess)));
    of_tenant.extend(unknown_classes(route, &connector));
    let mut found: Vec<Guarantee> = Vec::new();
    let mut objects = BTreeSet::new();
    for event_type in &route.on {
        let endpoint = plan::endpoint(route, *event_type, &connector, None);
        if objects.insert(event_type.object()) {
            let made = connectors.mapping(route, *event_type);
            let made = made.and_then(|_| match &endpoint {
                Ok(endpoint) => connectors.is_made(route, *event_type, endpoint),
                Err(_) => Ok(()),
            });
            if let Err(error) = made {
                place(unmapped(route, error), (&mut examined.problems, of_tenant));
            }
        }
        match endpoint {
            Ok(endpoint) => add(&mut found, guarantee(route, event_type.object(), &endpoint, &allowed)),
            Err(error) => of_tenant.push(impossible(route, &error)),
        }
    }
    of_tenant.extend(found.iter().filter_map(|guarantee| too_weak(route, guarantee)));
    examined.guarantees.append(&mut found);
}

/// Puts problems where their files lie: with the connectors, or with the tenant.
fn place(found: Vec<(Problem, bool)>, (others, of_tenant): (&mut Vec<Problem>, &mut Vec<Problem>)) {
    for (problem, is_tenants) in found {
        if is_tenants { of_tenant.push(problem) } else { others.push(problem) }
    }
}

/// What the route's connection lacks, or has too much, for its connector.
fn misfits(route: &Route, connector: &Connector) -> Option<Vec<Problem>> {
    let connection = &*route.connection;
    let found = connector.misfits(&connection.values, &plan::secrets(connection));
    let problem = |misfit: &Misfit| {
        let at = connection.given_at.get(misfit.name()).copied().unwrap_or(connection.connector_at);
        let hint = format!("`connection` of connector `{}` says what it needs", connection.connector);
        of_connection(misfit.code(), &route.tenant, connection, at, misfit.to_string(), &hint)
    };
    (!found.is_empty()).then(|| found.iter().map(problem).collect())
}

/// A limit of the connection is more than its vendor allows.
fn too_much(route: &Route, excess: &Excess) -> Problem {
    let connection = &*route.connection;
    let at = connection.limits_at.get(excess.limit).copied().unwrap_or(connection.connector_at);
    let message = format!("{} that connector `{}` says every account has", excess.what, connection.connector);
    let hint = format!(
        "write less; or, if this account was given more, say why: `raised: {{{}: \"what was bought\"}}` in `limits`",
        excess.limit
    );
    of_connection(plan::TOO_MUCH, &route.tenant, connection, at, message, &hint)
}

/// A class that the connection gives to what its connector does not have would be kept by nobody.
fn unknown_classes(route: &Route, connector: &Connector) -> Vec<Problem> {
    let connection = &*route.connection;
    let unknown = connection.class.each.iter().filter(|(name, _)| !connector.has_operation(name));
    let problem = |(name, (_, at)): (&String, &(_, Position))| {
        let message = format!("connector `{}` has no `{name}`, which `class` names", connection.connector);
        let known: Vec<&str> = connector.objects.keys().map(String::as_str).collect();
        let hint = format!("its objects are {}; an operation is `<object>.<operation>`", known.join(", "));
        of_connection(NOT_POSSIBLE, &route.tenant, connection, *at, message, &hint)
    };
    unknown.map(problem).collect()
}

/// Objects of which the same can be said go together.
fn add(found: &mut Vec<Guarantee>, one: Guarantee) {
    let same = |known: &&mut Guarantee| {
        (known.class, known.lag_ms, known.on_existing, known.conditional, known.together)
            == (one.class, one.lag_ms, one.on_existing, one.conditional, one.together)
    };
    match found.iter_mut().find(same) {
        Some(known) => known.objects.extend(one.objects),
        None => found.push(one),
    }
}

fn guarantee(route: &Route, object: ObjectKind, endpoint: &Endpoint, allowed: &Allowed) -> Guarantee {
    let class = endpoint.class();
    Guarantee {
        tenant: route.tenant.clone(),
        route: route.name.clone(),
        objects: BTreeSet::from([object]),
        connection: route.connection.name.clone(),
        connector: route.connection.connector.clone(),
        class,
        lag_ms: endpoint.lag_ms(),
        on_existing: endpoint.on_existing(),
        conditional: endpoint.is_conditional(),
        gives: match class {
            Class::Keyed { .. } | Class::Upsert => Require::ExactlyOnce,
            Class::Neither(OnUnknown::Park) => Require::AtMostOnce,
            Class::Neither(OnUnknown::Resend) => Require::AtLeastOnce,
        },
        allowed: allowed.clone(),
        serialize_on: route.connection.limits.serialize_on.clone(),
        shares: route.connection.limits.shares,
        together: endpoint.most_together().min(route.connection.limits.bulk),
    }
}

fn too_weak(route: &Route, guarantee: &Guarantee) -> Option<Problem> {
    let require = route.require.filter(|require| !require.is_met_by(guarantee.gives))?;
    let Guarantee { connection, gives, .. } = guarantee;
    let message = format!(
        "`require: {require}`, but connection `{connection}` is of class {}: the route gives {gives}",
        guarantee.letter()
    );
    let hint = match require {
        Require::ExactlyOnce => format!(
            "if the system honours an idempotency key or can be looked up by reference, give connection `{connection}` \
             `class: keyed` or `class: upsert` and its connector what that needs; else ask for {gives}"
        ),
        Require::AtMostOnce => "write `on_unknown: park`".to_owned(),
        Require::AtLeastOnce => {
            "write `on_unknown: resend`, and know that duplicates are possible".to_owned()
        }
    };
    Some(of_route(TOO_WEAK, route, route.places.require, message, hint))
}

/// What is wrong with the programs of a route, each in its own file, and whether that is the tenant's. A base mapping is its connector's.
fn unmapped(route: &Route, error: PlanError) -> Vec<(Problem, bool)> {
    let hint = "`.` is what the base mapping has made, `%data` the event's data; docs/mappings.md".to_owned();
    let problems = match error {
        PlanError::Mapping { problems, .. } | PlanError::Mappings(ConnectorErrors(problems)) => problems,
        error @ PlanError::NotMade { .. } => return vec![(not_made(route, &error), true)],
        error => return vec![(of_route(NO_CONNECTOR, route, route.places.to, chain(&error), hint), true)],
    };
    let of = |code| match code {
        "CFG-0224" => "a `$lookup` names an object with a `lookup` in the connector's definition".to_owned(),
        "CFG-0206" => "docs/connectors.md shows how webhooks are signed".to_owned(),
        _ => hint.clone(),
    };
    let overlay = route.mapping.overlay.as_ref().map(|overlay| overlay.file.as_str());
    let rules = format!("{}/routes/{}.yaml", route.tenant, route.name);
    let told = |found: mapping::Diagnostic| {
        let is_overlay = overlay == Some(found.program.as_str());
        let is_tenants = is_overlay || found.program == rules;
        let file =
            if is_overlay { format!("{}/mappings/{}.vrl", route.tenant, route.name) } else { found.program };
        let problem = Problem {
            code: found.code,
            file,
            at: Position { line: found.line as u64, column: found.column as u64 },
            message: found.message,
            suggestion: Some(of(found.code)),
        };
        (problem, is_tenants)
    };
    problems.into_iter().map(told).collect()
}

fn not_made(route: &Route, error: &PlanError) -> Problem {
    let PlanError::NotMade { connector, object, .. } = error else { return impossible(route, error) };
    let hint = format!(
        "write a mapping: `mappings/{object}.vrl` beside the definition of connector `{connector}`, for all its tenants, or \
         {}/mappings/{}.vrl for this route; docs/mappings.md",
        route.tenant, route.name
    );
    of_route(NOT_MADE, route, route.places.object, error.to_string(), hint)
}

fn impossible(route: &Route, error: &PlanError) -> Problem {
    let connection = &*route.connection;
    if let PlanError::Route { source: EndpointError::Connection { .. }, .. } = error {
        let hint = "correct the connection's `base_url`, token or the connector's headers";
        return of_connection(
            NOT_POSSIBLE,
            &route.tenant,
            connection,
            connection.base_url_at,
            chain(error),
            hint,
        );
    }
    if let PlanError::Route {
        source: EndpointError::Definition(source @ DefinitionError::Auth { .. }), ..
    } = error
    {
        let hint = "docs/connector-auth.md shows every way of signing in";
        let at = connection.connector_at;
        return of_connection(source.code(), &route.tenant, connection, at, source.to_string(), hint);
    }
    let hint = format!(
        "name another `object`, another connection, or a class that connector `{}` can do",
        connection.connector
    );
    of_route(NOT_POSSIBLE, route, route.places.object, chain(error), hint)
}

fn of_route(code: &'static str, route: &Route, at: Position, message: String, hint: String) -> Problem {
    let file = format!("{}/routes/{}.yaml", route.tenant, route.name);
    Problem { code, file, at, message, suggestion: Some(hint) }
}

fn of_connection(
    code: &'static str,
    tenant: &TenantId,
    connection: &Connection,
    at: Position,
    message: String,
    hint: &str,
) -> Problem {
    let file = format!("{tenant}/connections/{}.yaml", connection.name);
    Problem { code, file, at, message, suggestion: Some(hint.to_owned()) }
}

impl Guarantee {
    /// The letter of the class, as GUARANTEES.md has it.
    pub fn letter(&self) -> char {
        match self.class {
            Class::Keyed { .. } => 'K',
            Class::Upsert => 'U',
            Class::Neither(_) => 'N',
        }
    }

    /// How long the target remembers a key, milliseconds.
    pub fn key_window_ms(&self) -> Option<u64> {
        match self.class {
            Class::Keyed { window_ms, .. } => Some(window_ms),
            Class::Upsert | Class::Neither(_) => None,
        }
    }

    /// What happens to a posting of which nobody knows whether it was applied.
    pub fn on_unknown(&self) -> String {
        match self.class {
            Class::Keyed { window_ms, readable } => {
                let then = if readable { self.look() } else { "hold in doubt".to_owned() };
                format!("resend for {}, then {then}", Span(window_ms / 2))
            }
            Class::Upsert => self.look(),
            Class::Neither(OnUnknown::Park) => "hold in doubt".to_owned(),
            Class::Neither(OnUnknown::Resend) => "resend, flagged: duplicates are possible".to_owned(),
        }
    }

    fn look(&self) -> String {
        let when = if self.lag_ms > 0 { format!(" after {}", Span(self.lag_ms)) } else { String::new() };
        let other = match self.on_existing {
            OnExisting::Overwrite if self.conditional => {
                "changed in the version that was found, and looked up again if another one stands there by then"
            }
            OnExisting::Overwrite => "written over",
            OnExisting::Verify => "held in doubt",
            OnExisting::Skip => "left",
        };
        format!("look up{when}; another content is {other}")
    }

    /// The limits, in short.
    pub fn limits(&self) -> String {
        let (serialize_on, shares) = (&self.serialize_on, self.shares);
        let mut all = vec![self.allowed.to_string()];
        all.extend((self.together > 1).then(|| format!("{} in a request", self.together)));
        all.extend(serialize_on.as_ref().map(|field| format!("one per {field}")));
        all.extend((shares != Shares::default()).then(|| {
            format!("live, redrive, backfill {}:{}:{}", shares.live, shares.redrive, shares.backfill)
        }));
        all.join(", ")
    }
}

/// Milliseconds for people.
pub struct Span(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        // 24h and 36h are said so: windows are known by their hours.
        let fits = |(ms, unit): &&(u64, &str)| {
            self.0 >= *ms && self.0.is_multiple_of(*ms) && (*unit != "d" || self.0 > 2 * ms)
        };
        match units.iter().find(fits) {
            Some((ms, unit)) => write!(f, "{}{unit}", self.0 / ms),
            None => write!(f, "{}ms", self.0),
        }
    }
}
