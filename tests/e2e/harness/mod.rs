//! An installation of Counterfoil as it would be deployed, in a region of its own.

pub mod erp;
pub mod events;
pub mod services;
pub mod stream;
pub mod tenants;
pub mod topics;

mod proof;

use std::{
    panic::Location,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use testkit::{Scratch, kafka, registry::Apicurio};
use tokio::sync::{Semaphore, SemaphorePermit};

use erp::Erp;
use services::{Gateway, Sink};
use tenants::Tenant;
use topics::{Outcomes, Topics};

/// How long something that must happen may take; a killed member is missed after six seconds.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How much of each log a failed scenario shows.
const LAST_LINES: usize = 60;
const POLL: Duration = Duration::from_millis(25);
/// How many scenarios run at a time, however many threads the test runner has: each starts several processes.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// Brokers and registry.
pub struct Cluster {
    pub bootstrap: String,
    pub registry: String,
}

impl Cluster {
    /// Those that all scenarios share.
    pub async fn shared() -> Self {
        let started =
            blocking(|| (kafka::shared().map(|k| k.bootstrap()), Apicurio::shared().map(|r| r.url())));
        let (bootstrap, registry) = started.await;
        Self { bootstrap: bootstrap.unwrap().to_owned(), registry: registry.unwrap().to_owned() }
    }
}

/// Topics, schemas, tenants and the sandbox ERP; gateways and sinks come and go.
pub struct World {
    pub region: String,
    pub cluster: Cluster,
    pub tenants: Vec<Tenant>,
    pub erp: Erp,
    pub topics: Topics,
    pub outcomes: Outcomes,
    pub http: reqwest::Client,
    pub dir: Scratch,
    /// Whether the services take the tenants from the control topic.
    pub live: bool,
    _slot: SemaphorePermit<'static>,
}

impl World {
    /// The folder of the tenants' configuration.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("tenants")
    }

    /// A region for `tenants` on the shared cluster.
    pub async fn start(tenants: &[Tenant]) -> Self {
        let slot = slot().await;
        Self::with(slot, Cluster::shared().await, tenants).await
    }

    /// The same on a given cluster.
    pub async fn on(cluster: Cluster, tenants: &[Tenant]) -> Self {
        Self::with(slot().await, cluster, tenants).await
    }

    async fn with(slot: SemaphorePermit<'static>, cluster: Cluster, tenants: &[Tenant]) -> Self {
        let region = region();
        let dir = Scratch::new().unwrap();
        let http = reqwest::Client::new();
        let erp = Erp::start(dir.path(), http.clone()).await;
        for tenant in tenants {
            tenant.write(&dir.path().join("tenants"), &region, &erp.url);
            erp.change(&tenant.id, tenant.target.account()).await;
        }
        let kafka = ["--bootstrap", &cluster.bootstrap, "--region", &region];
        let folder = dir.path().join("tenants");
        let mut apply = counterfoil(&["topics", "apply", "--yes", "--replication", "1"]);
        apply.args(kafka).arg("--tenants").arg(folder);
        succeeds(apply).await;
        let mut register = counterfoil(&["schemas", "register", "--registry", &cluster.registry]);
        register.args(["--region", &region]);
        succeeds(register).await;
        let topics = Topics::new(&cluster.bootstrap, &region);
        let outcomes = Outcomes::watch(&topics, &cluster.registry).await;
        Self {
            region,
            cluster,
            tenants: tenants.to_vec(),
            erp,
            topics,
            outcomes,
            http,
            dir,
            live: false,
            _slot: slot,
        }
    }

    /// `counterfoil serve …` with everything that the services have in common.
    pub fn serve(&self, service: &str) -> Command {
        let mut command = counterfoil(&["serve", service]);
        command
            .args(["--bootstrap", &self.cluster.bootstrap, "--registry", &self.cluster.registry, "--tenants"])
            .arg(self.dir.path().join("tenants"))
            .env("COUNTERFOIL_REGION", &self.region);
        command.envs(self.tenants.iter().flat_map(Tenant::secrets));
        if self.live {
            command.env("COUNTERFOIL_TENANTS_FROM", "control");
        }
        command
    }

    /// A gateway that is ready.
    pub async fn gateway(&self) -> Gateway {
        self.gateway_at(&services::address()).await
    }

    /// A gateway at this address that is ready.
    pub async fn gateway_at(&self, listen: &str) -> Gateway {
        let gateway = Gateway::spawn(self, listen);
        gateway.admin.ready(&gateway.process).await;
        gateway
    }

    /// A sink that is on its way, with a ledger of that name.
    pub fn sink(&self, ledger: &str) -> Sink {
        Sink::spawn(self, ledger)
    }

    pub fn group(&self) -> String {
        format!("{}-sink", self.region)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A failed scenario shows what its processes said last, and how far its sinks were.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for entry in std::fs::read_dir(self.dir.path()).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = std::fs::read_to_string(&path).unwrap();
                let lines: Vec<&str> = text.lines().collect();
                let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
                eprintln!("--- {}\n{last}", path.display());
            }
        }
    }
}

/// The command, with nothing of this process's environment but the test's wish for a louder log.
pub fn counterfoil(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command.envs(std::env::var("E2E_LOG").map(|filter| ("RUST_LOG", filter)));
    command
}

/// Runs a command that must fail; what it said.
pub async fn fails(mut command: Command) -> String {
    let output = blocking(move || command.output().unwrap()).await;
    assert!(!output.status.success(), "it succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must succeed; what it printed.
pub async fn succeeds(mut command: Command) -> String {
    let output = blocking(move || (command.output().unwrap(), format!("{command:?}")));
    let (output, command) = output.await;
    let errors = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}: {}\n{printed}{errors}", output.status);
    printed
}

/// Away from the async workers.
pub async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(call).await.unwrap()
}

/// Polls until `condition` holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "{caller}: waited {PATIENCE:?} in vain for {what}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Waits for a turn; it is over when the answer is dropped.
pub async fn slot() -> SemaphorePermit<'static> {
    SLOTS.acquire().await.unwrap()
}

/// A region that no other scenario of any run has.
pub fn region() -> String {
    format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..8])
}
