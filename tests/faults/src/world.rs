//! An installation of Counterfoil as it would be deployed, in a region of its own, with a proxy on every way.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use testkit::{Process, Scratch, free_port};
use tokio::sync::Mutex;

use crate::{
    admin::Admin,
    books::Books,
    changelog::Changelog,
    class::{Class, TIMEOUT_MS},
    cluster::{Cluster, Size},
    erp::Erp,
    feed::Door,
    sinks::{Sink, Start},
    topic::{Outcomes, Topics},
};

const START: Duration = Duration::from_secs(60);
/// Time for requests under way when a sink drains: more than one of them takes, less than the lease.
const DRAIN: &str = "2s";
const COMMIT_EVERY: &str = "300ms";

pub struct World {
    pub cluster: Cluster,
    pub erp: Erp,
    pub topics: Topics,
    pub outcomes: Outcomes,
    pub changelog: Option<Changelog>,
    /// Sinks write an Intent before each attempt, whatever the class.
    pub each_intent: bool,
    pub books: Arc<Books>,
    pub door: Door,
    pub gateway: Gateway,
    pub sinks: Vec<Sink>,
    pub group: String,
    _scratch: Option<Scratch>,
}

/// A broker that several installations create their topics on at the same time answers none of them in time.
static STARTING: Mutex<()> = Mutex::const_new(());

/// What is given in place of what would be started.
pub struct Given {
    /// How many brokers, if they are not given.
    pub size: Size,
    pub bootstrap: Option<String>,
    pub registry: Option<String>,
    /// Where logs and ledgers are kept; a temporary folder if nowhere.
    pub keep: Option<PathBuf>,
    pub pace: Pace,
    /// How long a target is waited for.
    pub timeout_ms: u64,
    /// How many events a second a tenant may send.
    pub quota: fn(Class) -> u32,
    /// Every Intent in the changelogs is kept, to be held against the requests.
    pub follow: bool,
    /// Sinks write an Intent before each attempt, whatever the class.
    pub each_intent: bool,
    /// The second sink keeps its ledger in redb, the others in sled, as by default.
    pub redb_too: bool,
    /// The session time-out of the sinks, where it is not that of the cluster.
    pub session_ms: Option<u64>,
    /// Who stands between the proxies and the ERP, if anybody.
    pub in_between: Option<String>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            size: Size::One,
            bootstrap: None,
            registry: None,
            keep: None,
            pace: Pace::Short,
            timeout_ms: TIMEOUT_MS,
            quota: |_| Class::NO_QUOTA,
            follow: false,
            each_intent: false,
            redb_too: false,
            session_ms: None,
            in_between: None,
        }
    }
}

/// How sinks are set up; see [`Given`].
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub pace: Pace,
    pub each_intent: bool,
    pub redb_too: bool,
}

/// How soon sinks are missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As soon as the brokers allow, so that a campaign has many faults in little time.
    Short,
    /// As by default.
    Default,
}

impl World {
    /// While no other one of this program starts.
    pub async fn start_alone(given: Given) -> anyhow::Result<Self> {
        let _alone = STARTING.lock().await;
        Box::pin(Self::start(given)).await
    }

    pub async fn start(given: Given) -> anyhow::Result<Self> {
        let mut cluster = Cluster::start(given.size, given.bootstrap, given.registry).await?;
        cluster.session_ms = given.session_ms.unwrap_or(cluster.session_ms);
        let region = format!("f{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let (dir, scratch) = folder(given.keep)?;
        let http = reqwest::Client::new();
        let erp = Erp::start(&dir, http.clone()).await?;
        let tenants = dir.join("tenants");
        let upstream = given.in_between.as_ref().unwrap_or(&erp.address);
        for class in Class::ALL {
            let port = free_port()?;
            cluster.proxies.proxy(class.name(), port, upstream).await?;
            let target = format!("http://127.0.0.1:{port}");
            class.write(&tenants, &region, &target, (given.quota)(class), given.timeout_ms)?;
            erp.change(class, class.healthy()).await?;
        }
        prepare(&cluster, &region, &tenants).await?;
        let topics = Topics::new(&cluster.bootstrap, &region)?;
        let outcomes = Outcomes::watch(&topics, &cluster.registry).await?;
        let changelog = if given.follow { Some(Changelog::follow(&topics).await?) } else { None };
        let books = Arc::new(Books::default());
        let place = Place { cluster: &cluster, region: &region, dir: &dir, secrets: secrets() };
        let gateway = Gateway::start(&place, &http).await?;
        let door = Door {
            url: format!("http://{}", gateway.listen),
            http: http.clone(),
            books: Arc::clone(&books),
            topics: topics.clone(),
            under_way: Arc::default(),
        };
        let group = format!("{region}-sink");
        let manner = Manner { pace: given.pace, each_intent: given.each_intent, redb_too: given.redb_too };
        let sinks = sinks(&place, &group, manner, &http)?;
        Ok(Self {
            cluster,
            erp,
            topics,
            outcomes,
            changelog,
            each_intent: given.each_intent,
            books,
            door,
            gateway,
            sinks,
            group,
            _scratch: scratch,
        })
    }

    /// Fails if a part ended that nobody touched; sinks that ended are started again.
    pub fn supervise(&mut self) -> anyhow::Result<()> {
        for sink in &mut self.sinks {
            sink.supervise()?;
        }
        self.gateway.alive()
    }

    /// Requests that the targets have seen.
    pub async fn requests(&self) -> anyhow::Result<u64> {
        Ok(self.erp.accounts().await?.values().map(|account| account.totals.requests).sum())
    }
}

/// Where an installation is.
pub struct Place<'a> {
    pub cluster: &'a Cluster,
    pub region: &'a str,
    /// Logs, ledgers, and in `tenants` the tenants.
    pub dir: &'a Path,
    /// What the services find in their environment.
    pub secrets: Vec<(String, String)>,
}

fn secrets() -> Vec<(String, String)> {
    Class::ALL.map(Class::secret).to_vec()
}

/// A folder to keep, or a temporary one.
pub fn folder(keep: Option<PathBuf>) -> anyhow::Result<(PathBuf, Option<Scratch>)> {
    let Some(dir) = keep else {
        let scratch = Scratch::new()?;
        return Ok((scratch.path().to_owned(), Some(scratch)));
    };
    if dir.exists() {
        bail!("{} exists already", dir.display());
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok((dir.canonicalize()?, None))
}

/// Topics and schemas of the region.
pub async fn prepare(cluster: &Cluster, region: &str, tenants: &Path) -> anyhow::Result<()> {
    let mut apply = counterfoil(&["topics", "apply", "--yes"])?;
    if cluster.trio.is_none() {
        apply.args(["--replication", "1"]); // more than one broker cannot be relied on
    }
    apply.args(["--bootstrap", &cluster.bootstrap, "--region", region, "--tenants"]).arg(tenants);
    succeeds(apply).await?;
    let mut register = counterfoil(&["schemas", "register", "--registry", &cluster.registry])?;
    register.args(["--region", region]);
    succeeds(register).await
}

/// Two sinks that always run, and one that comes and goes.
pub fn sinks(
    place: &Place<'_>,
    group: &str,
    manner: Manner,
    http: &reqwest::Client,
) -> anyhow::Result<Vec<Sink>> {
    let Place { cluster, region, dir, secrets } = place;
    let (times, session) = match manner.pace {
        Pace::Default => (String::new(), String::new()),
        Pace::Short => (
            format!("drain = \"{DRAIN}\"\ncommit_every = \"{COMMIT_EVERY}\"\n"),
            format!(
                "\n[kafka.consumer]\n\"session.timeout.ms\" = \"{}\"\n\"heartbeat.interval.ms\" = \"500\"\n",
                cluster.session_ms
            ),
        ),
    };
    let intents = if manner.each_intent { "intents = \"each\"\n" } else { "" };
    let common = format!(
        "{intents}region = \"{region}\"\ngroup = \"{group}\"\ntenants = \"{}\"\n{times}\n[registry]\nurl = \"{}\"\n",
        dir.join("tenants").display(),
        cluster.registry_proxied
    );
    let secrets = secrets.clone();
    let start: Start = Arc::new(move || {
        let mut command = counterfoil(&["serve", "sink"])?;
        command.envs(secrets.iter().cloned());
        Ok(command)
    });
    let detour = cluster.detour.as_deref().unwrap_or(&cluster.bootstrap);
    let mut sinks = Vec::new();
    for (name, bootstrap) in
        [("sink-0", cluster.bootstrap.as_str()), ("sink-1", detour), ("sink-2", &cluster.bootstrap)]
    {
        let kafka = format!("[kafka]\nbootstrap = \"{bootstrap}\"\n{session}");
        let sink = Sink::new(name, dir, Arc::clone(&start), http.clone())?;
        let store = if manner.redb_too && name == "sink-1" { "redb" } else { "sled" };
        sink.configure(&common, &kafka, store)?;
        sinks.push(sink);
    }
    Ok(sinks)
}

/// The gateway; killed and started again at the same address.
pub struct Gateway {
    pub listen: String,
    admin: Admin,
    start: Start,
    log: PathBuf,
    process: Option<Process>,
}

impl Gateway {
    pub async fn start(place: &Place<'_>, http: &reqwest::Client) -> anyhow::Result<Self> {
        let Place { cluster, region, dir, secrets } = place;
        let (listen, admin) = (address()?, address()?);
        let arguments = ["--listen", &listen, "--admin-listen", &admin].map(str::to_owned);
        let cluster = ["--bootstrap", &cluster.bootstrap, "--registry", &cluster.registry].map(str::to_owned);
        let (tenants, region, secrets) = (dir.join("tenants"), (*region).to_owned(), secrets.clone());
        let start: Start = Arc::new(move || {
            let mut command = counterfoil(&["serve", "gateway"])?;
            command.args(&arguments).args(&cluster).arg("--tenants").arg(&tenants);
            command.env("COUNTERFOIL_REGION", &region).envs(secrets.iter().cloned());
            Ok(command)
        });
        let admin = Admin::new(admin, http.clone());
        let mut gateway = Self { listen, admin, start, log: dir.join("gateway.log"), process: None };
        gateway.spawn()?;
        if let Some(process) = &gateway.process {
            gateway.admin.ready(process, START).await.context("the gateway")?;
        }
        Ok(gateway)
    }

    fn spawn(&mut self) -> anyhow::Result<()> {
        self.process = Some(Process::spawn("gateway", (self.start)()?, &self.log)?);
        Ok(())
    }

    /// SIGKILL, and another one at once.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.sigkill()?;
            anyhow::ensure!(process.was_killed()?, "the gateway ended by itself:\n{}", process.tail());
        }
        self.spawn()
    }

    /// Fails if it ended and nobody had told it to.
    pub fn alive(&self) -> anyhow::Result<()> {
        match &self.process {
            Some(process) if process.status()?.is_some() => {
                bail!("the gateway ended by itself:\n{}", process.tail())
            }
            _ => Ok(()),
        }
    }
}

/// A loopback address that nothing listens on.
pub fn address() -> anyhow::Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}

/// The `counterfoil` command, with nothing of this process's environment but the wish for a louder log.
pub fn counterfoil(arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where this program is")?);
    command.arg("counterfoil").args(arguments).env_clear().stdin(Stdio::null());
    command.envs(std::env::var("FAULTS_LOG").map(|filter| ("RUST_LOG", filter)));
    Ok(command)
}

/// Runs a command that must succeed.
async fn succeeds(mut command: Command) -> anyhow::Result<()> {
    let ran = tokio::task::spawn_blocking(move || (command.output(), command));
    let (output, command) = ran.await.context("a command panicked")?;
    let output = output?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(())
}
