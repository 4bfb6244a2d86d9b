//! From a tenant's configuration to its ways.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use ahash::AHashMap;
use delivery::{ConnectionId, ConnectionLimits, TenantSlot};
use event::{EventType, ObjectKind};
use mapping::Mapping;
use target::{Authenticator, Connector, TokenStore};
use tenancy::{Connection, Posts, Route, Tenant, TenantSet, revision::Digests};

use super::{
    Plan, PlanError, PlannedRoute, Standing, Target, Way,
    connection::{access, check_egress, egress, endpoint, shares},
    limits::{Excess, TOO_MUCH, allowed},
};
use crate::connectors::Connectors;

/// Compiles tenants.
pub(crate) struct Compiler {
    connectors: Connectors,
    store: Arc<dyn TokenStore>,
    region: String,
}

/// A tenant, ready to be put into a plan.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(super) print: [u8; 32],
    pub(super) connectors: Digests,
    pub(super) ways: AHashMap<EventType, Vec<Arc<Way>>>,
    pub(super) targets: Vec<Target>,
    pub(super) routes: Vec<PlannedRoute>,
}

impl Compiler {
    /// Connectors come from `dir`, or from the binary; refresh tokens are kept in `store`.
    pub(crate) fn new(region: &str, dir: Option<&Path>, store: Arc<dyn TokenStore>) -> Self {
        Self { connectors: Connectors::new(dir), store, region: region.to_owned() }
    }

    /// What is compiled from now on is compiled from what the connectors' files say then. What was compiled stays as it is.
    pub(crate) fn look_again(&mut self) {
        self.connectors.forget();
    }

    /// Whether the tenant is for this sink.
    pub(crate) fn serves(&self, tenant: &Tenant) -> bool {
        tenant.region == self.region
    }

    /// The plan for a set that does not change.
    ///
    /// # Errors
    /// The first route that cannot be carried out.
    pub(crate) fn plan(&mut self, set: &TenantSet) -> Result<Plan, PlanError> {
        let mut plan = Plan::default();
        for tenant in set.iter() {
            if !self.serves(tenant) {
                continue;
            }
            let compiled = self.tenant(&mut plan, tenant)?;
            plan.put(&tenant.id, Standing::Open, compiled);
        }
        Ok(plan)
    }

    /// Compiles a tenant. Of `plan` only the numbers of what is new are changed.
    ///
    /// # Errors
    /// The first route that cannot be carried out.
    pub(crate) fn tenant(&mut self, plan: &mut Plan, tenant: &Tenant) -> Result<Compiled, PlanError> {
        let slots = plan.slots.len() as u32;
        let slot = *plan.slots.entry(tenant.id.clone()).or_insert(TenantSlot(slots));
        let mut drawn =
            Drawn { tenant, slot, targets: BTreeMap::new(), auths: AHashMap::new(), ways: AHashMap::new() };
        let mut routes = Vec::with_capacity(tenant.routes.len());
        for route in &tenant.routes {
            let numbers = plan.ids.len() as u32;
            let key = (tenant.id.clone(), route.connection.name.clone());
            let id = *plan.ids.entry(key).or_insert(ConnectionId(numbers));
            let connector = self.connectors.get(&route.connection.connector)?;
            drawn.target(id, &route.connection, &connector);
            drawn.route(route, id, (&mut self.connectors, &self.store))?;
            routes.push(PlannedRoute {
                id: route.id,
                tenant: tenant.id.clone(),
                name: route.name.clone(),
                connection: id,
                connection_name: route.connection.name.clone(),
            });
        }
        let targets = drawn.targets.into_values().collect();
        let connectors = self.connectors.digests(tenant)?;
        Ok(Compiled { print: tenant.print, connectors, ways: drawn.ways, targets, routes })
    }

    /// What the connectors of a tenant's routes say by their files; none where these cannot be read.
    pub(crate) fn digests(&mut self, tenant: &Tenant) -> Option<Digests> {
        self.connectors.digests(tenant).ok()
    }
}

/// A tenant while it is compiled.
struct Drawn<'a> {
    tenant: &'a Tenant,
    slot: TenantSlot,
    targets: BTreeMap<ConnectionId, Target>,
    /// One for a connection, whatever the number of its routes.
    auths: AHashMap<ConnectionId, Arc<Authenticator>>,
    ways: AHashMap<EventType, Vec<Arc<Way>>>,
}

impl Drawn<'_> {
    fn target(&mut self, id: ConnectionId, connection: &Connection, connector: &Connector) {
        if self.targets.contains_key(&id) {
            return;
        }
        let (allowed, excess) = allowed(&connection.limits, &connector.limits);
        for Excess { what, .. } in excess {
            let (tenant, connection) = (&self.tenant.id, &connection.name);
            tracing::warn!(code = TOO_MUCH, %tenant, connection, what, "the vendor's limit is kept");
        }
        let target = Target {
            id,
            account: (connection.base_url.clone(), connection.values.clone()),
            limits: ConnectionLimits {
                concurrency: allowed.concurrency,
                timeout_ms: connection.timeout.as_millis() as u64,
            },
            budgets: allowed.budgets,
            shares: shares(connection.limits.shares),
            owner: self.tenant.id.clone(),
            slot: self.slot,
            weight: self.tenant.weight,
            shards: self.tenant.shards as usize,
            objects: Vec::new(),
        };
        self.targets.insert(id, target);
    }

    fn authenticator(
        &mut self,
        id: ConnectionId,
        connection: &Connection,
        (connector, store): (&Connector, &Arc<dyn TokenStore>),
    ) -> Result<Arc<Authenticator>, PlanError> {
        if let Some(known) = self.auths.get(&id) {
            return Ok(Arc::clone(known));
        }
        let made = access(self.tenant.id.as_str(), connection, connector, store).map(Arc::new);
        let made = made.map_err(|source| PlanError::Access {
            tenant: self.tenant.id.clone(),
            connection: connection.name.clone(),
            source: Box::new(source),
        })?;
        self.auths.insert(id, Arc::clone(&made));
        Ok(made)
    }

    fn route(
        &mut self,
        route: &Route,
        connection: ConnectionId,
        (connectors, store): (&mut Connectors, &Arc<dyn TokenStore>),
    ) -> Result<(), PlanError> {
        let target = &route.connection;
        let egress = egress(target);
        check_egress(&egress, target).map_err(|source| PlanError::Egress {
            tenant: self.tenant.id.clone(),
            connection: target.name.clone(),
            source,
        })?;
        let connector = connectors.get(&target.connector)?;
        let auth = self.authenticator(connection, target, (&connector, store))?;
        let mut mappings: BTreeMap<ObjectKind, Option<Arc<Mapping>>> = BTreeMap::new();
        for event_type in &route.on {
            let endpoint = endpoint(route, *event_type, &connector, Some(&auth))?;
            let mapping = match mappings.get(&event_type.object()) {
                Some(known) => Option::clone(known),
                None => connectors.mapping(route, *event_type)?.map(Arc::new),
            };
            connectors.is_made(route, *event_type, &endpoint)?;
            mappings.insert(event_type.object(), mapping.clone());
            if let Some(known) = self.targets.get_mut(&connection)
                && !known.objects.contains(&event_type.object())
            {
                known.objects.push(event_type.object());
            }
            let object = route.object.as_deref().unwrap_or_else(|| event_type.object().name());
            self.ways.entry(*event_type).or_default().push(Arc::new(Way {
                route: route.id,
                name: Arc::from(route.name.as_str()),
                connection,
                connection_name: Arc::from(target.name.as_str()),
                what: (Arc::from(target.connector.as_str()), Arc::from(object)),
                serialize_on: target.limits.serialize_on.as_deref().map(Arc::from),
                bulk: target.limits.bulk,
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
