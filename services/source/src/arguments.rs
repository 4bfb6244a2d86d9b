//! The command line of the source, the same for its own binary and for `counterfoil serve source`.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use service_kit::{
    Shutdown,
    config::{self, Flags},
};

use crate::{Options, Service};

/// For the requests under way.
const DRAIN: Duration = Duration::from_secs(30);

/// Asks systems that call nobody what has changed in them, and brings it to the gateway.
///
/// What is asked is the `poll` of each tenant's connections, and `changes` of the connector's objects.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  counterfoil-source --gateway http://gateway:8080 --state /var/lib/counterfoil/source")]
pub struct Arguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The gateway's base URL [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// Folder of the tenants' configuration [default: tenants]
    #[arg(long, value_name = "DIR")]
    tenants: Option<String>,
    /// Whether that folder says which tenants there are, or the control topic [default: folder]
    #[arg(long, value_name = "folder|control")]
    tenants_from: Option<String>,
    /// Kafka brokers to start from, for the control topic [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap: Option<String>,
    /// Folder that keeps how far every system was read [default: data/source]
    #[arg(long, value_name = "DIR")]
    state: Option<String>,
    /// Where health and metrics listen [default: 127.0.0.1:8087]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Print the settings in force, without secrets, and exit
    #[arg(long)]
    print_config: bool,
}

impl Arguments {
    /// Polls until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When a setting does not fit, or a poll cannot be begun; the code comes first.
    pub async fn run(self) -> anyhow::Result<()> {
        let options: Options = config::load(self.config.as_deref(), self.flags()).map_err(|error| {
            let code = error.code();
            anyhow::Error::new(error).context(code)
        })?;
        if self.print_config {
            print!("{}", config::print_config(&options).context("settings cannot be printed")?);
            return Ok(());
        }
        telemetry::init(options.log.format, &options.log.filter)?;
        let shutdown = Shutdown::new();
        shutdown.on_signals(DRAIN)?;
        let service = Service::build(options).await.map_err(|error| {
            let code = error.code();
            anyhow::Error::new(error).context(code)
        })?;
        service.run(shutdown).await;
        Ok(())
    }

    fn flags(&self) -> Flags {
        Flags::new()
            .set("--gateway", "gateway", self.gateway.clone())
            .set("--tenants", "tenants", self.tenants.clone())
            .set("--tenants-from", "tenants_from", self.tenants_from.clone())
            .set("--bootstrap", "kafka.bootstrap", self.bootstrap.clone())
            .set("--state", "state", self.state.clone())
            .set("--admin-listen", "admin_listen", self.admin_listen.clone())
    }
}
