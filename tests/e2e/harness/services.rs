//! Gateway and sink, each a process of its own.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use testkit::Process;

use super::{PATIENCE, World, blocking, events::Answer, tenants::Tenant, until};

/// For a drain to end.
const DRAIN: Duration = Duration::from_secs(30);

/// A loopback address that nothing listens on.
pub fn address() -> String {
    format!("127.0.0.1:{}", testkit::free_port().unwrap())
}

/// Health and metrics of a service.
#[derive(Clone)]
pub struct Admin {
    address: String,
    http: reqwest::Client,
}

impl Admin {
    pub fn new(address: String, http: reqwest::Client) -> Self {
        Self { address, http }
    }

    /// Status and text; none while nobody listens.
    pub async fn get(&self, path: &str) -> Option<(StatusCode, String)> {
        let answer = self.http.get(format!("http://{}{path}", self.address)).send().await.ok()?;
        Some((answer.status(), answer.text().await.ok()?))
    }

    pub async fn is_ready(&self) -> bool {
        self.get("/health/ready").await.is_some_and(|(status, _)| status.is_success())
    }

    /// What is not ready, in words.
    pub async fn report(&self) -> String {
        self.get("/health/ready").await.map(|(_, text)| text).unwrap_or_default()
    }

    /// Waits until the service is ready; fails at once when it ends.
    pub async fn ready(&self, process: &Process) {
        let ready = async || self.is_ready().await || process.status().unwrap().is_some();
        until("a ready service", ready).await;
        assert!(process.status().unwrap().is_none(), "it ended: {}", process.tail());
    }

    /// The sum of a metric over the labels that hold `label`.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.get("/metrics").await.map(|(_, text)| text).unwrap_or_default();
        let of = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some(())?;
            labels.contains(label).then(|| value.parse::<f64>().ok())?
        };
        text.lines().filter_map(of).sum()
    }
}

pub struct Gateway {
    pub door: Door,
    pub admin: Admin,
    pub process: Process,
}

impl Gateway {
    /// A gateway at `listen`, on its way.
    pub(super) fn spawn(world: &World, listen: &str) -> Self {
        let admin = address();
        let mut command = world.serve("gateway");
        command.args(["--listen", listen, "--admin-listen", &admin]);
        let process = Process::spawn("gateway", command, &world.path("gateway.log")).unwrap();
        let door = Door { url: format!("http://{listen}"), http: world.http.clone() };
        Self { door, admin: Admin::new(admin, world.http.clone()), process }
    }

    /// SIGTERM, and it ends well.
    pub async fn drains(self) {
        drains(self.process).await;
    }
}

/// Where a gateway takes events, whichever process that is.
#[derive(Clone)]
pub struct Door {
    pub url: String,
    http: reqwest::Client,
}

impl Door {
    /// Sends events in one request; an error if no answer comes.
    pub async fn send(&self, tenant: &Tenant, events: &[Value]) -> reqwest::Result<Answer> {
        let request = self.http.post(format!("{}/v1/events", self.url)).bearer_auth(&tenant.key).json(events);
        Answer::of(request.send().await?).await
    }

    /// Sends events that must be accepted; their ids.
    pub async fn accepts(&self, tenant: &Tenant, events: &[Value]) -> Vec<String> {
        let answer = self.send(tenant, events).await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.accepted()
    }
}

pub struct Sink {
    pub admin: Admin,
    pub process: Process,
}

impl Sink {
    pub(super) fn spawn(world: &World, ledger: &str) -> Self {
        let admin = address();
        let mut command = world.serve("sink");
        command
            .args(["--admin-listen", &admin, "--ledger-dir"])
            .arg(world.path(ledger))
            .env("COUNTERFOIL_GROUP", world.group())
            .env("COUNTERFOIL_COMMIT_EVERY", "300ms");
        let process = Process::spawn("sink", command, &world.path(&format!("{ledger}.log"))).unwrap();
        Self { admin: Admin::new(admin, world.http.clone()), process }
    }

    /// SIGKILL, and gone.
    pub async fn kill(self) {
        assert!(self.process.status().unwrap().is_none(), "it ended by itself: {}", self.process.tail());
        blocking(move || {
            self.process.sigkill().unwrap();
            assert!(self.process.was_killed().unwrap());
        })
        .await;
    }

    /// SIGTERM, and it ends well.
    pub async fn drains(self) {
        drains(self.process).await;
    }

    /// Waits until it has posted something.
    pub async fn posts(&self) {
        until("postings of a sink", async || {
            assert!(self.process.status().unwrap().is_none(), "it ended: {}", self.process.tail());
            self.admin.metric("counterfoil_sink_postings_total", "").await > 0.0
        })
        .await;
    }

    /// Waits for a line of its log.
    pub async fn says(self, text: &'static str) -> Self {
        blocking(move || {
            self.process.wait_for_line(text, PATIENCE).unwrap();
            self
        })
        .await
    }
}

async fn drains(process: Process) {
    blocking(move || {
        process.sigterm().unwrap();
        let status = process.wait(DRAIN).unwrap();
        assert!(status.success(), "{status}: {}", process.tail());
    })
    .await;
}
