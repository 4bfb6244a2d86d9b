//! Tenants come, change and go on the control topic while the gateway runs, and nobody else notices.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{Running, World, answer, customer, eventually, options, start_broker};
use event::ObjectKind;
use gateway::Setup;
use kafka::{Producer, Reader, embedded::Broker};
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
        let scene = Self::beginning(start_broker()).await;
        scene.world.gateway.until_ready().await;
        scene
    }

    /// Its gateway need not be ready yet.
    async fn beginning(broker: Broker) -> Self {
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

    /// The webhook `hook` of globex, unsigned.
    async fn webhook(&self) -> common::Answer {
        answer(self.world.gateway.post("/v1/webhooks/globex/hook").body("{}")).await
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
    // A key that is away for a while is no reason to send anybody away.
    scene.apply("acme", files(&dir, "acme", 10_000)).await;
    eventually("it is in order", async || (scene.troubled() == 0.0).then_some(())).await;
    std::fs::remove_file(dir.join("acme.key")).unwrap();
    eventually("its key is away", async || (scene.troubled() == 1.0).then_some(())).await;
    assert_eq!(scene.status(&second, "C-3").await, 202);
    write_key(&dir, "acme", &key_of("third"));
    scene.until(&key_of("third"), 202).await;
    assert_eq!(scene.status(&second, "C-4").await, 401);
}

/// A sender that is told 401 or 404 gives up for good, so nobody is before the tenants are known.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_tenants_are_not_known_yet_nobody_is_called_unknown() {
    let broker = start_broker();
    broker.set_down(true).unwrap();
    let mut scene = Scene::beginning(broker).await;
    let key = key_of("acme");
    let request = scene.world.gateway.post("/v1/events").bearer_auth(&key);
    let refused = answer(request.json(&customer("C-1", 1))).await;
    refused.is_problem(503, "GTW-0015");
    assert_eq!(refused.header("retry-after"), "2");
    scene.webhook().await.is_problem(503, "GTW-0015");
    assert!(scene.world.gateway.readiness.report()["tenants"].is_some(), "it is not ready");
    scene.world.broker.set_down(false).unwrap();
    scene.world.gateway.until_ready().await;
    assert_eq!(scene.status(&key, "C-1").await, 401, "now it is known that there is no such tenant");
    scene.webhook().await.is_problem(404, "GTW-0020");
    let dir = scene.dir.path().to_owned();
    write_key(&dir, "acme", &key);
    scene.apply("acme", files(&dir, "acme", 1_000)).await;
    scene.until(&key, 202).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_tenants_events_go_to_its_own_partitions() {
    let mut scene = Scene::start().await;
    let dir = scene.dir.path().to_owned();
    let key = key_of("acme");
    write_key(&dir, "acme", &key);
    scene.apply("acme", files(&dir, "acme", 1_000)).await;
    scene.until(&key, 202).await;
    let specs = topics::Specs::embedded().unwrap();
    let partitions = specs.object(ObjectKind::Customer).unwrap().partitions.unwrap();
    let placement = topics::Placement::new(&"acme".parse().unwrap(), 4, partitions);
    let mut used = BTreeSet::new();
    for turn in 0..40 {
        let id = format!("P-{turn}");
        let request = scene.world.gateway.post("/v1/events").bearer_auth(&key).json(&customer(&id, 1));
        let accepted = answer(request).await.body["accepted"][0].clone();
        let record = format!("acme/customer/{id}");
        let partition = i64::from(placement.partition(record.as_bytes()));
        assert_eq!(accepted["partition"], json!(partition), "{record}");
        used.insert(partition);
    }
    assert_eq!(used.len(), 4, "each of its partitions, and no other");
}

/// Neither what nobody can read nor one who comes with another's key harms anybody.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_state_and_a_borrowed_key_hurt_nobody() {
    let mut scene = Scene::start().await;
    let dir = scene.dir.path().to_owned();
    let key = key_of("acme");
    write_key(&dir, "acme", &key);
    scene.apply("acme", files(&dir, "acme", 1_000)).await;
    scene.until(&key, 202).await;
    let topic = topics::names::control("eu");
    let record_key = scene.applied["acme"].key();
    scene.producer.send(&topic, 0, &record_key, b"no revision", &[]).await.unwrap();
    eventually("acme is in trouble", async || (scene.troubled() == 1.0).then_some(())).await;
    assert_eq!(scene.status(&key, "C-1").await, 202, "the last good state is in force");
    write_key(&dir, "globex", &key);
    scene.apply("globex", files(&dir, "globex", 1_000)).await;
    eventually("so is globex", async || (scene.troubled() == 2.0).then_some(())).await;
    let request = scene.world.gateway.post("/v1/events").bearer_auth(&key).json(&customer("C-2", 1));
    assert_eq!(answer(request).await.status, 202);
    let (settings, topic) = (scene.world.broker.settings(), object_topic());
    let tenants = tokio::task::spawn_blocking(move || read_all(&settings, &topic)).await.unwrap();
    assert!(tenants.iter().all(|record| record.key.as_deref().unwrap().starts_with(b"acme/")));
    // Both recover by themselves.
    write_key(&dir, "globex", &key_of("globex"));
    scene.apply("acme", files(&dir, "acme", 2_000)).await;
    eventually("nobody is in trouble", async || (scene.troubled() == 0.0).then_some(())).await;
    assert_eq!(scene.status(&key_of("globex"), "C-3").await, 202);
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
    let topic = object_topic();
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

fn object_topic() -> String {
    topics::names::object_topic("eu", ObjectKind::Customer)
}

/// Of every record that there is.
fn stamps(settings: &kafka::Settings, topic: &str) -> Vec<u64> {
    let stamp = |record: kafka::ReadRecord| {
        let header = record.headers.iter().find(|(name, _)| name == control::REVISION_HEADER).unwrap();
        control::revision_in(&header.1).unwrap()
    };
    read_all(settings, topic).into_iter().map(stamp).collect()
}

fn read_all(settings: &kafka::Settings, topic: &str) -> Vec<kafka::ReadRecord> {
    let reader = Reader::from_beginning(settings, topic).unwrap();
    let left: i64 = (0..reader.partitions().unwrap())
        .map(|p| reader.bounds(p).map(|(low, end)| end - low).unwrap())
        .sum();
    (0..left).map(|_| reader.next(std::time::Duration::from_secs(10)).unwrap().unwrap()).collect()
}
