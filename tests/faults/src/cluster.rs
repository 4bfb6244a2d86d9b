//! Brokers, registry and proxies.

use anyhow::Context as _;
use testkit::{
    free_port,
    kafka::{self, Detour, Kafka},
    registry::Apicurio,
    toxiproxy::Toxiproxy,
};

/// The session time-out that a campaign's own broker allows: a killed sink is missed after it.
pub const SHORT_SESSION_MS: u64 = 3_000;
/// The shortest that a broker allows unless told otherwise.
const USUAL_SESSION_MS: u64 = 6_000;

/// The proxy between the second sink and the brokers.
pub const BROKERS: &str = "brokers";
/// The proxy between the sinks and the registry.
pub const REGISTRY: &str = "registry";

pub struct Cluster {
    /// The direct way to the brokers.
    pub bootstrap: String,
    /// The way through a proxy, where the brokers are our own.
    pub detour: Option<String>,
    /// The direct way to the registry.
    pub registry: String,
    /// The way through a proxy.
    pub registry_proxied: String,
    pub session_ms: u64,
    pub proxies: Toxiproxy,
    _kafka: Option<Kafka>,
}

impl Cluster {
    /// Starts everything that is not given.
    pub async fn start(bootstrap: Option<String>, registry: Option<String>) -> anyhow::Result<Self> {
        let given = bootstrap.or_else(|| std::env::var(kafka::BOOTSTRAP_VARIABLE).ok());
        let started = tokio::task::spawn_blocking(move || start(given, registry));
        let Started { proxies, kafka, bootstrap, ports, registry } =
            started.await.context("the start panicked")??;
        let registry_port = free_port()?;
        let address = registry.trim_start_matches("http://").split('/').next().unwrap_or_default();
        proxies.proxy(REGISTRY, registry_port, address).await?;
        let registry_proxied = registry.replacen(address, &format!("127.0.0.1:{registry_port}"), 1);
        let mut detour = None;
        if let Some(Detour { listen, advertise }) = ports {
            proxies.proxy(BROKERS, advertise, &format!("127.0.0.1:{listen}")).await?;
            detour = Some(format!("127.0.0.1:{advertise}"));
        }
        let session_ms = if kafka.is_some() { SHORT_SESSION_MS } else { USUAL_SESSION_MS };
        Ok(Self { bootstrap, detour, registry, registry_proxied, session_ms, proxies, _kafka: kafka })
    }
}

/// A broker that allows short sessions, and whose records have the time at which it appended them. Blocking.
pub fn broker(detour: Option<Detour>) -> anyhow::Result<Kafka> {
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let properties = vec![
        property("group.min.session.timeout.ms", "1000"),
        property("log.message.timestamp.type", "LogAppendTime"),
    ];
    Kafka::start(&kafka::Options { properties, detour, ..kafka::Options::owned() })
}

struct Started {
    proxies: Toxiproxy,
    kafka: Option<Kafka>,
    bootstrap: String,
    ports: Option<Detour>,
    registry: String,
}

fn start(bootstrap: Option<String>, registry: Option<String>) -> anyhow::Result<Started> {
    let proxies = Toxiproxy::start()?;
    let (kafka, bootstrap, ports) = match bootstrap {
        Some(bootstrap) => (None, bootstrap, None),
        None => {
            let ports = Detour { listen: free_port()?, advertise: free_port()? };
            let kafka = broker(Some(ports))?;
            let bootstrap = kafka.bootstrap().to_owned();
            (Some(kafka), bootstrap, Some(ports))
        }
    };
    let registry = match registry {
        Some(registry) => registry,
        None => Apicurio::shared()?.url().to_owned(),
    };
    Ok(Started { proxies, kafka, bootstrap, ports, registry })
}
