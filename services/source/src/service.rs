//! Load, bind, poll, drain.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, sync::Arc};

use service_kit::{Admin, Readiness, Shutdown};
use target::{
    Access, Account, Authenticator, Client, ClientOptions, Connector, Egress, Endpoint, FileStore, Secrets,
    TokenStore,
};
use telemetry::Metrics;
use tenancy::{Connection, Environment, Tenant, TenantSet};

use crate::{
    Options, SourceError,
    cursor::Cursor,
    gateway::Gateway,
    poll::{Counters, Poll},
    programs,
};

/// The source, with everything checked.
pub struct Service {
    polls: Vec<Poll>,
    admin: Admin,
    readiness: Readiness,
}

impl Service {
    /// Reads the tenants and prepares every poll. Nothing is asked yet.
    ///
    /// # Errors
    /// Everything that keeps a poll from beginning.
    pub async fn build(options: Options) -> Result<Self, SourceError> {
        let start = |what: &dyn std::fmt::Display| SourceError::Start(what.to_string());
        let set = TenantSet::load(&options.tenants, &Environment)?;
        let metrics = Metrics::new("source").map_err(|e| start(&e))?;
        let counters = counters(&metrics).map_err(|e| start(&e))?;
        let client = ClientOptions { connect_timeout: options.connect_timeout, ..ClientOptions::default() };
        let builder = Builder {
            client: Client::new(client).map_err(|e| start(&e))?,
            gateway: Gateway::new(&options.gateway)?,
            counters,
            store: Arc::new(FileStore::new(&options.signin)),
            options: &options,
        };
        let mut polls = Vec::new();
        for tenant in set.iter().filter(|tenant| tenant.region == options.region) {
            for connection in tenant.connections.values() {
                builder.connection(tenant, connection, &mut polls)?;
            }
        }
        let readiness = Readiness::new();
        let admin = Admin::start(options.admin_listen, metrics, readiness.clone()).await;
        let admin = admin.map_err(|source| SourceError::Listen { address: options.admin_listen, source })?;
        tracing::info!(polls = polls.len(), admin = %admin.local_addr(), "source ready");
        Ok(Self { polls, admin, readiness })
    }

    /// Where health and metrics listen.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Polls until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        let tasks: Vec<_> = self
            .polls
            .into_iter()
            .map(|poll| service_kit::spawn("poll", Box::pin(poll.run(shutdown.clone()))))
            .collect();
        shutdown.triggered().await;
        self.readiness.drain();
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a poll ended badly");
            }
        }
        self.admin.stop().await;
        tracing::info!("source stopped");
    }
}

pub(crate) fn counters(metrics: &Metrics) -> Result<Counters, telemetry::MetricsError> {
    Ok(Counters {
        told: metrics.counters("records_total", "records that the gateway has acknowledged", &["poll"])?,
        failed: metrics.counters("failures_total", "rounds that failed", &["poll", "code"])?,
        stuck: metrics.gauges("stuck_count", "1 for a poll whose last round failed", &["poll"])?,
    })
}

struct Builder<'a> {
    options: &'a Options,
    client: Client,
    gateway: Gateway,
    counters: Counters,
    store: Arc<dyn TokenStore>,
}

impl Builder<'_> {
    fn connection(
        &self,
        tenant: &Tenant,
        connection: &Connection,
        polls: &mut Vec<Poll>,
    ) -> Result<(), SourceError> {
        let Some(wanted) = &connection.poll else { return Ok(()) };
        let dir = self.options.connectors.as_deref();
        let connector = connector(dir, &connection.connector)?;
        let egress =
            Egress { private: connection.egress.allow_private, networks: connection.egress.allow.clone() };
        let client = self.client.under(&egress);
        let auth = self.authenticator(tenant, connection, &connector)?;
        let api_key = Arc::new(wanted.api_key.clone());
        let mut seen = BTreeSet::new();
        for object in &wanted.objects {
            let name = format!("{}/{}/{object}", tenant.id, connection.name);
            let setup = |what: &str| SourceError::Setup { poll: name.clone(), what: what.to_owned() };
            if !seen.insert(object) {
                return Err(setup("the object stands twice under `poll`"));
            }
            let endpoint = endpoint(&connector, connection, &auth, object)?;
            let overlap_us = endpoint
                .overlap_us()
                .ok_or_else(|| setup("the connector's definition says no `changes` of this object"))?;
            let state = self.options.state.join(tenant.id.as_str()).join(&connection.name);
            polls.push(Poll {
                source: wanted.source.clone(),
                api_key: Arc::clone(&api_key),
                every: wanted.every,
                timeout: connection.timeout,
                client: client.clone(),
                endpoint,
                overlap_us,
                program: programs::load(dir, &connection.connector, object)?,
                gateway: self.gateway.clone(),
                cursor: Cursor::open(state.join(format!("{object}.json")))?,
                recent: BTreeSet::new(),
                counters: self.counters.clone(),
                name,
            });
        }
        Ok(())
    }

    fn authenticator(
        &self,
        tenant: &Tenant,
        connection: &Connection,
        connector: &Connector,
    ) -> Result<Arc<Authenticator>, SourceError> {
        let secrets = connection.secrets.iter();
        let secrets = secrets.fold(Secrets::default(), |all, (name, values)| all.with(name, values));
        let access = Access {
            of: (tenant.id.as_str(), &connection.name),
            base_url: connection.base_url.as_deref(),
            values: &connection.values,
            secrets: &secrets,
            store: Some(&self.store),
        };
        Ok(Arc::new(Authenticator::new(connector, &access)?))
    }
}

fn connector(dir: Option<&Path>, name: &str) -> Result<Connector, SourceError> {
    let definition = match dir {
        None => Connector::embedded(name),
        Some(dir) => {
            let path = dir.join(format!("{name}.yaml"));
            let yaml = std::fs::read_to_string(&path)
                .map_err(|source| SourceError::File { path: path.display().to_string(), source })?;
            Connector::parse(name, &yaml)
        }
    };
    definition.map_err(|error| SourceError::Endpoint(error.into()))
}

fn endpoint(
    connector: &Connector,
    connection: &Connection,
    auth: &Arc<Authenticator>,
    object: &str,
) -> Result<Endpoint, SourceError> {
    let account = Account {
        base_url: connection.base_url.as_deref(),
        class: None,
        on_unknown: delivery::OnUnknown::Park,
        auth: Some(auth),
        values: &connection.values,
    };
    Ok(Endpoint::new(connector, object, &account)?)
}
