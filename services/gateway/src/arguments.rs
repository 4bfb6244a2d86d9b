//! The command line of the gateway, the same for its own binary and for `counterfoil serve gateway`.

use std::{net::SocketAddr, path::PathBuf};

use service_kit::config::{self, Flags};

use crate::{Options, Setup};

/// Takes business events and webhooks over HTTP, checks them, and publishes them to Kafka.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  counterfoil-gateway --bootstrap kafka:9092 --registry http://registry:8080 --tenants /etc/counterfoil/tenants")]
pub struct Arguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings in force, without secrets, and exit
    #[arg(long)]
    print_config: bool,
    /// Check settings, tenants, connectors and topics, and exit
    #[arg(long)]
    check_config: bool,
    /// Where to take events [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where health and metrics listen [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Kafka brokers to start from [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap: Option<String>,
    /// Schema registry [default: http://127.0.0.1:8090]
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// Folder of the tenants' configuration [default: tenants]
    #[arg(long, value_name = "DIR")]
    tenants: Option<String>,
    /// Whether that folder says which tenants there are, or the control topic [default: folder]
    #[arg(long, value_name = "folder|control")]
    tenants_from: Option<String>,
}

impl Arguments {
    /// Serves until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When a setting does not fit, the gateway cannot start, or the drain left something behind; the code comes first.
    pub async fn run(self) -> anyhow::Result<()> {
        let options: Options =
            config::load(self.config.as_deref(), self.flags()).map_err(|e| coded(e.code(), e))?;
        if self.print_config {
            print!("{}", config::print_config(&options)?);
            return Ok(());
        }
        if self.check_config {
            Setup::load(options, &tenancy::Environment).map_err(|e| coded(e.code(), e))?;
            return Ok(());
        }
        telemetry::init(options.log.format, &options.log.filter)?;
        crate::run_process(options).await
    }

    fn flags(&self) -> Flags {
        let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
        Flags::new()
            .set("--listen", "listen", text(self.listen))
            .set("--admin-listen", "admin_listen", text(self.admin_listen))
            .set("--bootstrap", "kafka.bootstrap", self.bootstrap.clone())
            .set("--registry", "registry.url", self.registry.clone())
            .set("--tenants", "tenants", self.tenants.clone())
            .set("--tenants-from", "tenants_from", self.tenants_from.clone())
    }
}

/// An error under its code, for the last line of a process that did not start.
fn coded(code: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    anyhow::Error::new(error).context(code)
}
