//! A real gateway on real sockets, with the embedded broker and the embedded registry behind it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "each test file uses a part of it")]

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use event::{ObjectKind, TenantId};
use gateway::{Options, Setup, clock::SetClock};
use kafka::embedded::Broker;
use registry::EmbeddedRegistry;
use reqwest::{Client, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use service_kit::{Readiness, Shutdown, Task};
use telemetry::Metrics;
use tenancy::{Given, TenantSet};
use topics::Specs;

pub const ACME_KEY: &str = "acme-key-0123456789";
pub const SLOW_KEY: &str = "slow-key-0123456789";
pub const FAR_KEY: &str = "far-away-key-0123456789";
pub const STRIPE_SECRET: &str = "whsec_current_secret";
pub const STRIPE_OLD_SECRET: &str = "whsec_former_secret";
pub const SHOPIFY_SECRET: &str = "shopify_shared_secret";
pub const BASIC_SECRET: &str = "counterfoil:a long password";
pub const BASIC_OLD_SECRET: &str = "counterfoil:the one before";
pub const PLAIN_SECRET: &str = "plain/secret+with=signs";
/// 2026-11-22T10:00:00Z, where the gateway's clock stands.
pub const NOW: i64 = 1_795_341_600;

/// Waits until `probe` gives something, at most 20 seconds.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Writes the tenants of these tests: acme, slow (two events at once, one a minute or so) and far (another region).
pub fn write_tenants(dir: &Path) {
    let write = |path: &str, text: &str| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let tenant = |id: &str, region: &str, quota: &str| {
        let key = id.to_uppercase();
        let text = format!(
            "tenant: {id}\nname: {id}\nregion: {region}\napi_keys: [{{id: one, secret: \"env:{key}_KEY\"}}]\nquota: {quota}\n"
        );
        write(&format!("{id}/tenant.yaml"), &text);
    };
    tenant("acme", "eu", "{events_per_second: 10000, burst: 10000}");
    tenant("slow", "eu", "{events_per_second: 1, burst: 2}");
    tenant("far", "us", "{events_per_second: 100, burst: 100}");
    write(
        "acme/connections/stripe.yaml",
        "connection: stripe\nconnector: stripe\nwebhook: {scheme: stripe, secrets: [\"env:STRIPE_OLD\", \"env:STRIPE\"], source: stripe}\n",
    );
    write(
        "acme/connections/shopify.yaml",
        "connection: shopify\nconnector: shopify\nwebhook: {scheme: shopify, secrets: [\"env:SHOPIFY\"], source: shopify}\n",
    );
    write(
        "acme/connections/unmapped.yaml",
        "connection: unmapped\nconnector: nobody\nwebhook: {scheme: shopify, secrets: [\"env:SHOPIFY\"], source: nobody}\n",
    );
}

pub fn secrets() -> Given {
    Given::new([
        ("ACME_KEY", ACME_KEY),
        ("SLOW_KEY", SLOW_KEY),
        ("FAR_KEY", FAR_KEY),
        ("STRIPE", STRIPE_SECRET),
        ("STRIPE_OLD", STRIPE_OLD_SECRET),
        ("SHOPIFY", SHOPIFY_SECRET),
        ("BASIC", BASIC_SECRET),
        ("BASIC_OLD", BASIC_OLD_SECRET),
        ("PLAIN", PLAIN_SECRET),
    ])
}

pub fn start_broker() -> Broker {
    let tenant: TenantId = "acme".parse().unwrap();
    Broker::start(&Specs::embedded().unwrap().all_for("eu", &[tenant]).unwrap(), 1).unwrap()
}

pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A gateway that was started; it ends with the test's runtime.
pub struct Running {
    pub address: SocketAddr,
    pub readiness: Readiness,
    pub metrics: Metrics,
    pub shutdown: Shutdown,
    pub served: Task<gateway::Drained>,
    pub clock: Arc<SetClock>,
    pub client: Client,
}

/// Everything that stands behind it.
pub struct World {
    pub gateway: Running,
    pub broker: Broker,
    pub registry: EmbeddedRegistry,
}

/// Options for the given broker and registry; ports are chosen by the system.
pub fn options(broker: &Broker, registry: &str) -> Options {
    let mut options =
        Options { listen: "127.0.0.1:0".parse().unwrap(), kafka: broker.settings(), ..Options::default() };
    options.registry.url = registry.to_owned();
    options.produce_deadline = Duration::from_millis(1500);
    options.limits.body_read_timeout = Duration::from_secs(1);
    options
}

pub async fn start_gateway(options: Options) -> Running {
    start_gateway_with(options, &[]).await
}

/// The same with more files in the tenants' folder.
pub async fn start_gateway_with(options: Options, files: &[(&str, &str)]) -> Running {
    let dir = tempfile::tempdir().unwrap();
    write_tenants(dir.path());
    for (path, text) in files {
        fs::write(dir.path().join(path), text).unwrap();
    }
    let tenants = TenantSet::load(dir.path(), &secrets()).unwrap();
    let clock = Arc::new(SetClock::at(NOW * 1_000_000));
    let mut setup = Setup::with_tenants(options, tenants).unwrap();
    setup.clock = clock.clone();
    let (metrics, readiness, shutdown) = (Metrics::new("test").unwrap(), Readiness::new(), Shutdown::new());
    let service = setup.build(&metrics, readiness.clone()).await.unwrap();
    let address = service.local_addr();
    let served = service_kit::spawn("gateway", service.run(shutdown.clone()));
    Running { address, readiness, metrics, shutdown, served, clock, client: Client::new() }
}

impl World {
    /// Broker, registry and gateway, ready.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::of(change, &[]).await
    }

    /// With more files in the tenants' folder.
    pub async fn of(change: impl FnOnce(&mut Options), files: &[(&str, &str)]) -> Self {
        let broker = start_broker();
        let registry = EmbeddedRegistry::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let mut options = options(&broker, &registry.url());
        change(&mut options);
        let gateway = start_gateway_with(options, files).await;
        gateway.until_ready().await;
        Self { gateway, broker, registry }
    }

    /// How many records the object's topic holds.
    pub async fn records(&self, object: ObjectKind) -> i64 {
        let topic = topics::names::object_topic("eu", object);
        kafka::admin::end_offsets(&self.broker.settings(), &topic).await.unwrap().values().sum()
    }
}

/// Status, headers and body of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that the answer is a whole problem document with this status and code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &json!(code)), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["type"], json!(format!("/errors/{code}")));
        assert_eq!(self.body["status"], json!(status));
        assert_eq!(self.body["instance"], json!(self.header("x-request-id")));
        assert!(
            !self.body["title"].as_str().unwrap().is_empty() && self.body["detail"].is_string(),
            "{self:?}"
        );
        self
    }

    /// `(index, path, code)` of each field error.
    pub fn errors(&self) -> Vec<(u64, String, String)> {
        let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
        let errors = self.body["errors"].as_array().into_iter().flatten();
        errors.map(|e| (e["index"].as_u64().unwrap(), text(e, "path"), text(e, "code"))).collect()
    }
}

impl Running {
    pub async fn until_ready(&self) {
        let start = Instant::now();
        while !self.readiness.is_ready() {
            assert!(start.elapsed() < Duration::from_secs(20), "not ready: {:?}", self.readiness.report());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("http://{}{path}", self.address))
    }

    /// An authorised request to `/v1/events`.
    pub fn events(&self) -> RequestBuilder {
        self.post("/v1/events").bearer_auth(ACME_KEY)
    }

    pub async fn send(&self, body: &Value) -> Answer {
        answer(self.events().json(body)).await
    }
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null);
    Answer { status, headers, body }
}

/// A valid event of a customer.
pub fn customer(id: &str, version: u64) -> Value {
    json!({
        "type": "customer.created", "source": "shop-eu", "source_version": version,
        "occurred_at": "2026-11-22T10:00:00Z", "data": {"id": id, "name": "Ada Lovelace"},
    })
}
