//! The sink's settings.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ledger::LedgerOptions;
use serde::{Deserialize, Serialize};
use tenancy::TenantsFrom;

/// Everything that can be set about the sink.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
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
    /// The folder where refresh tokens are kept that take the place of one another.
    pub signin: PathBuf,
    /// How to reach the brokers.
    pub kafka: kafka::Settings,
    /// The schema registry.
    pub registry: RegistryOptions,
    /// The consumer group; members of it share the partitions.
    pub group: String,
    /// The local ledger.
    pub ledger: LedgerOptions,
    /// Whether copies are kept of the ledgers of partitions that other members own: a takeover then reads only the last
    /// moments of a changelog. Costs each sink the reading and writing of all changelogs of its group.
    pub standby: bool,
    /// Most records of one partition that are fetched and not settled.
    pub window: usize,
    /// Most requests in flight over all connections; beyond that tenants take turns, by their weights.
    pub in_flight: usize,
    /// Which requests have an Intent of their own in the ledger: `each`, or those alone where a repeat could do harm
    /// (`shared`, docs/adr/0014).
    pub intents: IntentsOption,
    /// How often offsets are committed and the lease renewed; well below the group's session time-out.
    #[serde(with = "service_kit::duration")]
    pub commit_every: Duration,
    /// How long requests in flight may take to end when partitions move or the sink stops.
    #[serde(with = "service_kit::duration")]
    pub drain: Duration,
    /// How long the sink's loop may stand still before the process ends itself, so that others get its partitions; 0: for ever.
    #[serde(with = "service_kit::duration")]
    pub wedged_after: Duration,
    /// How far the clocks of two machines may differ.
    #[serde(with = "service_kit::duration")]
    pub clock_skew: Duration,
    /// The longest wait for a connection to a target.
    #[serde(with = "service_kit::duration")]
    pub connect_timeout: Duration,
    /// Logging.
    pub log: LogOptions,
}

/// Which requests have an Intent of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentsOption {
    /// Every one.
    Each,
    /// Those at targets of class N, and those of the others where a repeat could do harm. The rest share one for a range
    /// of records.
    #[default]
    Shared,
}

/// The schema registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryOptions {
    /// Its base URL.
    pub url: String,
    /// Whether to register the schema of outcome events where it is missing.
    pub register: bool,
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
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 8083)),
            region: "eu".to_owned(),
            tenants: PathBuf::from("tenants"),
            tenants_from: TenantsFrom::default(),
            connectors: None,
            signin: PathBuf::from("data/signin"),
            kafka: kafka::Settings::default(),
            registry: RegistryOptions::default(),
            group: "counterfoil-sink".to_owned(),
            ledger: LedgerOptions::default(),
            standby: true,
            window: 1_000,
            in_flight: 1_024,
            intents: IntentsOption::Shared,
            commit_every: Duration::from_secs(1),
            drain: Duration::from_secs(4),
            wedged_after: Duration::from_secs(60),
            clock_skew: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(1),
            log: LogOptions::default(),
        }
    }
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self { url: "http://127.0.0.1:8090".to_owned(), register: true }
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { format: telemetry::Format::Text, filter: "info".to_owned() }
    }
}
