//! The real binary, and what it talks to.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "each test file uses a part of it")]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use contract::{Decoder, RegistryClient, split_wire};
use event::{ObjectKind, TenantId};
use kafka::{Reader, embedded::Broker};
use registry::EmbeddedRegistry;
use serde_json::{Value, json};
use service_kit::{Readiness, Shutdown, Task};
use telemetry::Metrics;
use tenancy::{Given, TenantSet};
use topics::Specs;

pub const ACME_KEY: &str = "acme-key-0123456789";
pub const SLOW_KEY: &str = "slow-key-0123456789";
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The command, with nothing of this process's environment.
pub fn counterfoil(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn has_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// It failed with one line that begins with the code and holds `words`.
    #[track_caller]
    pub fn failed_with(&self, code: &str, words: &str) {
        assert_eq!(self.code, Some(1), "{self:?}");
        let last = self.err.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("error: {code}: ")) && last.contains(words), "{self:?}");
    }
}

pub fn run(command: &mut Command) -> Ended {
    ended(command.output().unwrap())
}

pub fn ended(Output { status, stdout, stderr }: Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// The same away from the async workers, which serve what the command talks to.
pub async fn run_beside(mut command: Command) -> Ended {
    tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap()
}

/// Writes `<tenant>/tenant.yaml`.
pub fn write_tenant(dir: &Path, id: &str, region: &str, quota: &str) {
    let key = id.to_uppercase();
    let text = format!(
        "tenant: {id}\nname: {id}\nregion: {region}\napi_keys: [{{id: one, secret: \"env:{key}_KEY\"}}]\nquota: {quota}\n"
    );
    write(&dir.join(id).join("tenant.yaml"), &text);
}

pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A gateway with an embedded broker and an embedded registry behind it. Tenants: acme, and slow with two events at once.
pub struct World {
    pub url: String,
    pub broker: Broker,
    pub registry: EmbeddedRegistry,
    pub metrics: Metrics,
    _served: Task<gateway::Drained>,
}

impl World {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_tenant(dir.path(), "acme", "eu", "{events_per_second: 10000, burst: 10000}");
        write_tenant(dir.path(), "slow", "eu", "{events_per_second: 2, burst: 2}");
        let secrets = Given::new([("ACME_KEY", ACME_KEY), ("SLOW_KEY", SLOW_KEY)]);
        let tenants = TenantSet::load(dir.path(), &secrets).unwrap();
        let acme: TenantId = "acme".parse().unwrap();
        let topics = Specs::embedded().unwrap().all_for("eu", &[acme]).unwrap();
        let broker = Broker::start(&topics, 1).unwrap();
        let registry = EmbeddedRegistry::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let mut options = gateway::Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            kafka: broker.settings(),
            produce_deadline: Duration::from_millis(1500),
            ..gateway::Options::default()
        };
        options.registry.url = registry.url();
        let (metrics, readiness) = (Metrics::new("test").unwrap(), Readiness::new());
        let setup = gateway::Setup::with_tenants(options, tenants).unwrap();
        let service = setup.build(&metrics, readiness.clone()).await.unwrap();
        let url = format!("http://{}", service.local_addr());
        let served = service_kit::spawn("gateway", service.run(Shutdown::new()));
        testkit::wait_until(PATIENCE, "a ready gateway", || std::future::ready(readiness.is_ready()))
            .await
            .unwrap();
        Self { url, broker, registry, metrics, _served: served }
    }

    /// `counterfoil send` to this gateway with acme's key.
    pub fn send(&self, arguments: &[&str]) -> Command {
        let mut command = counterfoil(&["send", "--url", &self.url, "--key", "env:KEY"]);
        command.args(arguments).env("KEY", ACME_KEY);
        command
    }

    pub async fn records(&self) -> i64 {
        let topic = topics::names::object_topic("eu", ObjectKind::Customer);
        kafka::admin::end_offsets(&self.broker.settings(), &topic).await.unwrap().values().sum()
    }

    /// `(entity, source version)` of every customer event, in the order of the topic.
    pub async fn customers(&self, count: usize) -> Vec<(String, i64)> {
        let settings = self.broker.settings();
        let read = tokio::task::spawn_blocking(move || {
            let topic = topics::names::object_topic("eu", ObjectKind::Customer);
            let reader = Reader::from_beginning(&settings, &topic).unwrap();
            let begun = std::time::Instant::now();
            let mut values = Vec::new();
            while values.len() < count && begun.elapsed() < PATIENCE {
                values
                    .extend(reader.next(Duration::from_millis(100)).unwrap().and_then(|record| record.value));
            }
            values
        });
        let decoder = Decoder::new(RegistryClient::new(&self.registry.url()).unwrap());
        let mut customers = Vec::new();
        for value in read.await.unwrap() {
            let (id, datum) = split_wire(&value).unwrap();
            let schema = decoder.fetch(id).await.unwrap();
            let envelope = contract::decode_event(&schema, datum).unwrap().envelope;
            customers.push((envelope.entity, envelope.source_version));
        }
        customers
    }
}

/// A valid event of a customer.
pub fn customer(id: &str, version: u64) -> Value {
    json!({
        "type": "customer.created", "source": "shop-eu", "source_version": version,
        "occurred_at": "2026-11-22T10:00:00Z", "data": {"id": id, "name": "Ada Lovelace"},
    })
}

/// The events as JSON lines.
pub fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}
