//! The command line of the sink, the same for its own binary and for `counterfoil serve sink`.

use std::path::PathBuf;

use anyhow::Context;
use service_kit::{
    Shutdown,
    config::{self, Flags},
};

use crate::{Options, Service};

/// Reads events from Kafka and posts each of them to its targets once in effect.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  counterfoil-sink --bootstrap kafka:9092 --registry http://registry:8080 --ledger-dir /var/lib/counterfoil/ledger")]
pub struct Arguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
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
    /// Folder of the local ledger [default: data/ledger]
    #[arg(long, value_name = "DIR")]
    ledger_dir: Option<String>,
    /// Where health and metrics listen [default: 127.0.0.1:8083]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Print the settings in force, without secrets, and exit
    #[arg(long)]
    print_config: bool,
    /// Drain and end when standard input ends: for a parent process that must not leave a sink behind
    #[arg(long)]
    until_stdin_ends: bool,
}

impl Arguments {
    /// Delivers until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When a setting does not fit, or something fails that only a restart can mend; the code comes first.
    pub async fn run(self) -> anyhow::Result<()> {
        let options: Options = config::load(self.config.as_deref(), self.flags()).map_err(|error| {
            let code = error.code();
            anyhow::Error::new(error).context(code)
        })?;
        if self.print_config {
            print!("{}", config::print_config(&options).context("settings cannot be printed")?);
            return Ok(());
        }
        #[cfg(feature = "failpoints")]
        let _armed = crate::crash::arm();
        telemetry::init(options.log.format, &options.log.filter)?;
        let shutdown = Shutdown::new();
        // The drain of the group and the last flush, twice over.
        shutdown.on_signals(options.drain * 4)?;
        if self.until_stdin_ends {
            drain_with_stdin(shutdown.clone())?;
        }
        let ended = async { Service::build(options).await?.run(shutdown).await }.await;
        ended.map_err(|error| {
            let code = error.code();
            anyhow::Error::new(error).context(code)
        })
    }

    fn flags(&self) -> Flags {
        Flags::new()
            .set("--bootstrap", "kafka.bootstrap", self.bootstrap.clone())
            .set("--registry", "registry.url", self.registry.clone())
            .set("--tenants", "tenants", self.tenants.clone())
            .set("--tenants-from", "tenants_from", self.tenants_from.clone())
            .set("--ledger-dir", "ledger.dir", self.ledger_dir.clone())
            .set("--admin-listen", "admin_listen", self.admin_listen.clone())
    }
}

fn drain_with_stdin(shutdown: Shutdown) -> std::io::Result<()> {
    // A thread, not a task: a read of standard input cannot be cancelled and would hold the runtime's end up.
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tracing::info!(?ended, "standard input ended");
        shutdown.trigger();
    })?;
    Ok(())
}
