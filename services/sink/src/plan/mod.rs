//! What the configuration asks of the sink, compiled: which routes an event takes, and how each is delivered.

mod compile;
mod connection;
mod error;
mod limits;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use ahash::AHashMap;
use delivery::{Backlog, ConnectionId, ConnectionLimits, Intents, Limit, Shares, TenantSlot};
use event::{EventType, ObjectKind, RouteId, TenantId};
use mapping::Mapping;
use target::{Client, Egress, Endpoint};
use tenancy::revision::Digests;

pub(crate) use compile::{Compiled, Compiler};
pub(crate) use connection::{access, check_egress, egress, endpoint, secrets};
pub use error::PlanError;
pub use limits::Allowed;
pub(crate) use limits::{Excess, TOO_MUCH, allowed};

/// One way of an event: a route, with everything needed to deliver on it.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) route: RouteId,
    pub(crate) name: Arc<str>,
    pub(crate) connection: ConnectionId,
    pub(crate) connection_name: Arc<str>,
    /// The connector and the object there that it writes.
    pub(crate) what: (Arc<str>, Arc<str>),
    /// The field of the event's data that names what the target locks.
    pub(crate) serialize_on: Option<Arc<str>>,
    /// The most events that share a request.
    pub(crate) bulk: u32,
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

    /// Whether a posting that was taken in for `self` can go on by `other`: the core holds it to be of this kind.
    fn can_go_on_by(&self, other: &Self) -> bool {
        let (one, two) = (&self.endpoint, &other.endpoint);
        self.connection == other.connection
            && self.what == other.what
            && self.conflate == other.conflate
            && one.class() == two.class()
            && one.lag_ms() == two.lag_ms()
            && one.on_existing() == two.on_existing()
            && one.needs_own_intent() == two.needs_own_intent()
    }
}

/// How a tenant stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its events go out.
    #[default]
    Open,
    /// Its events wait: something is not to be had here that sending needs.
    Held,
    /// Its dead-letter topic is not there: its events wait.
    Unlettered,
    /// It was removed: nothing will ever be sent to it.
    Removed,
}

/// What becomes of a posting that waits while the configuration changes.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It goes on, by the way as it is now.
    On(Arc<Way>),
    /// Its route leads elsewhere now, or gives another guarantee: it goes there if it certainly was not sent, else on as it was taken
    /// in.
    Elsewhere,
    /// Its route is gone.
    Withdrawn,
}

/// All ways of all tenants of the region. The numbers of connections and tenants are given once, and stay for the life of the process;
/// so do connections and routes that are gone from the configuration, since events may wait on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    tenants: AHashMap<TenantId, Arc<Planned>>,
    /// Tenants that there are, and whose configuration cannot be carried out here.
    broken: BTreeSet<TenantId>,
    /// The newest state of each tenant that was read, whether it could be carried out or not.
    revisions: AHashMap<TenantId, u64>,
    slots: AHashMap<TenantId, TenantSlot>,
    ids: AHashMap<(TenantId, String), ConnectionId>,
    connections: BTreeMap<ConnectionId, Target>,
    routes: AHashMap<RouteId, PlannedRoute>,
}

#[derive(Debug)]
struct Planned {
    /// Of the configuration that it was compiled from.
    print: [u8; 32],
    /// Of the connectors that it was compiled with.
    connectors: Digests,
    standing: Standing,
    ways: AHashMap<EventType, Vec<Arc<Way>>>,
}

/// A connection that something is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) id: ConnectionId,
    /// Whose account it is, its address and its values: a limit that is told of, or a target that is away, is theirs.
    pub(crate) account: (Option<String>, BTreeMap<String, String>),
    pub(crate) limits: ConnectionLimits,
    /// What it may be asked for over time.
    pub(crate) budgets: Vec<Limit>,
    /// How attempts are divided between what is live and what is delivered once more.
    pub(crate) shares: Shares,
    /// Whose it is.
    pub(crate) owner: TenantId,
    pub(crate) slot: TenantSlot,
    pub(crate) weight: u32,
    /// Over how many partitions of a topic the owner's events are spread.
    pub(crate) shards: usize,
    /// What goes to it.
    pub(crate) objects: Vec<ObjectKind>,
}

/// A route by its names.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRoute {
    pub(crate) id: RouteId,
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) connection: ConnectionId,
    pub(crate) connection_name: String,
}

impl Plan {
    /// Puts a tenant's configuration in the place of its former one.
    pub(crate) fn put(&mut self, tenant: &TenantId, standing: Standing, compiled: Compiled) {
        let Compiled { print, connectors, ways, targets, routes } = compiled;
        self.connections.extend(targets.into_iter().map(|target| (target.id, target)));
        self.routes.extend(routes.into_iter().map(|route| (route.id, route)));
        self.tenants.insert(tenant.clone(), Arc::new(Planned { print, connectors, standing, ways }));
    }

    /// Forgets the tenants that `stays` does not name. Their connections and routes keep their numbers.
    pub(crate) fn keep(&mut self, stays: impl Fn(&TenantId) -> bool) {
        self.tenants.retain(|tenant, _| stays(tenant));
    }

    /// Whether the tenant is compiled from this very configuration.
    pub(crate) fn has(&self, tenant: &TenantId, print: &[u8; 32]) -> bool {
        self.tenants.get(tenant).is_some_and(|known| known.print == *print)
    }

    /// Whether a tenant stands so.
    pub(crate) fn stands(&self, tenant: &TenantId, standing: Standing) -> bool {
        self.tenants.get(tenant).is_some_and(|known| known.standing == standing)
    }

    /// The same tenant with another standing.
    pub(crate) fn stand(&mut self, tenant: &TenantId, standing: Standing) {
        if let Some(known) = self.tenants.get_mut(tenant).filter(|known| known.standing != standing) {
            let Planned { print, connectors, ways, .. } = &**known;
            let (connectors, ways) = (connectors.clone(), ways.clone());
            *known = Arc::new(Planned { print: *print, connectors, standing, ways });
        }
    }

    /// Whether both say the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |(tenant, planned): (&TenantId, &Arc<Planned>)| other.has_as(tenant, planned);
        self.broken == other.broken
            && self.revisions == other.revisions
            && self.tenants.len() == other.tenants.len()
            && self.tenants.iter().all(same)
    }

    fn has_as(&self, tenant: &TenantId, planned: &Planned) -> bool {
        self.has(tenant, &planned.print)
            && self.stands(tenant, planned.standing)
            && self.connectors_of(tenant) == Some(&planned.connectors)
    }

    /// The connectors that a tenant was compiled with.
    pub(crate) fn connectors_of(&self, tenant: &TenantId) -> Option<&Digests> {
        self.tenants.get(tenant).map(|known| &known.connectors)
    }

    /// These tenants are there, and nobody can say what their events ask for.
    pub(crate) fn breaks(&mut self, tenants: BTreeSet<TenantId>) {
        self.broken = tenants;
    }

    /// The newest state of each tenant that was read.
    pub(crate) fn knows_of(&mut self, revisions: impl Iterator<Item = (TenantId, u64)>) {
        self.revisions = revisions.collect();
    }

    /// Whether this state of the tenant, or a newer one, was read.
    pub(crate) fn is_up_to(&self, tenant: &TenantId, revision: u64) -> bool {
        self.revisions.get(tenant).is_some_and(|known| *known >= revision)
    }

    /// Whether the tenant is one of those.
    pub(crate) fn is_broken(&self, tenant: &TenantId) -> bool {
        self.broken.contains(tenant)
    }

    /// Whether nothing of the tenant's is sent for now.
    pub(crate) fn holds(&self, tenant: &TenantId) -> bool {
        self.stands(tenant, Standing::Held) || self.stands(tenant, Standing::Unlettered)
    }

    /// The ways that an event takes; none if the tenant is not known.
    pub(crate) fn ways(&self, tenant: &TenantId, event_type: EventType) -> Option<&[Arc<Way>]> {
        Some(self.tenants.get(tenant)?.ways.get(&event_type).map_or(&[], Vec::as_slice))
    }

    /// What becomes of a posting of the tenant that was taken in for `way`.
    pub(crate) fn fate(&self, tenant: &TenantId, event_type: EventType, way: &Way) -> Fate {
        let known = self.tenants.get(tenant).filter(|known| known.standing != Standing::Removed);
        let ways = known.and_then(|known| known.ways.get(&event_type)).map_or(&[][..], Vec::as_slice);
        match ways.iter().find(|now| now.route == way.route) {
            None => Fate::Withdrawn,
            Some(now) if way.can_go_on_by(now) => Fate::On(Arc::clone(now)),
            Some(_) => Fate::Elsewhere,
        }
    }

    /// Whether the tenant is configured and has a dead-letter topic of its own.
    pub(crate) fn knows(&self, tenant: &TenantId) -> bool {
        self.tenants.get(tenant).is_some_and(|known| known.standing != Standing::Unlettered)
    }

    /// The configured tenants.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.tenants.keys()
    }

    /// The objects that some route wants. Topics that nobody wants are not read: a first route for an object begins at
    /// the oldest event that its topic keeps.
    pub(crate) fn objects(&self) -> Vec<ObjectKind> {
        let types = self.tenants.values().flat_map(|t| t.ways.keys());
        let mut objects: Vec<ObjectKind> = types.map(|event_type| event_type.object()).collect();
        objects.sort_unstable();
        objects.dedup();
        objects
    }

    /// Whose a connection or a route is.
    pub(crate) fn tenant_of(&self, backlog: Backlog) -> Option<&TenantId> {
        match backlog {
            Backlog::Connection(id) => self.connections.get(&id).map(|target| &target.owner),
            Backlog::Route(id) => self.routes.get(&id).map(|route| &route.tenant),
        }
    }

    /// Every route that is or was.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &PlannedRoute> {
        self.routes.values()
    }

    /// Every connection that is or was, with its limits.
    pub(crate) fn connections(&self) -> impl Iterator<Item = &Target> {
        self.connections.values()
    }

    /// A connection.
    pub(crate) fn connection(&self, id: ConnectionId) -> Option<&Target> {
        self.connections.get(&id)
    }

    /// Says of each route that is not as it was in `before` whether its requests have Intents of their own.
    pub(crate) fn announce(&self, before: &Self, intents: Intents) {
        for (tenant, planned) in &self.tenants {
            if before.has_as(tenant, planned) {
                continue;
            }
            let standing = planned.standing;
            tracing::info!(%tenant, ?standing, "tenant");
            let ways = planned.ways.values().flatten();
            let routes: BTreeMap<&str, &Way> = ways.map(|w| (&*w.name, &**w)).collect();
            for way in routes.values() {
                let limits = self.connections.get(&way.connection).map(|target| target.limits);
                let shared = !way.endpoint.needs_own_intent()
                    && limits.is_some_and(|l| intents.is_shared(way.endpoint.class(), l.timeout_ms, 0));
                let class = way.endpoint.class();
                let intents = if shared { "shared" } else { "each" };
                tracing::info!(%tenant, route = %way.name, ?class, intents, "route");
            }
        }
        for tenant in before.tenants.keys().filter(|tenant| !self.tenants.contains_key(*tenant)) {
            tracing::info!(%tenant, "tenant is no longer known");
        }
    }
}
