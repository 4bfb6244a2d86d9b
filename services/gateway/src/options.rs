//! The gateway's settings.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use tenancy::TenantsFrom;

/// Everything that can be set about the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Where it takes events. Loopback unless changed.
    pub listen: SocketAddr,
    /// Where it serves health and metrics. Loopback unless changed.
    pub admin_listen: SocketAddr,
    /// The region it serves; the second part of every topic's name.
    pub region: String,
    /// The folder of the tenants' configuration.
    pub tenants: PathBuf,
    /// Whether that folder says which tenants there are, or the control topic (docs/adr/0021).
    pub tenants_from: TenantsFrom,
    /// A folder of connectors on top of the embedded ones: a file of it counts in the place of theirs.
    pub connectors: Option<PathBuf>,
    /// A folder of topic specifications on top of the embedded ones.
    pub topics: Option<PathBuf>,
    /// How to reach the brokers.
    pub kafka: kafka::Settings,
    /// The schema registry.
    pub registry: RegistryOptions,
    /// What clients are granted.
    pub limits: LimitOptions,
    /// How long the brokers may take to acknowledge a record.
    #[serde(with = "service_kit::duration")]
    pub produce_deadline: Duration,
    /// How long a drain may take, flush included.
    #[serde(with = "service_kit::duration")]
    pub drain_deadline: Duration,
    /// Logging.
    pub log: LogOptions,
}

/// The schema registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryOptions {
    /// Its base URL.
    pub url: String,
    /// Whether to register schemas that are not; the registry's compatibility rules decide. Where schemas are registered
    /// by a pipeline (`counterfoil schemas register`), set it to false.
    pub register: bool,
}

/// What clients are granted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitOptions {
    /// The longest request body, in bytes.
    pub body_bytes: usize,
    /// The most events of one request.
    pub batch_events: usize,
    /// Connections at one time.
    pub connections: usize,
    /// For a request's head to arrive.
    #[serde(with = "service_kit::duration")]
    pub header_read_timeout: Duration,
    /// For a request's body to arrive.
    #[serde(with = "service_kit::duration")]
    pub body_read_timeout: Duration,
}

/// Logging.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogOptions {
    /// How lines look.
    pub format: telemetry::Format,
    /// What is logged, as `level,target=level,…`; `RUST_LOG` wins.
    pub filter: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            region: "eu".to_owned(),
            tenants: PathBuf::from("tenants"),
            tenants_from: TenantsFrom::default(),
            connectors: None,
            topics: None,
            kafka: kafka::Settings::default(),
            registry: RegistryOptions::default(),
            limits: LimitOptions::default(),
            produce_deadline: Duration::from_secs(5),
            drain_deadline: Duration::from_secs(20),
            log: LogOptions::default(),
        }
    }
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self { url: "http://127.0.0.1:8090".to_owned(), register: true }
    }
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            batch_events: 500,
            connections: 1024,
            header_read_timeout: Duration::from_secs(30),
            body_read_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { format: telemetry::Format::Text, filter: "info".to_owned() }
    }
}
