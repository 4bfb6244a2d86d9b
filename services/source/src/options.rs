//! The source's settings.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use tenancy::TenantsFrom;

/// Everything that can be set about the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Where it serves health and metrics. Loopback unless changed.
    pub admin_listen: SocketAddr,
    /// The region it serves.
    pub region: String,
    /// The folder of the tenants' configuration.
    pub tenants: PathBuf,
    /// Whether that folder says which tenants there are, or the control topic (docs/adr/0021).
    pub tenants_from: TenantsFrom,
    /// How to reach the brokers, for the control topic alone.
    pub kafka: kafka::Settings,
    /// A folder of connectors on top of the embedded ones, with their programs in `<connector>/changes/`.
    pub connectors: Option<PathBuf>,
    /// The gateway's base URL.
    pub gateway: String,
    /// The folder that keeps how far every system was read.
    pub state: PathBuf,
    /// The folder that keeps refresh tokens which take the place of one another: that of the sinks.
    pub signin: PathBuf,
    /// The longest wait for a connection to a system.
    #[serde(with = "service_kit::duration")]
    pub connect_timeout: Duration,
    /// Logging.
    pub log: LogOptions,
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
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 8087)),
            region: "eu".to_owned(),
            tenants: PathBuf::from("tenants"),
            tenants_from: TenantsFrom::default(),
            kafka: kafka::Settings::default(),
            connectors: None,
            gateway: "http://127.0.0.1:8080".to_owned(),
            state: PathBuf::from("data/source"),
            signin: PathBuf::from("data/signin"),
            connect_timeout: Duration::from_secs(1),
            log: LogOptions::default(),
        }
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { format: telemetry::Format::Text, filter: "info".to_owned() }
    }
}
