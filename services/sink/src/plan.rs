//! What the configuration asks of the sink, compiled: which routes an event takes, and how each is delivered.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use ahash::{AHashMap, AHashSet};
use delivery::{Backlog, ConnectionId, ConnectionLimits, Intents, Limit, OnUnknown, TenantSlot};
use event::{EventType, ObjectKind, RouteId, TenantId};
use mapping::{Diagnostic, Mapping, connectors::ConnectorErrors};
use target::{
    Access, Account, Authenticator, ClassChoice, Client, Connector, DefinitionError, Egress, EgressRefused,
    Endpoint, EndpointError, Secrets, TokenStore,
};
use tenancy::{Connection, CostBucket, Limits, PerTime, Posts, Route, TargetClass, Tenant, TenantSet};

use crate::connectors::Connectors;

/// Why the configuration cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A connector's definition does not fit.
    #[error(transparent)]
    Connector(#[from] DefinitionError),
    /// A connector's file cannot be read.
    #[error("connector definition {path} cannot be read")]
    File {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A route cannot be delivered.
    #[error("tenant `{tenant}`, route `{route}`: it cannot be delivered")]
    Route {
        /// Whose.
        tenant: TenantId,
        /// The route.
        route: String,
        /// Why not.
        #[source]
        source: EndpointError,
    },
    /// A connector's mappings cannot be used.
    #[error(transparent)]
    Mappings(#[from] ConnectorErrors),
    /// What a route sends cannot be made of its events.
    #[error("tenant `{tenant}`, route `{route}`: {}", told(problems))]
    Mapping {
        /// Whose.
        tenant: TenantId,
        /// The route.
        route: String,
        /// Why not.
        problems: Vec<Diagnostic>,
    },
    /// A route leads to a connection that is no target.
    #[error(
        "tenant `{tenant}`, route `{route}`: connection `{connection}` has no base_url, so nothing can be sent to it"
    )]
    NoTarget {
        /// Whose.
        tenant: TenantId,
        /// The route.
        route: String,
        /// The connection.
        connection: String,
    },
    /// A connection does not give what signing in needs.
    #[error("tenant `{tenant}`, connection `{connection}`: nobody can sign in on it")]
    Access {
        /// Whose.
        tenant: TenantId,
        /// The connection.
        connection: String,
        /// Why not.
        #[source]
        source: Box<EndpointError>,
    },
    /// A connection leads to where it may not.
    #[error("tenant `{tenant}`, connection `{connection}`: it leads to where it may not")]
    Egress {
        /// Whose.
        tenant: TenantId,
        /// The connection.
        connection: String,
        /// Where it leads.
        #[source]
        source: EgressRefused,
    },
}

/// One way of an event: a route, with everything needed to deliver on it.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) route: RouteId,
    pub(crate) name: Arc<str>,
    pub(crate) connection: ConnectionId,
    pub(crate) connection_name: Arc<str>,
    /// The field of the event's data that names what the target locks.
    pub(crate) serialize_on: Option<Arc<str>>,
    pub(crate) endpoint: Endpoint,
    /// What makes of an event's data what is sent; without one it is sent as it is.
    pub(crate) mapping: Option<Arc<Mapping>>,
    /// Whether a newer version that waits takes the place of an older one.
    pub(crate) conflate: bool,
    egress: Egress,
    client: OnceLock<Client>,
}

impl Way {
    /// The client that goes where the connection may lead.
    pub(crate) fn client(&self, all: &Client) -> Client {
        self.client.get_or_init(|| all.under(&self.egress)).clone()
    }
}

/// All ways of all tenants of the region.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    tenants: AHashSet<TenantId>,
    ways: AHashMap<TenantId, AHashMap<EventType, Vec<Arc<Way>>>>,
    connections: Vec<Target>,
    routes: Vec<PlannedRoute>,
}

/// A connection that something is sent to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: ConnectionId,
    pub(crate) limits: ConnectionLimits,
    /// What it may be asked for over time.
    pub(crate) budgets: Vec<Limit>,
    /// Whose it is.
    pub(crate) owner: TenantId,
    pub(crate) slot: TenantSlot,
    pub(crate) weight: u32,
    /// Over how many partitions of a topic the owner's events are spread.
    pub(crate) shards: usize,
    /// What goes to it.
    pub(crate) objects: Vec<ObjectKind>,
    /// Signs in on it, for all of its routes.
    auth: Option<Arc<Authenticator>>,
}

/// A route by its names.
#[derive(Debug)]
pub(crate) struct PlannedRoute {
    pub(crate) id: RouteId,
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) connection: ConnectionId,
    pub(crate) connection_name: String,
}

impl Plan {
    /// Compiles the tenants of `region`. Connectors come from `dir`, or from the binary; refresh tokens are kept in `store`.
    pub(crate) fn compile(
        set: &TenantSet,
        region: &str,
        dir: Option<&Path>,
        store: &Arc<dyn TokenStore>,
    ) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        let mut connectors = Connectors::new(dir);
        for tenant in set.iter().filter(|t| t.region == region) {
            plan.tenants.insert(tenant.id.clone());
            let mut ids = AHashMap::new();
            for route in &tenant.routes {
                let connection = plan.connection(&mut ids, &route.connection, tenant);
                plan.add(tenant, route, connection, (&mut connectors, store))?;
                plan.routes.push(PlannedRoute {
                    id: route.id,
                    tenant: tenant.id.clone(),
                    name: route.name.clone(),
                    connection,
                    connection_name: route.connection.name.clone(),
                });
            }
        }
        Ok(plan)
    }

    /// The ways that an event takes; none if the tenant is not known.
    pub(crate) fn ways(&self, tenant: &TenantId, event_type: EventType) -> Option<&[Arc<Way>]> {
        if !self.tenants.contains(tenant) {
            return None;
        }
        Some(self.ways.get(tenant).and_then(|t| t.get(&event_type)).map_or(&[], Vec::as_slice))
    }

    /// Whether the tenant is configured, and so has a dead-letter topic of its own.
    pub(crate) fn knows(&self, tenant: &TenantId) -> bool {
        self.tenants.contains(tenant)
    }

    /// The configured tenants.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.tenants.iter()
    }

    /// The objects that some route wants. Topics that nobody wants are not read: a first route for an object begins at
    /// the oldest event that its topic keeps.
    pub(crate) fn objects(&self) -> Vec<ObjectKind> {
        let mut objects: Vec<ObjectKind> =
            self.ways.values().flat_map(|t| t.keys()).map(|event_type| event_type.object()).collect();
        objects.sort_unstable();
        objects.dedup();
        objects
    }

    /// Whose a connection or a route is.
    pub(crate) fn tenant_of(&self, backlog: Backlog) -> Option<&TenantId> {
        let connection = match backlog {
            Backlog::Connection(connection) => connection,
            Backlog::Route(id) => self.routes.iter().find(|r| r.id == id)?.connection,
        };
        self.connections.get(connection.0 as usize).map(|target| &target.owner)
    }

    /// Every route.
    pub(crate) fn routes(&self) -> &[PlannedRoute] {
        &self.routes
    }

    /// Every connection with its limits.
    pub(crate) fn connections(&self) -> &[Target] {
        &self.connections
    }

    /// Says of each route whether its requests have Intents of their own.
    pub(crate) fn announce(&self, intents: Intents) {
        for (tenant, ways) in &self.ways {
            let routes: BTreeMap<&str, &Way> = ways.values().flatten().map(|w| (&*w.name, &**w)).collect();
            for way in routes.values() {
                let limits = self.connections.get(way.connection.0 as usize).map(|target| target.limits);
                let shared = !way.endpoint.needs_own_intent()
                    && limits.is_some_and(|l| intents.is_shared(way.endpoint.class(), l.timeout_ms, 0));
                let class = way.endpoint.class();
                let intents = if shared { "shared" } else { "each" };
                tracing::info!(%tenant, route = %way.name, ?class, intents, "route");
            }
        }
    }

    fn connection(
        &mut self,
        ids: &mut AHashMap<String, ConnectionId>,
        connection: &Connection,
        tenant: &Tenant,
    ) -> ConnectionId {
        *ids.entry(connection.name.clone()).or_insert_with(|| {
            let id = ConnectionId(self.connections.len() as u32);
            self.connections.push(Target {
                id,
                limits: ConnectionLimits {
                    concurrency: connection.limits.concurrency,
                    timeout_ms: connection.timeout.as_millis() as u64,
                },
                budgets: budgets(&connection.limits),
                owner: tenant.id.clone(),
                slot: TenantSlot(self.tenants.len() as u32),
                weight: tenant.weight,
                shards: tenant.shards as usize,
                objects: Vec::new(),
                auth: None,
            });
            id
        })
    }

    /// One for a connection, whatever the number of its routes.
    fn authenticator(
        &mut self,
        tenant: &Tenant,
        id: ConnectionId,
        connection: &Connection,
        (connector, store): (&Connector, &Arc<dyn TokenStore>),
    ) -> Result<Arc<Authenticator>, PlanError> {
        let known = self.connections.get_mut(id.0 as usize).map(|target| &mut target.auth);
        if let Some(Some(auth)) = known.as_deref() {
            return Ok(Arc::clone(auth));
        }
        let made = access(tenant.id.as_str(), connection, connector, store).map(Arc::new);
        let made = made.map_err(|source| PlanError::Access {
            tenant: tenant.id.clone(),
            connection: connection.name.clone(),
            source: Box::new(source),
        })?;
        if let Some(auth) = known {
            *auth = Some(Arc::clone(&made));
        }
        Ok(made)
    }

    fn add(
        &mut self,
        tenant: &Tenant,
        route: &Route,
        connection: ConnectionId,
        (connectors, store): (&mut Connectors<'_>, &Arc<dyn TokenStore>),
    ) -> Result<(), PlanError> {
        let target = &route.connection;
        let egress = egress(target);
        check_egress(&egress, target).map_err(|source| PlanError::Egress {
            tenant: tenant.id.clone(),
            connection: target.name.clone(),
            source,
        })?;
        let connector = connectors.get(&target.connector)?;
        let auth = self.authenticator(tenant, connection, target, (&connector, store))?;
        let ways = self.ways.entry(tenant.id.clone()).or_default();
        let mut mappings: BTreeMap<ObjectKind, Option<Arc<Mapping>>> = BTreeMap::new();
        for event_type in &route.on {
            let endpoint = endpoint(route, *event_type, &connector, Some(&auth))?;
            let mapping = match mappings.get(&event_type.object()) {
                Some(known) => Option::clone(known),
                None => connectors.mapping(route, *event_type)?.map(Arc::new),
            };
            mappings.insert(event_type.object(), mapping.clone());
            if let Some(known) = self.connections.get_mut(connection.0 as usize)
                && !known.objects.contains(&event_type.object())
            {
                known.objects.push(event_type.object());
            }
            ways.entry(*event_type).or_default().push(Arc::new(Way {
                route: route.id,
                name: Arc::from(route.name.as_str()),
                connection,
                connection_name: Arc::from(target.name.as_str()),
                serialize_on: target.limits.serialize_on.as_deref().map(Arc::from),
                endpoint,
                mapping,
                conflate: route.posts == Posts::State,
                egress: egress.clone(),
                client: OnceLock::new(),
            }));
        }
        Ok(())
    }
}

/// The endpoint of a route for one of its event types. Without `auth` it is only looked at: its requests show not whose they
/// are.
pub(crate) fn endpoint(
    route: &Route,
    event_type: EventType,
    connector: &Connector,
    auth: Option<&Arc<Authenticator>>,
) -> Result<Endpoint, PlanError> {
    let target = &route.connection;
    if target.base_url.is_none() && connector.base_url.is_none() {
        return Err(PlanError::NoTarget {
            tenant: route.tenant.clone(),
            route: route.name.clone(),
            connection: target.name.clone(),
        });
    }
    let account = Account {
        base_url: target.base_url.as_deref(),
        class: target.class.map(class),
        on_unknown: on_unknown(route.on_unknown),
        auth,
        values: &target.values,
    };
    Endpoint::new(connector, route.object.as_deref().unwrap_or(event_type.object().name()), &account).map_err(
        |source| PlanError::Route { tenant: route.tenant.clone(), route: route.name.clone(), source },
    )
}

/// What signs in on a connection.
pub(crate) fn access(
    tenant: &str,
    connection: &Connection,
    connector: &Connector,
    store: &Arc<dyn TokenStore>,
) -> Result<Authenticator, EndpointError> {
    let access = Access {
        of: (tenant, &connection.name),
        base_url: connection.base_url.as_deref(),
        values: &connection.values,
        secrets: &secrets(connection),
        store: Some(store),
    };
    Authenticator::new(connector, &access)
}

/// What a connection signs in with.
pub(crate) fn secrets(connection: &Connection) -> Secrets {
    let all = connection.secrets.iter();
    all.fold(Secrets::default(), |secrets, (name, values)| secrets.with(name, values))
}

/// Where a connection may lead.
pub(crate) fn egress(connection: &Connection) -> Egress {
    let tenancy::Egress { allow_private, allow } = &connection.egress;
    Egress { private: *allow_private, networks: allow.clone() }
}

/// Whether the address that a connection names is one that it allows; a name is looked at when it is connected to.
pub(crate) fn check_egress(egress: &Egress, connection: &Connection) -> Result<(), EgressRefused> {
    match connection.base_url.as_deref().and_then(|url| url.parse().ok()) {
        Some(uri) => egress.check_literal(&uri),
        None => Ok(()),
    }
}

fn told(problems: &[Diagnostic]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn budgets(limits: &Limits) -> Vec<Limit> {
    let within = |limit: PerTime| Limit::Rate { max: limit.max, per_ms: limit.per.as_millis() as u64 };
    let time = |limit: PerTime| Limit::Time { max_ms: limit.max, per_ms: limit.per.as_millis() as u64 };
    let cost = |bucket: CostBucket| Limit::Cost {
        capacity: bucket.capacity,
        per_second: bucket.per_second,
        cost: bucket.request,
    };
    let rates = [limits.rate, limits.quota].into_iter().flatten().map(within);
    rates.chain(limits.cost_bucket.map(cost)).chain(limits.exec_time.map(time)).collect()
}

fn class(class: TargetClass) -> ClassChoice {
    match class {
        TargetClass::Keyed => ClassChoice::Keyed,
        TargetClass::Upsert => ClassChoice::Upsert,
        TargetClass::Neither => ClassChoice::Neither,
    }
}

fn on_unknown(choice: tenancy::OnUnknown) -> OnUnknown {
    match choice {
        tenancy::OnUnknown::Park => OnUnknown::Park,
        tenancy::OnUnknown::Resend => OnUnknown::Resend,
    }
}
