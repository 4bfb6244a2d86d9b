//! Tenants come, change and go on the control topic while the gateway runs, and nobody else notices.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{Running, World, answer, customer, eventually, options, start_broker};
use event::ObjectKind;
use gateway::Setup;
use kafka::{Producer, Reader};
use registry::EmbeddedRegistry;
use reqwest::Client;
use serde_json::json;
use service_kit::{Readiness, Shutdown};
use telemetry::Metrics;
use tenancy::{Environment, Revision, TenantsFrom, revision::Files};

/// A tenant whose key is in a file.
fn files(dir: &Path, tenant: &str, burst: u32) -> Files {
    let key = dir.join(format!("{tenant}.key"));
    let text = format!(
        "tenant: {tenant}\nname: {tenant}\nregion: eu\napi_keys: [{{id: one, secret: \"file:{}\"}}]\n\
         quota: {{events_per_second: 1, burst: {burst}}}\n",
        key.display()
    );
    Files::from([("tenant.yaml".to_owned(), text)])
}

fn key_of(tenant: &str) -> String {
    format!("{tenant}-key-0123456789")
}

fn write_key(dir: &Path, tenant: &str, key: &str) {
    std::fs::write(dir.join(format!("{tenant}.key")), key).unwrap();
}

/// The gateway, and whoever applies.
struct Scene {
    world: World,
    producer: Producer,
    applied: BTreeMap<String, Revision>,
    dir: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let broker = start_broker();
        let registry = EmbeddedRegistry::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let mut options = options(&broker, &registry.url());
        options.tenants_from = TenantsFrom::Control;
        let producer = Producer::new(&broker.settings()).unwrap();
        let setup = Setup::load(options, &Environment).unwrap();
        let (metrics, readiness, shutdown) =
            (Metrics::new("test").unwrap(), Readiness::new(), Shutdown::new());
        let service = setup.build(&metrics, readiness.clone()).await.unwrap();
        let address = service.local_addr();
        let served = service_kit::spawn("gateway", service.run(shutdown.clone()));
        let clock = Arc::new(gateway::clock::SetClock::at(0));
        let gateway = Running { address, readiness, metrics, shutdown, served, clock, client: Client::new() };
        gateway.until_ready().await;
        let world = World { gateway, broker, registry };
        Self { world, producer, applied: BTreeMap::new(), dir: tempfile::tempdir().unwrap() }
    }

    async fn apply(&mut self, tenant: &str, files: Files) {
        let next = Revision::after(self.applied.get(tenant), tenant.parse().unwrap(), files, "ann".into(), 1);
        self.write(next).await;
    }

    async fn write(&mut self, revision: Revision) {
        let topic = topics::names::control("eu");
        let (key, value) = (revision.key(), revision.value().unwrap());
        self.producer.send(&topic, 0, &key, &value, &[]).await.unwrap();
        self.applied.insert(revision.tenant.to_string(), revision);
    }

    async fn status(&self, key: &str, id: &str) -> u16 {
        let request = self.world.gateway.post("/v1/events").bearer_auth(key);
        answer(request.json(&customer(id, 1))).await.status.as_u16()
    }

    async fn until(&self, key: &str, status: u16) {
        let mut turn = 0;
        eventually(&format!("{status} for {key}"), async || {
            turn += 1;
            (self.status(key, &format!("{key}-{turn}")).await == status).then_some(())
        })
        .await;
    }

    fn troubled(&self) -> f64 {
        let text = self.world.gateway.metrics.encode().unwrap();
        let line =
            text.lines().find(|line| line.contains("troubled_tenants_count") && !line.starts_with('#'));
        line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_comes_is_changed_and_goes_while_another_one_sends() {
    let mut scene = Scene::start().await;
    let dir = scene.dir.path().to_owned();
    let (acme, globex) = (key_of("acme"), key_of("globex"));
    write_key(&dir, "acme", &acme);
    write_key(&dir, "globex", &globex);
    assert_eq!(scene.status(&acme, "C-0").await, 401, "nobody is there yet");
    scene.apply("globex", files(&dir, "globex", 1_000_000)).await;
    scene.until(&globex, 202).await;

    let (stop, client) = (Arc::new(AtomicBool::new(false)), Client::new());
    let url = format!("http://{}/v1/events", scene.world.gateway.address);
    let (ends, key) = (Arc::clone(&stop), globex.clone());
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        while !ends.load(Ordering::Relaxed) {
            let request = client.post(&url).bearer_auth(&key).json(&customer(&format!("G-{sent}"), 1));
            assert_eq!(request.send().await.unwrap().status(), 202);
            sent += 1;
        }
        sent
    });
    scene.apply("acme", files(&dir, "acme", 50)).await;
    scene.until(&acme, 202).await;
    // What is used of a quota stays used when another tenant's configuration changes.
    let events: Vec<_> = (0..48).map(|i| customer(&format!("B-{i}"), 1)).collect();
    let batch = async |scene: &Scene| {
        let request = scene.world.gateway.post("/v1/events").bearer_auth(&acme);
        answer(request.json(&json!(events))).await.status.as_u16()
    };
    assert_eq!(batch(&scene).await, 202);
    scene.apply("globex", files(&dir, "globex", 1_000_001)).await;
    scene.apply("initech", files(&dir, "initech", 1)).await;
    eventually("initech lacks its key", async || (scene.troubled() == 1.0).then_some(())).await;
    assert_eq!(batch(&scene).await, 429, "the quota is not fresh");
    scene.apply("acme", files(&dir, "acme", 100)).await;
    eventually("the new quota is in force", async || (batch(&scene).await == 202).then_some(())).await;
    // A removed one is a stranger again.
    let removal = scene.applied["acme"].removal("ann".into(), 2);
    scene.write(removal).await;
    scene.until(&acme, 401).await;
    stop.store(true, Ordering::Relaxed);
    assert!(sender.await.unwrap() > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_put_in_force_leaves_what_was_and_secrets_are_rotated() {
    let mut scene = Scene::start().await;
    let dir = scene.dir.path().to_owned();
    let (first, second) = (key_of("acme"), key_of("second"));
    write_key(&dir, "acme", &first);
    scene.apply("acme", files(&dir, "acme", 10_000)).await;
    scene.until(&first, 202).await;
    let mut broken = files(&dir, "acme", 10_000);
    broken.insert(
        "connections/odd.yaml".into(),
        "connection: odd\nconnector: odd\nwebhook: {scheme: odd, source: odd, secrets: [\"env:HOME\"]}\n"
            .into(),
    );
    scene.apply("acme", broken).await;
    eventually("it is in trouble", async || (scene.troubled() == 1.0).then_some(())).await;
    assert_eq!(scene.status(&first, "C-1").await, 202, "the last good state is in force");
    write_key(&dir, "acme", &second);
    scene.until(&second, 202).await;
    assert_eq!(scene.status(&first, "C-2").await, 401);
}

/// So that no sink takes an event in under an older state than the one that it was let in under.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_tenant_that_has_just_changed_say_under_which_state_they_were_let_in() {
    let mut scene = Scene::start().await;
    let dir = scene.dir.path().to_owned();
    write_key(&dir, "acme", &key_of("acme"));
    scene.apply("acme", files(&dir, "acme", 1_000)).await;
    scene.until(&key_of("acme"), 202).await;
    scene.apply("acme", files(&dir, "acme", 1_001)).await;
    let settings = scene.world.broker.settings();
    let topic = topics::names::object_topic("eu", ObjectKind::Customer);
    let mut turn = 0;
    eventually("an event of the second state", async || {
        turn += 1;
        assert_eq!(scene.status(&key_of("acme"), &format!("T-{turn}")).await, 202);
        let (settings, topic) = (settings.clone(), topic.clone());
        let stamps = tokio::task::spawn_blocking(move || stamps(&settings, &topic)).await.unwrap();
        assert!(stamps.iter().all(|stamp| [1, 2].contains(stamp)), "{stamps:?}");
        stamps.contains(&2).then_some(())
    })
    .await;
}

/// Of every record that there is.
fn stamps(settings: &kafka::Settings, topic: &str) -> Vec<u64> {
    let reader = Reader::from_beginning(settings, topic).unwrap();
    let left: i64 = (0..reader.partitions().unwrap())
        .map(|p| reader.bounds(p).map(|(low, end)| end - low).unwrap())
        .sum();
    let read = || reader.next(std::time::Duration::from_secs(10)).unwrap().unwrap();
    let stamp = |record: kafka::ReadRecord| {
        let header = record.headers.iter().find(|(name, _)| name == control::REVISION_HEADER).unwrap();
        control::revision_in(&header.1).unwrap()
    };
    (0..left).map(|_| stamp(read())).collect()
}
