//! Brokers, registry and proxies.

use std::sync::Arc;

use anyhow::Context as _;
use testkit::{
    free_port,
    kafka::{self, Detour, Kafka, Trio},
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

/// How many brokers are started where none are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    One,
    /// Topics have three replicas then, of which two must be in sync.
    Three,
}

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
    /// The brokers, where there are three of our own.
    pub trio: Option<Arc<Trio>>,
    /// Those of the three that are killed or stopped now.
    pub hurt: Vec<i32>,
    _kafka: Option<Kafka>,
}

impl Cluster {
    /// Starts everything that is not given.
    pub async fn start(
        size: Size,
        bootstrap: Option<String>,
        registry: Option<String>,
    ) -> anyhow::Result<Self> {
        let named = || std::env::var(kafka::BOOTSTRAP_VARIABLE).ok().filter(|_| size == Size::One);
        let given = bootstrap.or_else(named);
        let started = tokio::task::spawn_blocking(move || start(size, given, registry));
        let Started { proxies, kafka, trio, bootstrap, ports, registry } =
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
        // Three brokers keep a small machine busy: one that answers late must not look like a sink that is gone.
        let session_ms = if kafka.is_some() { SHORT_SESSION_MS } else { USUAL_SESSION_MS };
        let hurt = Vec::new();
        Ok(Self {
            bootstrap,
            detour,
            registry,
            registry_proxied,
            session_ms,
            proxies,
            trio,
            hurt,
            _kafka: kafka,
        })
    }
}

/// A broker that allows short sessions, and whose records have the time at which it appended them. Blocking.
pub fn broker(detour: Option<Detour>) -> anyhow::Result<Kafka> {
    Kafka::start(&kafka::Options { properties: properties(), detour, ..kafka::Options::owned() })
}

fn properties() -> Vec<(String, String)> {
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        property("group.min.session.timeout.ms", "1000"),
        property("log.message.timestamp.type", "LogAppendTime"),
    ]
}

struct Started {
    proxies: Toxiproxy,
    kafka: Option<Kafka>,
    trio: Option<Arc<Trio>>,
    bootstrap: String,
    ports: Option<Detour>,
    registry: String,
}

fn start(size: Size, bootstrap: Option<String>, registry: Option<String>) -> anyhow::Result<Started> {
    let proxies = Toxiproxy::start()?;
    let (kafka, trio, bootstrap, ports) = match (bootstrap, size) {
        (Some(bootstrap), _) => (None, None, bootstrap, None),
        (None, Size::Three) => {
            let trio = Trio::start(&kafka::Options { properties: properties(), ..kafka::Options::owned() })?;
            let bootstrap = trio.bootstrap().to_owned();
            (None, Some(Arc::new(trio)), bootstrap, None)
        }
        (None, Size::One) => {
            let ports = Detour { listen: free_port()?, advertise: free_port()? };
            let kafka = broker(Some(ports))?;
            let bootstrap = kafka.bootstrap().to_owned();
            (Some(kafka), None, bootstrap, Some(ports))
        }
    };
    let registry = match registry {
        Some(registry) => registry,
        None => Apicurio::shared()?.url().to_owned(),
    };
    Ok(Started { proxies, kafka, trio, bootstrap, ports, registry })
}
