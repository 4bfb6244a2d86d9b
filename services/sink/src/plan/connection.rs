//! From a connection's configuration to what is asked on it.

use std::sync::Arc;

use delivery::{OnUnknown, Shares};
use event::EventType;
use target::{
    Access, Account, Authenticator, ClassChoice, Connector, Egress, EgressRefused, Endpoint, EndpointError,
    Secrets, TokenStore,
};
use tenancy::{Connection, Route, TargetClass};

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
    let object = route.object.as_deref().unwrap_or(event_type.object().name());
    let account = Account {
        base_url: target.base_url.as_deref(),
        class: target.class.of(object).map(class),
        on_unknown: on_unknown(route.on_unknown),
        auth,
        values: &target.values,
    };
    Endpoint::new(connector, object, &account).map_err(|source| PlanError::Route {
        tenant: route.tenant.clone(),
        route: route.name.clone(),
        source,
    })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, path::Path};

    use delivery::{ConnectionLimits, Limit};
    use target::FileStore;
    use tenancy::TenantSet;

    use super::*;
    use crate::plan::{Compiler, Fate, Plan};

    /// What the configuration of a connection with these `limits` becomes.
    fn plan(limits: &str) -> Plan {
        plan_of(limits, "")
    }

    /// The same, whose route says this besides.
    fn plan_of(limits: &str, route: &str) -> Plan {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join("acme").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("tenant.yaml", "tenant: acme\nname: Acme\nregion: eu\n");
        let erp = format!(
            "connection: erp\nconnector: sandbox\nbase_url: \"https://erp.example\"\ntimeout: 7s\nlimits: {limits}\n"
        );
        file("connections/erp.yaml", &erp);
        file("routes/payments.yaml", &format!("route: payments\non: [\"payment.*\"]\nto: erp\n{route}"));
        let set = TenantSet::load(dir.path(), &tenancy::Offline).unwrap();
        let store: Arc<dyn TokenStore> = Arc::new(FileStore::new(Path::new("nowhere")));
        Compiler::new("eu", None, store).plan(&set).unwrap()
    }

    fn compiled(limits: &str) -> (ConnectionLimits, Vec<Limit>) {
        let plan = plan(limits);
        let target = plan.connections().next().unwrap();
        (target.limits, target.budgets.clone())
    }

    #[test]
    fn each_limit_over_time_becomes_a_budget_of_its_own_in_the_engines_units() {
        let budgets = |limits| compiled(limits).1;
        assert_eq!(budgets("{concurrency: 3}"), []);
        assert_eq!(budgets("{rate: {max: 8, per: 1s}}"), [Limit::Rate { max: 8, per_ms: 1_000 }]);
        assert_eq!(budgets("{rate: {max: 100, per: 1m}}"), [Limit::Rate { max: 100, per_ms: 60_000 }]);
        // A tenth of a quota is left to others unless said otherwise, and a day is its stretch.
        assert_eq!(budgets("{quota: {max: 1000}}"), [Limit::Rate { max: 900, per_ms: 86_400_000 }]);
        assert_eq!(
            budgets("{quota: {max: 1000, per: 1h, reserve_percent: 25}}"),
            [Limit::Rate { max: 750, per_ms: 3_600_000 }]
        );
        assert_eq!(
            budgets("{cost_bucket: {capacity: 1000, per_second: 50, request: 10}}"),
            [Limit::Cost { capacity: 1_000, per_second: 50, cost: 10 }]
        );
        assert_eq!(
            budgets("{exec_time: {max: 90s, per: 5m}}"),
            [Limit::Time { max_ms: 90_000, per_ms: 300_000 }]
        );
    }

    #[test]
    fn all_of_them_hold_at_once() {
        let all = "{rate: {max: 8, per: 1s}, quota: {max: 50, per: 1h, reserve_percent: 0}, \
                   cost_bucket: {capacity: 40, per_second: 2, request: 5}, exec_time: {max: 20s, per: 60s}}";
        assert_eq!(
            compiled(all).1,
            [
                Limit::Rate { max: 8, per_ms: 1_000 },
                Limit::Rate { max: 50, per_ms: 3_600_000 },
                Limit::Cost { capacity: 40, per_second: 2, cost: 5 },
                Limit::Time { max_ms: 20_000, per_ms: 60_000 },
            ]
        );
    }

    #[test]
    fn concurrency_and_the_longest_wait_reach_the_connection() {
        let limits = |text| compiled(text).0;
        assert_eq!(limits("{concurrency: 3}"), ConnectionLimits { concurrency: 3, timeout_ms: 7_000 });
        assert_eq!(limits("{}").timeout_ms, 7_000);
        assert_ne!(limits("{}").concurrency, 3);
    }

    /// What was made for one object is never sent to the address of another.
    #[test]
    fn a_route_to_another_object_leads_elsewhere() {
        let (tenant, of) = ("acme".parse().unwrap(), "payment.received".parse().unwrap());
        let before = plan("{}");
        let way = &before.ways(&tenant, of).unwrap()[0];
        let fate = |route: &str| plan_of("{concurrency: 2}", route).fate(&tenant, of, way);
        assert!(matches!(fate(""), Fate::On(_)));
        assert!(matches!(fate("object: payment\n"), Fate::On(_)), "the same, said");
        assert!(matches!(fate("object: order\n"), Fate::Elsewhere));
        assert!(matches!(fate("policy: {posts: state}\n"), Fate::Elsewhere));
    }

    #[test]
    fn what_the_target_locks_reaches_every_way_of_the_route() {
        let ways = |limits: &str| {
            let (plan, tenant) = (plan(limits), "acme".parse().unwrap());
            let types = ["payment.received", "payment.updated"].map(|name| name.parse().unwrap());
            types.map(|of| plan.ways(&tenant, of).unwrap()[0].serialize_on.clone())
        };
        assert_eq!(
            ways("{serialize_on: customer.id}"),
            [Some(Arc::from("customer.id")), Some(Arc::from("customer.id"))]
        );
        assert_eq!(ways("{concurrency: 1}"), [None, None]);
    }
}
