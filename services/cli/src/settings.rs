//! The settings of the commands that work on a whole installation: `up`, `topics` and `schemas`. One file serves all.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use gateway::options::{LimitOptions, LogOptions, RegistryOptions};
use serde::{Deserialize, Serialize};
use service_kit::config::{self, Flags};
use tenancy::TenantsFrom;

use crate::{error, out};

/// An installation: what its services share, and each service's own.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The region; the second part of every topic's name.
    pub region: String,
    /// The folder of the tenants' configuration.
    pub tenants: PathBuf,
    /// Whether that folder says which tenants there are, or the control topic (docs/adr/0021).
    pub tenants_from: TenantsFrom,
    /// A folder of connectors on top of the embedded ones: a file of it counts in the place of theirs.
    pub connectors: Option<PathBuf>,
    /// A folder of topic specifications on top of the embedded ones.
    pub topics: Option<PathBuf>,
    /// Replicas of every topic in the place of what is specified, for a cluster of fewer brokers.
    pub replication: Option<i32>,
    /// How to reach the brokers.
    pub kafka: kafka::Settings,
    /// The schema registry.
    pub registry: RegistryOptions,
    /// Logging.
    pub log: LogOptions,
    /// The gateway's own settings.
    pub gateway: GatewaySettings,
    /// The sink's own settings.
    pub sink: SinkSettings,
    /// The sandbox ERP's own settings.
    pub sandbox: SandboxSettings,
}

/// The gateway's own settings; see [`gateway::Options`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // gateway::Options has them
pub struct GatewaySettings {
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    pub limits: LimitOptions,
    #[serde(with = "service_kit::duration")]
    pub produce_deadline: Duration,
    #[serde(with = "service_kit::duration")]
    pub drain_deadline: Duration,
}

/// The sink's own settings; see [`sink::Options`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // sink::Options has them
pub struct SinkSettings {
    pub admin_listen: SocketAddr,
    pub group: String,
    pub signin: PathBuf,
    pub ledger: ledger::LedgerOptions,
    pub standby: bool,
    pub window: usize,
    pub in_flight: usize,
    pub intents: sink::IntentsOption,
    #[serde(with = "service_kit::duration")]
    pub commit_every: Duration,
    #[serde(with = "service_kit::duration")]
    pub drain: Duration,
    #[serde(with = "service_kit::duration")]
    pub wedged_after: Duration,
    #[serde(with = "service_kit::duration")]
    pub clock_skew: Duration,
    #[serde(with = "service_kit::duration")]
    pub connect_timeout: Duration,
}

/// The sandbox ERP's own settings; see [`sandbox_service::Options`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // sandbox_service::Options has them
pub struct SandboxSettings {
    pub listen: SocketAddr,
    pub control_listen: Option<SocketAddr>,
    pub admin_listen: SocketAddr,
    pub accounts: BTreeMap<String, sandbox::Change>,
}

impl Default for Settings {
    fn default() -> Self {
        let gateway::Options {
            region, tenants, tenants_from, connectors, topics, kafka, registry, log, ..
        } = gateway::Options::default();
        Self {
            region,
            tenants,
            tenants_from,
            connectors,
            topics,
            replication: None,
            kafka,
            registry,
            log,
            gateway: GatewaySettings::default(),
            sink: SinkSettings::default(),
            sandbox: SandboxSettings::default(),
        }
    }
}

impl Default for GatewaySettings {
    fn default() -> Self {
        let gateway::Options { listen, admin_listen, limits, produce_deadline, drain_deadline, .. } =
            gateway::Options::default();
        Self { listen, admin_listen, limits, produce_deadline, drain_deadline }
    }
}

impl Default for SinkSettings {
    fn default() -> Self {
        let sink::Options {
            admin_listen,
            group,
            signin,
            ledger,
            standby,
            window,
            in_flight,
            intents,
            commit_every,
            drain,
            wedged_after,
            clock_skew,
            connect_timeout,
            ..
        } = sink::Options::default();
        Self {
            admin_listen,
            group,
            signin,
            ledger,
            standby,
            window,
            in_flight,
            intents,
            commit_every,
            drain,
            wedged_after,
            clock_skew,
            connect_timeout,
        }
    }
}

impl Default for SandboxSettings {
    fn default() -> Self {
        let sandbox_service::Options { listen, control_listen, admin_listen, accounts, .. } =
            sandbox_service::Options::default();
        Self { listen, control_listen, admin_listen, accounts }
    }
}

impl Settings {
    /// The gateway's options, whole.
    pub fn gateway(&self) -> gateway::Options {
        let own = self.gateway.clone();
        gateway::Options {
            listen: own.listen,
            admin_listen: own.admin_listen,
            region: self.region.clone(),
            tenants: self.tenants.clone(),
            tenants_from: self.tenants_from,
            connectors: self.connectors.clone(),
            topics: self.topics.clone(),
            kafka: self.kafka.clone(),
            registry: self.registry.clone(),
            limits: own.limits,
            produce_deadline: own.produce_deadline,
            drain_deadline: own.drain_deadline,
            log: self.log.clone(),
        }
    }

    /// The sink's options, whole.
    pub fn sink(&self) -> sink::Options {
        let own = self.sink.clone();
        let registry =
            sink::RegistryOptions { url: self.registry.url.clone(), register: self.registry.register };
        sink::Options {
            admin_listen: own.admin_listen,
            region: self.region.clone(),
            tenants: self.tenants.clone(),
            tenants_from: self.tenants_from,
            connectors: self.connectors.clone(),
            kafka: self.kafka.clone(),
            registry,
            group: own.group,
            signin: own.signin,
            ledger: own.ledger,
            standby: own.standby,
            window: own.window,
            in_flight: own.in_flight,
            intents: own.intents,
            commit_every: own.commit_every,
            drain: own.drain,
            wedged_after: own.wedged_after,
            clock_skew: own.clock_skew,
            connect_timeout: own.connect_timeout,
            // The process logs by `log` above, once for all of its services.
            ..sink::Options::default()
        }
    }

    /// The sandbox's options, whole.
    pub fn sandbox(&self) -> sandbox_service::Options {
        let own = self.sandbox.clone();
        sandbox_service::Options {
            listen: own.listen,
            control_listen: own.control_listen,
            admin_listen: own.admin_listen,
            accounts: own.accounts,
            ..sandbox_service::Options::default()
        }
    }
}

/// The flags that every command with [`Settings`] has.
#[derive(Debug, clap::Args)]
pub struct SettingsArgs {
    /// Settings file (TOML) [default: the one that COUNTERFOIL_CONFIG names]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings in force, without secrets, and exit
    #[arg(long)]
    print_config: bool,
    /// The region; the second part of every topic's name [default: eu]
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
}

/// The flags that say how to reach the cluster and what topics it should have.
#[derive(Debug, clap::Args)]
pub struct TopicSettingsArgs {
    /// Kafka brokers to start from [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap: Option<String>,
    /// Folder of the tenants' configuration [default: tenants]
    #[arg(long, value_name = "DIR")]
    tenants: Option<String>,
    /// Folder of topic specifications on top of the built-in ones
    #[arg(long, value_name = "DIR")]
    topics: Option<String>,
    /// Replicas of every topic in the place of what is specified, for a cluster of fewer brokers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=32_767))]
    replication: Option<i32>,
}

/// The flag that says where the registry is.
#[derive(Debug, clap::Args)]
pub struct RegistryArgs {
    /// Schema registry [default: http://127.0.0.1:8090]
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
}

impl TopicSettingsArgs {
    /// Adds these flags.
    pub fn flags(&self, flags: Flags) -> Flags {
        flags
            .set("--bootstrap", "kafka.bootstrap", self.bootstrap.clone())
            .set("--tenants", "tenants", self.tenants.clone())
            .set("--topics", "topics", self.topics.clone())
            .set("--replication", "replication", self.replication)
    }
}

impl RegistryArgs {
    /// Adds this flag.
    pub fn flags(&self, flags: Flags) -> Flags {
        flags.set("--registry", "registry.url", self.registry.clone())
    }
}

impl SettingsArgs {
    /// The settings in force; none if they were asked for and are printed now.
    ///
    /// # Errors
    /// When the file cannot be read, or a setting is unknown or does not fit.
    pub fn load(&self, flags: Flags) -> anyhow::Result<Option<Settings>> {
        let flags = flags.set("--region", "region", self.region.clone());
        let settings: Settings = config::load(self.config.as_deref(), flags).map_err(error::config)?;
        if self.print_config {
            out::line(config::print_config(&settings)?.trim_end());
            return Ok(None);
        }
        Ok(Some(settings))
    }
}
