//! Tenants come, change and go on the control topic while the source runs, and nobody else notices.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Path as UrlPath, Query, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use kafka::{Producer, embedded::Broker};
use serde_json::{Value, json};
use service_kit::Shutdown;
use source::{Options, Service};
use tenancy::{Revision, TenantsFrom, revision::Files};
use topics::Specs;

const CONNECTOR: &str = r#"
connector: small
revision: 1
class: neither
auth: {kind: static_token, header: X-Token}
errors: {rules: [{when: {status: 503}, class: transient, outcome: not_applied}]}
objects:
  order:
    path: /docs
    changes:
      kind: modified_since
      request: {send: "GET {{path}}", query: {since: "{{payload.since}}", after: "{{payload.after}}", page: "{{payload.page}}"}}
      items: $.docs
      id: $.id
      modified: $.at
      format: epoch_ms
      overlap: 1s
      page: 10
    create: {request: "POST {{path}}", ok: [201]}
"#;
const PROGRAM: &str = r#"
{ "type": "order.updated", "source": .source, "source_version": .modified, "data": { "id": to_string!(.body.name) } }
"#;
const PATIENCE: Duration = Duration::from_secs(60);

/// Systems at `/<system>/docs`, and a gateway.
#[derive(Default)]
struct World {
    /// Names of documents by system, in the order in which they were changed.
    docs: BTreeMap<String, Vec<String>>,
    /// The token that a system takes.
    tokens: BTreeMap<String, String>,
    /// API keys and documents, as the gateway has seen them.
    told: Vec<(String, String)>,
    /// How many times each system was asked, and how many are at it now.
    asked: BTreeMap<String, (usize, usize)>,
    /// Whether a system was asked twice at a time.
    side_by_side: bool,
}

type Shared = Arc<Mutex<World>>;

async fn docs(
    State(world): State<Shared>,
    UrlPath(system): UrlPath<String>,
    Query(query): Query<BTreeMap<String, i64>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    {
        let mut world = world.lock().unwrap();
        let asked = world.asked.entry(system.clone()).or_default();
        *asked = (asked.0 + 1, asked.1 + 1);
        world.side_by_side |= world.asked[&system].1 > 1;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut world = world.lock().unwrap();
    world.asked.entry(system.clone()).and_modify(|asked| asked.1 -= 1);
    if headers.get("x-token").map(|token| token.to_str().unwrap())
        != world.tokens.get(&system).map(String::as_str)
    {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let all = world.docs.get(&system).cloned().unwrap_or_default();
    let docs = all.into_iter().enumerate().map(|(n, name)| (n as i64 + 1, name));
    let docs = docs
        .filter(|(n, _)| (n * 10_000, *n) > (query["since"], query["after"]))
        .take(query["page"] as usize);
    let docs: Vec<Value> = docs.map(|(n, name)| json!({"id": n, "at": n * 10_000, "name": name})).collect();
    Ok(Json(json!({ "docs": docs })))
}

async fn events(
    State(world): State<Shared>,
    headers: HeaderMap,
    Json(events): Json<Vec<Value>>,
) -> StatusCode {
    let key = headers["authorization"].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
    let ids = events.iter().map(|event| (key.clone(), event["data"]["id"].as_str().unwrap().to_owned()));
    world.lock().unwrap().told.extend(ids);
    StatusCode::ACCEPTED
}

struct Scene {
    world: Shared,
    url: String,
    producer: Producer,
    applied: BTreeMap<String, Revision>,
    dir: tempfile::TempDir,
    admin: SocketAddr,
    shutdown: Shutdown,
    running: tokio::task::JoinHandle<()>,
    _broker: Broker,
}

impl Scene {
    async fn start() -> Self {
        let world = Shared::default();
        let router = Router::new().route("/{system}/docs", get(docs)).route("/v1/events", post(events));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router.with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let broker = Broker::start(&Specs::embedded().unwrap().all_for("eu", &[]).unwrap(), 1).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let connectors = dir.path().join("connectors");
        std::fs::create_dir_all(connectors.join("small/changes")).unwrap();
        std::fs::write(connectors.join("small.yaml"), CONNECTOR).unwrap();
        std::fs::write(connectors.join("small/changes/order.vrl"), PROGRAM).unwrap();
        let options = Options {
            admin_listen: "127.0.0.1:0".parse().unwrap(),
            tenants_from: TenantsFrom::Control,
            kafka: broker.settings(),
            connectors: Some(connectors),
            gateway: url.clone(),
            state: dir.path().join("state"),
            signin: dir.path().join("signin"),
            ..Options::default()
        };
        let producer = Producer::new(&broker.settings()).unwrap();
        let service = Service::build(options).await.unwrap();
        let (admin, shutdown) = (service.admin_addr(), Shutdown::new());
        let running = tokio::spawn(service.run(shutdown.clone()));
        let applied = BTreeMap::new();
        Self { world, url, producer, applied, dir, admin, shutdown, running, _broker: broker }
    }

    /// The files of a tenant that reads `system`.
    fn files(&self, tenant: &str, system: &str, object: &str) -> Files {
        let secret = |name: &str| self.dir.path().join(format!("{tenant}.{name}")).display().to_string();
        let head = format!(
            "tenant: {tenant}\nname: {tenant}\nregion: eu\napi_keys: [{{id: one, secret: \"file:{}\"}}]\n",
            secret("key")
        );
        let connection = format!(
            "connection: erp\nconnector: small\nbase_url: {}/{system}\nclass: neither\ntoken: \"file:{}\"\n\
             egress: {{allow_private: true}}\npoll: {{source: erp, objects: [{object}], every: 1s, api_key: \"file:{}\"}}\n",
            self.url,
            secret("token"),
            secret("key"),
        );
        Files::from([("tenant.yaml".to_owned(), head), ("connections/erp.yaml".to_owned(), connection)])
    }

    /// Its API key, and the token that its system takes.
    fn secrets(&self, tenant: &str, system: &str, token: &str) {
        std::fs::write(self.dir.path().join(format!("{tenant}.key")), key(tenant)).unwrap();
        std::fs::write(self.dir.path().join(format!("{tenant}.token")), token).unwrap();
        self.world.lock().unwrap().tokens.insert(system.into(), token.into());
    }

    async fn apply(&mut self, tenant: &str, files: Files) {
        self.write(Revision::after(
            self.applied.get(tenant),
            tenant.parse().unwrap(),
            files,
            "ann".into(),
            1,
        ))
        .await;
    }

    async fn write(&mut self, revision: Revision) {
        let (key, value) = (revision.key(), revision.value().unwrap());
        self.producer.send(&topics::names::control("eu"), 0, &key, &value, &[]).await.unwrap();
        self.applied.insert(revision.tenant.to_string(), revision);
    }

    fn changed(&self, system: &str, name: &str) {
        self.world.lock().unwrap().docs.entry(system.into()).or_default().push(name.into());
    }

    /// What the gateway was told by a tenant, in order.
    fn told(&self, tenant: &str) -> Vec<String> {
        let world = self.world.lock().unwrap();
        world.told.iter().filter(|(by, _)| *by == key(tenant)).map(|(_, id)| id.clone()).collect()
    }

    fn asked(&self, system: &str) -> usize {
        self.world.lock().unwrap().asked.get(system).map_or(0, |asked| asked.0)
    }

    /// Waits until so many tenants are in trouble.
    async fn troubled(&self, tenants: usize) {
        let url = format!("http://{}/metrics", self.admin);
        eventually("the troubles are told", async || {
            let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
            let told = format!("counterfoil_source_troubled_tenants_count {tenants}");
            text.lines().any(|line| line == told)
        })
        .await;
    }

    async fn end(self) {
        self.shutdown.trigger();
        self.running.await.unwrap();
    }
}

fn key(tenant: &str) -> String {
    format!("{tenant}-key-0123456789")
}

async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_comes_is_changed_and_goes_while_another_one_is_read() {
    let mut scene = Scene::start().await;
    scene.secrets("globex", "globex", "globex-token");
    scene.changed("globex", "G-1");
    scene.apply("globex", scene.files("globex", "globex", "order")).await;
    eventually("globex is read", async || scene.told("globex") == ["G-1"]).await;
    assert_eq!(scene.asked("acme"), 0);

    scene.secrets("acme", "acme", "acme-token");
    ["A-0", "A-1"].iter().for_each(|name| scene.changed("acme", name));
    scene.apply("acme", scene.files("acme", "acme", "order")).await;
    eventually("acme is read", async || scene.told("acme") == ["A-0", "A-1"]).await;

    // Its address changes, and it is read on from where it was: only what lies within the overlap is told once more.
    scene.secrets("acme", "moved", "acme-token");
    ["A-0", "A-1", "A-2"].iter().for_each(|name| scene.changed("moved", name));
    scene.apply("acme", scene.files("acme", "moved", "order")).await;
    eventually("it goes on elsewhere", async || scene.told("acme").last().is_some_and(|id| id == "A-2"))
        .await;
    let asked = scene.asked("acme");

    // A revision that cannot be carried out: what was in force stays.
    scene.apply("acme", scene.files("acme", "acme", "invoice")).await;
    scene.troubled(1).await;
    scene.changed("moved", "A-3");
    eventually("it is read as before", async || scene.told("acme").last().is_some_and(|id| id == "A-3"))
        .await;
    assert_eq!(scene.asked("acme"), asked, "the former address is asked no more");

    // Its token is rotated at both ends.
    scene.apply("acme", scene.files("acme", "moved", "order")).await;
    scene.troubled(0).await;
    scene.world.lock().unwrap().tokens.insert("moved".into(), "a-new-token".into());
    scene.changed("moved", "A-4");
    write(&scene.dir.path().join("acme.token"), "a-new-token");
    eventually("the new token is used", async || scene.told("acme").last().is_some_and(|id| id == "A-4"))
        .await;

    let removed = Revision::removal(&scene.applied["acme"], "ann".into(), 2);
    scene.write(removed).await;
    let mut last = scene.asked("moved");
    eventually("it is left alone", async || {
        tokio::time::sleep(Duration::from_millis(2_500)).await; // more than two rounds
        std::mem::replace(&mut last, scene.asked("moved")) == last
    })
    .await;

    scene.changed("globex", "G-2");
    eventually("globex is read all the time", async || scene.told("globex") == ["G-1", "G-2"]).await;
    assert!(!scene.world.lock().unwrap().side_by_side, "two polls of one object were at it at a time");
    let told: Vec<String> = scene.told("acme");
    assert_eq!(told.iter().filter(|id| *id == "A-0").count(), 1, "its place is kept: {told:?}");
    scene.end().await;
}
