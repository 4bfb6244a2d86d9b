//! From a connection's configuration to what is asked on it.

use std::sync::Arc;

use delivery::{Limit, OnUnknown, Shares};
use event::EventType;
use target::{
    Access, Account, Authenticator, ClassChoice, Connector, Egress, EgressRefused, Endpoint, EndpointError,
    Secrets, TokenStore,
};
use tenancy::{Connection, CostBucket, Limits, PerTime, Route, TargetClass};

use super::PlanError;

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

/// How a connection's attempts are divided.
pub(super) fn shares(shares: tenancy::Shares) -> Shares {
    Shares { live: shares.live, redrive: shares.redrive, backfill: shares.backfill }
}

/// What a connection may be asked for over time.
pub(super) fn budgets(limits: &Limits) -> Vec<Limit> {
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
