//! `counterfoil up`: gateway and sink in one process.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use clap::Args;
use service_kit::{Admin, Readiness, Shutdown, Task, config::Flags};
use telemetry::Metrics;
use tenancy::Environment;

use super::{schemas, topics};
use crate::{
    error, out,
    settings::{RegistryArgs, Settings, SettingsArgs, TopicSettingsArgs},
};

/// What the parts need beyond their own drains to end.
const GRACE: Duration = Duration::from_secs(10);

/// Flags of `counterfoil up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Ends on SIGTERM or Ctrl-C: the gateway first, so that nothing new comes in, then the sink, then the sandbox.

Example:
  counterfoil up --init --sandbox --bootstrap 127.0.0.1:9092 --registry http://127.0.0.1:8090 --replication 1")]
pub struct UpArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    topics: TopicSettingsArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Create topics and register schemas first
    #[arg(long)]
    init: bool,
    /// Run the sandbox ERP too
    #[arg(long)]
    sandbox: bool,
    /// Where the gateway takes events [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Folder of the sink's local ledger [default: data/ledger]
    #[arg(long, value_name = "DIR")]
    ledger_dir: Option<String>,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When something cannot start, the sink has to stop, or a drain left something behind.
pub async fn run(args: UpArgs) -> anyhow::Result<()> {
    let flags = args.registry.flags(args.topics.flags(Flags::new()));
    let flags = flags.set("--listen", "gateway.listen", args.listen.map(|address| address.to_string())).set(
        "--ledger-dir",
        "sink.ledger.dir",
        args.ledger_dir.clone(),
    );
    let Some(settings) = args.settings.load(flags)? else { return Ok(()) };
    // All of the configuration is read before anything is touched.
    let setup = gateway::Setup::load(settings.gateway(), &Environment).map_err(error::gateway)?;
    telemetry::init(settings.log.format, &settings.log.filter)?;
    // From here on, a signal counts even while brokers or registry keep us waiting.
    let shutdown = Shutdown::new();
    shutdown.on_signals(settings.gateway.drain_deadline + settings.sink.drain * 4 + GRACE)?;
    if args.init {
        tokio::select! {
            done = init(&settings) => done?,
            () = shutdown.triggered() => return Ok(()),
        }
    }
    let parts = Parts::start(&settings, setup, args.sandbox).await?;
    parts.until(shutdown).await
}

async fn init(settings: &Settings) -> anyhow::Result<()> {
    let plan = topics::plan(settings).await?;
    topics::apply(settings, &plan).await?;
    let schemas = schemas::register(settings).await?;
    tracing::info!(
        created = plan.create.len(),
        altered = plan.alter.len(),
        schemas = schemas.len(),
        "initialised"
    );
    Ok(())
}

/// A service that runs in a task, and what tells it to end.
struct Part<T> {
    stop: Shutdown,
    task: Task<T>,
}

struct Parts {
    admin: Admin,
    gateway: Part<gateway::Drained>,
    sink: Part<Result<(), sink::StartError>>,
    sandbox: Option<Part<()>>,
}

impl<T: Send + 'static> Part<T> {
    fn spawn<F>(name: &'static str, run: impl FnOnce(Shutdown) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let stop = Shutdown::new();
        Self { task: service_kit::spawn(name, run(stop.clone())), stop }
    }

    async fn end(self) -> anyhow::Result<T> {
        self.stop.trigger();
        Ok(self.task.await?)
    }
}

impl Parts {
    /// From the end of the way to its start, so that no event meets a part that is not there.
    async fn start(settings: &Settings, setup: gateway::Setup, sandbox: bool) -> anyhow::Result<Self> {
        let sandbox = if sandbox {
            let service = sandbox_service::Service::build(settings.sandbox()).await?;
            out::line(format_args!("sandbox   http://{}/", service.control_addr()));
            Some(Part::spawn("sandbox", |stop| service.run(stop)))
        } else {
            None
        };
        let service = sink::Service::build(settings.sink()).await.map_err(error::sink)?;
        out::line(format_args!("sink      http://{}/health/ready /metrics", service.admin_addr()));
        let sink = Part::spawn("sink", |stop| service.run(stop));
        let (metrics, readiness) = (Metrics::new("gateway")?, Readiness::new());
        let service = setup.build(&metrics, readiness.clone()).await.map_err(error::gateway)?;
        let admin = Admin::start(settings.gateway.admin_listen, metrics, readiness).await;
        let admin = admin.with_context(|| {
            format!("the gateway's health and metrics cannot listen on {}", settings.gateway.admin_listen)
        })?;
        out::line(format_args!("gateway   http://{}/health/ready /metrics", admin.local_addr()));
        out::line(format_args!("events    http://{}/v1/events", service.local_addr()));
        let gateway = Part::spawn("gateway", |stop| service.run(stop));
        Ok(Self { admin, gateway, sink, sandbox })
    }

    /// Waits for `shutdown`, or for the sink to give up, and drains in the order of the events' way.
    async fn until(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        let failed = tokio::select! {
            () = shutdown.triggered() => None,
            ended = &mut self.sink.task => Some(ended),
        };
        let drained = self.gateway.end().await?;
        self.admin.stop().await;
        let sink = match failed {
            Some(ended) => ended?,
            None => self.sink.end().await?,
        };
        if let Some(sandbox) = self.sandbox {
            sandbox.end().await?;
        }
        sink.map_err(error::sink)?;
        anyhow::ensure!(
            drained.cut == 0 && drained.flushed,
            "the gateway's drain was not complete: {drained:?}"
        );
        Ok(())
    }
}
