//! The command line of the sandbox, the same for its own binary and for `counterfoil serve sandbox`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use service_kit::{
    Shutdown,
    config::{self, Flags},
};

use crate::{Options, Service};

const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// A small ERP in memory, with faults on demand and an exact count of every change, for demo and evaluation.
///
/// POST /{account}/api/v1/{collection} creates a document; the page at / shows what there is;
/// PUT /admin/accounts/{account} sets an account's behaviour. Nothing is kept when it ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  counterfoil-sandbox --listen 127.0.0.1:8085
  curl http://127.0.0.1:8085/")]
pub struct Arguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the ERP listens [default: 127.0.0.1:8085]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the page and the sandbox's admin API listen [default: as --listen]
    #[arg(long, value_name = "ADDRESS")]
    control_listen: Option<SocketAddr>,
    /// Where health and metrics listen [default: 127.0.0.1:9085]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Print the settings in force, without secrets, and exit
    #[arg(long)]
    print_config: bool,
}

impl Arguments {
    /// Serves until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When a setting does not fit, or an address is taken.
    pub async fn run(self) -> anyhow::Result<()> {
        let options: Options = config::load(self.config.as_deref(), self.flags()).map_err(|error| {
            let code = error.code();
            anyhow::Error::new(error).context(code)
        })?;
        if self.print_config {
            print!("{}", config::print_config(&options).context("settings cannot be printed")?);
            return Ok(());
        }
        telemetry::init(options.log_format, "info")?;
        let shutdown = Shutdown::new();
        shutdown.on_signals(DRAIN_DEADLINE)?;
        Service::build(options).await?.run(shutdown).await;
        Ok(())
    }

    fn flags(&self) -> Flags {
        let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
        Flags::new()
            .set("--listen", "listen", text(self.listen))
            .set("--control-listen", "control_listen", text(self.control_listen))
            .set("--admin-listen", "admin_listen", text(self.admin_listen))
    }
}
