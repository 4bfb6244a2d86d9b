//! From settings to a service.

use std::{io, net::SocketAddr, sync::Arc};

use contract::{Contracts, RegistryClient};
use control::{Origin, Troubles};
use event::TenantId;
use kafka::Producer;
use mapping::connectors::{self, Connectors};
use service_kit::Readiness;
use telemetry::Metrics;
use tenancy::{InForce, SecretSource, Tenant, TenantSet, TenantsFrom, Watch};
use tokio::net::TcpListener;
use topics::Specs;

use crate::{
    GatewayMetrics, Options, Service,
    clock::{Clock, SystemClock},
    http::{Doors, router},
    intake::Intake,
    objects::{OpenObjects, Opener},
    placement::{Places, topics_of},
    tenants::{Keeper, Served, Tenants},
};

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The tenants' configuration is not valid.
    #[error(transparent)]
    Tenants(#[from] tenancy::ConfigErrors),
    /// A connector's program is not valid.
    #[error(transparent)]
    Connectors(#[from] connectors::ConnectorErrors),
    /// A tenant's webhook cannot be verified.
    #[error("tenant `{tenant}`, connection `{connection}`: {what}")]
    Webhook {
        /// Whose.
        tenant: TenantId,
        /// The connection.
        connection: String,
        /// Why not.
        what: String,
    },
    /// A topic specification or the region is not valid.
    #[error(transparent)]
    Topics(#[from] topics::TopicsError),
    /// The Kafka settings are not valid.
    #[error(transparent)]
    Kafka(#[from] kafka::SettingsError),
    /// The registry's address is not valid.
    #[error("the registry's address `{url}` is not valid")]
    Registry {
        /// The address.
        url: String,
        /// Why not.
        #[source]
        source: contract::RegistryError,
    },
    /// The metrics are registered already: two gateways share a registry.
    #[error(transparent)]
    Metrics(#[from] telemetry::MetricsError),
    /// The address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl StartError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tenants(error) => error.code(),
            Self::Connectors(error) => error.code(),
            Self::Webhook { .. } => "GTW-0043",
            Self::Topics(error) => error.code(),
            Self::Kafka(error) => error.code(),
            Self::Registry { .. } => "GTW-0040",
            Self::Metrics(_) => "GTW-0041",
            Self::Bind { .. } => "GTW-0042",
        }
    }
}

/// Every webhook's way of signing must be known, and what it signs be there.
pub(crate) fn check_webhooks_of(tenant: &Tenant, connectors: &Connectors) -> Result<(), StartError> {
    for (name, connection) in &tenant.connections {
        let Some(webhook) = &connection.webhook else { continue };
        let what = match connectors.signature(&webhook.scheme) {
            None => {
                let known = connectors.signatures().collect::<Vec<_>>().join(", ");
                format!("`webhook.scheme` `{}` is not known; known are {known}", webhook.scheme)
            }
            Some(signature) if signature.names_url() && webhook.url.is_none() => {
                format!("`{}` signs the address that it was given: `webhook.url` must say it", webhook.scheme)
            }
            Some(_) => continue,
        };
        return Err(StartError::Webhook { tenant: tenant.id.clone(), connection: name.clone(), what });
    }
    Ok(())
}

/// A gateway's whole configuration, read and checked, with nothing bound or connected yet.
pub struct Setup {
    /// The settings.
    pub options: Options,
    /// The tenants.
    pub tenants: TenantSet,
    /// The connectors' webhook programs.
    pub connectors: Arc<Connectors>,
    /// The topic specifications.
    pub topics: Specs,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where tenants come from, and their secrets; none for tenants that were given.
    pub(crate) origin: Option<(Origin, Watch)>,
}

impl Setup {
    /// Reads the folders that `options` name and resolves the tenants' secrets.
    ///
    /// # Errors
    /// Everything that is wrong with one of them.
    pub fn load(options: Options, secrets: &dyn SecretSource) -> Result<Self, StartError> {
        let (tenants, origin) = match options.tenants_from {
            TenantsFrom::Control => {
                (TenantSet::default(), (Origin::Control(Box::default()), Watch::default()))
            }
            TenantsFrom::Folder => {
                let folders = TenantSet::read_folders(&options.tenants)?;
                let name = options.tenants.display().to_string();
                let built = InForce::of_folder(&name, &folders, secrets)?;
                (built.set, (Origin::Folder { name, folders }, built.watch))
            }
        };
        let setup = Self::with_tenants(options, tenants)?;
        Ok(Self { origin: Some(origin), ..setup })
    }

    /// The same with tenants that are loaded already; `options.tenants` is not looked at.
    ///
    /// # Errors
    /// Everything that is wrong with connectors, topics or region.
    pub fn with_tenants(options: Options, tenants: TenantSet) -> Result<Self, StartError> {
        let connectors = options.connectors.as_deref().map_or_else(connectors::embedded, connectors::load)?;
        tenants.iter().try_for_each(|tenant| check_webhooks_of(tenant, &connectors))?;
        let topics = options.topics.as_deref().map_or_else(Specs::embedded, Specs::load)?;
        Places::new(&options.region, &tenants, &topics)?;
        let connectors = Arc::new(connectors);
        Ok(Self { options, tenants, connectors, topics, clock: Arc::new(SystemClock), origin: None })
    }

    /// Binds the listener and makes the clients. Neither the brokers nor the registry need to be there: until they are, the
    /// service is not ready and answers 503.
    ///
    /// # Errors
    /// When the address is taken, or a client does not accept its settings.
    pub async fn build(self, metrics: &Metrics, readiness: Readiness) -> Result<Service, StartError> {
        let Self { options, tenants, connectors, topics, clock, origin } = self;
        let metrics = GatewayMetrics::new(&metrics.service("gateway"))?;
        let producer = Producer::new(&producer_settings(&options))?;
        let registry = RegistryClient::new(&options.registry.url)
            .map_err(|source| StartError::Registry { url: options.registry.url.clone(), source })?;
        let open = OpenObjects::default();
        let opener = Opener {
            open: open.clone(),
            topics: topics_of(&options.region, &topics)?,
            kafka: options.kafka.clone(),
            registry,
            register: options.registry.register,
            check: readiness.check("topics and schemas"),
        };
        let intake = Intake {
            contracts: Contracts::embedded(),
            open,
            publisher: Arc::new(producer.clone()),
            clock,
            metrics: metrics.clone(),
            produce_deadline: options.produce_deadline,
            region: options.region.clone(),
        };
        let tenants = match &origin {
            Some((Origin::Control(_), _)) => Tenants::default(),
            _ => Tenants::new(Served::new(tenants, (&options.region, &topics), std::iter::empty(), None)?),
        };
        let keeper = origin.map(|(origin, watch)| Keeper {
            origin,
            kafka: options.kafka.clone(),
            region: options.region.clone(),
            topics,
            connectors: Arc::clone(&connectors),
            metrics,
            tenants: tenants.clone(),
            watch,
            troubles: Troubles::new("GTW-0054"),
            failing: false,
        });
        let keeper = keeper.map(|keeper| (keeper, readiness.check("tenants")));
        let doors = Arc::new(Doors { intake, tenants, connectors, limits: options.limits.clone() });
        let bind = |source| StartError::Bind { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Service { listener, address, router: router(doors), producer, opener, readiness, options, keeper })
    }
}

/// The client library gives a record up at the produce deadline, so that its verdict is there before the client's patience ends.
fn producer_settings(options: &Options) -> kafka::Settings {
    let mut settings = options.kafka.clone();
    let timeout = options.produce_deadline.as_millis().to_string();
    settings.producer.entry("message.timeout.ms".to_owned()).or_insert(timeout);
    settings
}
