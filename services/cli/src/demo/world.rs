//! Everything that the demo needs, on loopback: broker, registry, sandbox ERP and gateway in this process, the sink as a
//! child of its own, so that it can really be killed.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use contract::{Compatibility, Contracts, RegistryClient};
use event::TenantId;
use gateway::Setup;
use kafka::embedded::Broker;
use registry::EmbeddedRegistry;
use sandbox::{Change, Idempotency, Sandbox};
use service_kit::{Readiness, Shutdown};
use telemetry::Metrics;
use tenancy::Given;
use tokio::process::{Child, Command};
use topics::Specs;

use super::{
    DemoArgs,
    feed::{BOOKS_CLOSED_BEFORE, TENANTS},
};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// The running parts.
pub(crate) struct World {
    pub(crate) region: String,
    pub(crate) kafka: kafka::Settings,
    pub(crate) registry_url: String,
    pub(crate) gateway_url: String,
    pub(crate) sandbox_url: String,
    pub(crate) sandbox: Sandbox,
    pub(crate) secrets: Arc<HashMap<String, String>>,
    pub(crate) embedded: bool,
    sink_admin: SocketAddr,
    sink: Option<Child>,
    dir: tempfile::TempDir,
    gateway_ready: Readiness,
    gateway: Option<service_kit::Task<gateway::Drained>>,
    shutdown: Shutdown,
    erp: Option<sandbox::Handle>,
    registry: Option<EmbeddedRegistry>,
    _broker: Option<Broker>,
}

impl World {
    /// Starts everything. The gateway listens, the sink is on its way.
    pub(crate) async fn start(args: &DemoArgs) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("counterfoil-demo-").tempdir()?;
        let tenants = dir.path().join("tenants");
        tenancy::TenantSet::write_example(&tenants, &args.region)?;
        let topics = Specs::embedded()?.with_replication(1);
        let ids: Vec<TenantId> = TENANTS.iter().map(|t| t.parse()).collect::<Result<_, _>>()?;
        let plan = topics.all_for(&args.region, &ids)?;
        let (broker, settings) = brokers(args, &plan).await?;
        let (registry, registry_url) = schemas(args).await?;
        let sandbox = Sandbox::new();
        for (account, idempotency) in
            TENANTS.iter().zip([Idempotency::Key, Idempotency::Upsert, Idempotency::Neither])
        {
            let change = Change {
                idempotency: Some(idempotency),
                latency_ms: Some(2),
                books_closed_before: Some(BOOKS_CLOSED_BEFORE.into()),
                ..Change::default()
            };
            sandbox.configure(account, change)?;
        }
        let erp = sandbox.start(LOOPBACK).await?;
        let sandbox_url = erp.url();
        let secrets = secrets(&sandbox_url);
        let shutdown = Shutdown::new();
        let gateway_ready = Readiness::new();
        let options = gateway::Options {
            listen: LOOPBACK,
            region: args.region.clone(),
            tenants: tenants.clone(),
            kafka: settings.clone(),
            registry: gateway::options::RegistryOptions { url: registry_url.clone(), register: true },
            ..gateway::Options::default()
        };
        let given = Given::new(secrets.clone());
        let service =
            Setup::load(options, &given)?.build(&Metrics::new("demo")?, gateway_ready.clone()).await?;
        let gateway_url = format!("http://{}", service.local_addr());
        let gateway = service_kit::spawn("gateway", service.run(shutdown.clone()));
        let mut world = Self {
            region: args.region.clone(),
            kafka: settings,
            registry_url,
            gateway_url,
            sandbox_url,
            sandbox,
            secrets: Arc::new(secrets),
            embedded: broker.is_some(),
            sink_admin: free_address()?,
            sink: None,
            dir,
            gateway_ready,
            gateway: Some(gateway),
            shutdown,
            erp: Some(erp),
            registry,
            _broker: broker,
        };
        world.write_sink_config(&tenants)?;
        world.start_sink()?;
        Ok(world)
    }

    /// Waits until gateway and sink are ready.
    pub(crate) async fn ready(&mut self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        let url = format!("http://{}/health/ready", self.sink_admin);
        loop {
            let sink = reqwest::get(&url).await.is_ok_and(|r| r.status().is_success());
            if sink && self.gateway_ready.is_ready() {
                return Ok(());
            }
            self.check()?;
            if Instant::now() > deadline {
                bail!(
                    "not ready after {patience:?}: gateway {:?}\n{}",
                    self.gateway_ready.report(),
                    self.sink_log()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills the sink without warning and starts another one.
    pub(crate) async fn crash_sink(&mut self) -> anyhow::Result<()> {
        if let Some(mut sink) = self.sink.take() {
            sink.kill().await.context("the sink cannot be killed")?;
        }
        self.start_sink()
    }

    /// Fails if a part has stopped that should run.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.sink.as_mut().and_then(|s| s.try_wait().ok().flatten()) {
            bail!("the sink stopped by itself ({status})\n{}", self.sink_log());
        }
        if self.gateway.as_ref().is_some_and(service_kit::Task::is_finished) {
            bail!("the gateway stopped by itself");
        }
        Ok(())
    }

    /// The last lines of the sink's log.
    pub(crate) fn sink_log(&self) -> String {
        let text = std::fs::read_to_string(self.path("sink.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Where the sink serves its metrics.
    pub(crate) fn sink_metrics(&self) -> String {
        format!("http://{}/metrics", self.sink_admin)
    }

    /// Stops everything in order: first what takes in, then what delivers, then what both stand on.
    pub(crate) async fn stop(mut self) {
        self.shutdown.trigger();
        if let Some(gateway) = self.gateway.take() {
            gateway.await.ok(); // its end was already looked at
        }
        if let Some(mut sink) = self.sink.take() {
            drop(sink.stdin.take()); // the sink drains when its standard input ends
            if tokio::time::timeout(Duration::from_secs(10), sink.wait()).await.is_err() {
                sink.kill().await.ok();
            }
        }
        if let Some(erp) = self.erp.take() {
            erp.shutdown().await;
        }
        if let Some(registry) = self.registry.take() {
            registry.shutdown().await;
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start_sink(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.path("sink.log"))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "sink", "--until-stdin-ends", "--config"])
            .arg(self.path("sink.toml"))
            .envs(self.secrets.iter())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("the sink cannot be started")?;
        self.sink = Some(child);
        Ok(())
    }

    fn write_sink_config(&self, tenants: &Path) -> anyhow::Result<()> {
        let mut options = sink::Options {
            admin_listen: self.sink_admin,
            region: self.region.clone(),
            tenants: tenants.to_owned(),
            kafka: self.kafka.clone(),
            group: format!("counterfoil-{}-sink", self.region),
            commit_every: Duration::from_millis(500),
            ..sink::Options::default()
        };
        options.registry.url = self.registry_url.clone();
        options.signin = self.path("signin");
        options.ledger.dir = self.path("ledger");
        std::fs::write(self.path("sink.toml"), toml::to_string(&options)?)?;
        Ok(())
    }
}

/// The brokers: given ones, where missing topics are created, or embedded ones.
async fn brokers(
    args: &DemoArgs,
    plan: &[topics::TopicPlan],
) -> anyhow::Result<(Option<Broker>, kafka::Settings)> {
    let Some(bootstrap) = &args.bootstrap else {
        let broker = Broker::start(plan, 1)?;
        let mut settings = broker.settings();
        settings.consumer.extend(kafka::embedded::consumer_properties());
        return Ok((Some(broker), settings));
    };
    let settings = kafka::Settings { bootstrap: bootstrap.clone(), ..kafka::Settings::default() };
    let cluster = kafka::admin::describe(&settings).await.context("the brokers cannot be asked")?;
    let changes = topics::plan(plan, &cluster.topics);
    changes.check()?;
    kafka::admin::apply(&settings, &changes).await.context("topics cannot be created")?;
    Ok((None, settings))
}

/// The registry: a given one or an embedded one, with all schemas of the region.
async fn schemas(args: &DemoArgs) -> anyhow::Result<(Option<EmbeddedRegistry>, String)> {
    let (embedded, url) = match &args.registry {
        Some(url) => (None, url.clone()),
        None => {
            let registry = EmbeddedRegistry::start(LOOPBACK).await?;
            let url = registry.url();
            (Some(registry), url)
        }
    };
    let client = RegistryClient::new(&url)?;
    for (subject, schema) in Contracts::embedded().subjects(&args.region) {
        client.register(&subject, schema).await.with_context(|| format!("schema of {subject}"))?;
        client.set_compatibility(&subject, Compatibility::FullTransitive).await?;
    }
    Ok((embedded, url))
}

/// Secrets made for this run, and the address that the example connections refer to.
fn secrets(sandbox_url: &str) -> HashMap<String, String> {
    let mut secrets: HashMap<String, String> = [
        "COUNTERFOIL_ACME_KEY",
        "COUNTERFOIL_GLOBEX_KEY",
        "COUNTERFOIL_INITECH_KEY",
        "COUNTERFOIL_ACME_STRIPE_SECRET",
        "COUNTERFOIL_GLOBEX_SHOPIFY_SECRET",
    ]
    .map(|name| (name.to_owned(), format!("demo-{}", uuid::Uuid::new_v4().simple())))
    .into();
    secrets.insert("COUNTERFOIL_SANDBOX_URL".into(), sandbox_url.to_owned());
    secrets
}

/// A loopback address that was free a moment ago: the sink keeps it over its restart, so it cannot pick one itself.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(LOOPBACK)?;
    Ok(listener.local_addr()?)
}

/// Names of everything, for whoever wants to look.
pub(crate) fn addresses(world: &World) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("gateway", world.gateway_url.clone()),
        ("sandbox ERP (a page)", world.sandbox_url.clone()),
        ("sink metrics", world.sink_metrics()),
        ("schema registry", world.registry_url.clone()),
        ("kafka", world.kafka.bootstrap.clone()),
    ])
}
