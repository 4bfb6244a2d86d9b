//! A sink between an embedded broker and a sandbox ERP, in one process.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

pub mod applied;
pub mod lossy;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant, UNIX_EPOCH},
};

use contract::{Compatibility, Contracts, Decoder, Outcome, RegistryClient, decode_outcome, split_wire};
use event::{Envelope, EventId, EventType, ObjectKind, RecordKey, TenantId};
use kafka::{Position, Producer, ReadRecord, Reader, embedded::Broker};
use registry::EmbeddedRegistry;
use sandbox::{Change, Idempotency, RequestPage, RequestRow, Sandbox};
use serde_json::{Value, json};
use service_kit::Shutdown;
use sink::Options;
use topics::{Specs, names};

pub const REGION: &str = "eu";
const LOOPBACK: &str = "127.0.0.1:0";

/// Broker, registry, ERP; sinks come and go.
pub struct World {
    pub broker: Broker,
    pub registry: EmbeddedRegistry,
    pub sandbox: Sandbox,
    pub erp: sandbox::Handle,
    pub producer: Producer,
    pub dir: tempfile::TempDir,
    schema_ids: BTreeMap<ObjectKind, u32>,
}

pub struct RunningSink {
    pub admin: SocketAddr,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), sink::StartError>>,
}

impl RunningSink {
    pub async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.unwrap().unwrap();
    }

    /// The sum of a metric over its labels, or one series of it; its name without what all have in common.
    pub async fn metric(&self, name: &str) -> f64 {
        let text =
            reqwest::get(format!("http://{}/metrics", self.admin)).await.unwrap().text().await.unwrap();
        let name = format!("counterfoil_sink_{name}");
        let of = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_it = series == name || series.split('{').next() == Some(&name);
            is_it.then(|| value.parse::<f64>().unwrap())
        };
        text.lines().filter_map(of).sum()
    }

    /// Whether it has its partitions, and their ledgers.
    pub async fn is_ready(&self) -> bool {
        let answer = reqwest::get(format!("http://{}/health/ready", self.admin)).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// As if its process had died.
    pub fn abort(self) {
        self.task.abort();
    }

    /// Waits until it ends by itself.
    pub async fn ended(self) -> sink::StartError {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.task).await;
        ended.expect("it does not end").unwrap().unwrap_err()
    }

    /// What it says of its readiness.
    pub async fn readiness(&self) -> Value {
        serde_json::from_str(&self.get("/health/ready").await).unwrap()
    }

    pub async fn until_ready(&self) {
        eventually("the sink is ready", async || self.readiness().await["status"] == "ready").await;
    }

    async fn get(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.admin);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }
}

impl World {
    /// One tenant, `acme`, whose ERP is of `class`.
    pub async fn start(class: &str) -> Self {
        Self::start_without(class, "").await
    }

    /// The same, where the topic `missing` is not there yet.
    pub async fn start_without(class: &str, missing: &str) -> Self {
        Self::start_for(class, missing, &[tenant()]).await
    }

    /// The same, with the topics of these tenants.
    pub async fn start_for(class: &str, missing: &str, tenants: &[TenantId]) -> Self {
        // Shown for a failed test; the second test of a process finds it set.
        telemetry::init(telemetry::Format::Text, "warn").ok();
        let specs = Specs::embedded().unwrap();
        let mut plan = specs.all_for(REGION, tenants).unwrap();
        plan.retain(|topic| topic.name != missing);
        let broker = Broker::start(&plan, 1).unwrap();
        let registry = EmbeddedRegistry::start(address()).await.unwrap();
        let client = RegistryClient::new(&registry.url()).unwrap();
        for (subject, schema) in Contracts::embedded().subjects(REGION) {
            client.register(&subject, schema).await.unwrap();
            client.set_compatibility(&subject, Compatibility::FullTransitive).await.unwrap();
        }
        let mut schema_ids = BTreeMap::new();
        for object in [ObjectKind::Customer, ObjectKind::Payment] {
            let subject = contract::object_subject(REGION, object);
            let schema = &Contracts::embedded().object(object).json;
            schema_ids.insert(object, client.latest_id(&subject, schema).await.unwrap().unwrap());
        }
        let sandbox = Sandbox::new();
        let idempotency = match class {
            "keyed" => Idempotency::Key,
            "upsert" => Idempotency::Upsert,
            _ => Idempotency::Neither,
        };
        sandbox.configure("acme", Change { idempotency: Some(idempotency), ..Change::default() }).unwrap();
        let erp = sandbox.start(address()).await.unwrap();
        let producer = Producer::new(&broker.settings()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        write_tenant(&dir.path().join("tenants"), &erp.url(), class);
        Self { broker, registry, sandbox, erp, producer, dir, schema_ids }
    }

    pub fn options(&self) -> Options {
        let mut options = Options {
            admin_listen: address(),
            region: REGION.into(),
            tenants: self.dir.path().join("tenants"),
            commit_every: Duration::from_millis(300),
            clock_skew: Duration::from_millis(100),
            ..Options::default()
        };
        options.kafka = self.broker.settings();
        options.kafka.consumer.extend(kafka::embedded::consumer_properties());
        options.registry.url = self.registry.url();
        options.signin = self.dir.path().join("signin");
        options.ledger.dir = self.ledger_dir();
        options.ledger.reserve_bytes = 0;
        options
    }

    pub fn ledger_dir(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    pub async fn sink(&self) -> RunningSink {
        self.sink_with(self.options()).await
    }

    pub async fn sink_with(&self, options: Options) -> RunningSink {
        let service = sink::Service::build(options).await.unwrap();
        let (admin, shutdown) = (service.admin_addr(), Shutdown::new());
        let task = tokio::spawn(service.run(shutdown.clone()));
        RunningSink { admin, shutdown, task }
    }

    /// Publishes a payment as the gateway would. Version 1 of entity `id` unless told otherwise.
    pub async fn pay(&self, id: &str, version: i64) -> EventId {
        let (envelope, key, value) = self.payment(id, version);
        self.publish(ObjectKind::Payment, &key, &value).await;
        envelope.event_id
    }

    pub fn payment(&self, id: &str, version: i64) -> (Envelope, Vec<u8>, Vec<u8>) {
        self.payment_of(&tenant(), id, version)
    }

    pub fn payment_of(&self, tenant: &TenantId, id: &str, version: i64) -> (Envelope, Vec<u8>, Vec<u8>) {
        self.payment_at(now(), tenant, id, version)
    }

    /// A payment that the gateway let in at that moment, microseconds since 1970-01-01 UTC.
    pub fn payment_at(
        &self,
        received_at: i64,
        tenant: &TenantId,
        id: &str,
        version: i64,
    ) -> (Envelope, Vec<u8>, Vec<u8>) {
        let event_type = if version == 1 { "payment.received" } else { "payment.updated" };
        let example = include_str!("../../../../schemas/examples/payment.json");
        self.event(tenant, event_type, example, (id, version, received_at), |_| {})
    }

    /// Publishes a customer as the gateway would.
    pub async fn customer(&self, id: &str, version: i64, change: impl FnOnce(&mut Value)) -> EventId {
        let event_type = if version == 1 { "customer.created" } else { "customer.updated" };
        let example = include_str!("../../../../schemas/examples/customer.json");
        let (envelope, key, value) = self.event(&tenant(), event_type, example, (id, version, now()), change);
        self.publish(ObjectKind::Customer, &key, &value).await;
        envelope.event_id
    }

    fn event(
        &self,
        tenant: &TenantId,
        event_type: &str,
        example: &str,
        (id, version, received_at): (&str, i64, i64),
        change: impl FnOnce(&mut Value),
    ) -> (Envelope, Vec<u8>, Vec<u8>) {
        let example: Value = serde_json::from_str(example).unwrap();
        let mut data = example["data"].clone();
        data["id"] = json!(id);
        change(&mut data);
        let event_type: EventType = event_type.parse().unwrap();
        let object = event_type.object();
        let envelope = Envelope {
            event_id: EventId::derive(tenant, "test", event_type, id, version),
            tenant: tenant.clone(),
            event_type,
            entity: id.into(),
            source: "test".into(),
            source_version: version,
            occurred_at: 1_700_000_000_000_000,
            received_at,
            correlation_id: None,
            causation_id: None,
            traceparent: None,
            schema_version: 1,
            extensions: BTreeMap::new(),
        };
        let key = RecordKey::new(tenant.clone(), object, id).unwrap().to_bytes();
        let contract = Contracts::embedded().object(object);
        let value = contract.encode(self.schema_ids[&object], &envelope, &data).unwrap();
        (envelope, key, value)
    }

    pub async fn publish(&self, object: ObjectKind, key: &[u8], value: &[u8]) -> Position {
        self.publish_with(object, key, Some(value), &[]).await
    }

    pub async fn publish_with(
        &self,
        object: ObjectKind,
        key: &[u8],
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Position {
        let topic = names::object_topic(REGION, object);
        let placement = topics::partitioner::Placement::new(&tenant(), 4, 12);
        let sent = self.producer.enqueue(&topic, placement.partition(key), key, value, headers).await;
        sent.unwrap().wait().await.unwrap()
    }

    /// Every record of a topic.
    pub async fn records(&self, topic: String) -> Vec<ReadRecord> {
        let settings = self.broker.settings();
        tokio::task::spawn_blocking(move || {
            let reader = Reader::new(&settings, &topic).unwrap();
            let mut left = 0;
            let mut starts = Vec::new();
            for partition in 0..reader.partitions().unwrap() {
                let (low, end) = reader.bounds(partition).unwrap();
                left += end - low;
                starts.push((partition, low));
            }
            reader.start(&starts).unwrap();
            let mut records = Vec::new();
            while (records.len() as i64) < left {
                records.push(reader.next(Duration::from_secs(10)).unwrap().expect("a record"));
            }
            records
        })
        .await
        .unwrap()
    }

    /// Every outcome event so far.
    pub async fn outcomes(&self) -> Vec<Outcome> {
        let decoder = Decoder::new(RegistryClient::new(&self.registry.url()).unwrap());
        let mut outcomes = Vec::new();
        for record in self.records(names::outcome(REGION)).await {
            let (id, datum) = split_wire(record.value.as_ref().unwrap()).unwrap();
            let schema = decoder.fetch(id).await.unwrap();
            outcomes.push(decode_outcome(&schema, datum).unwrap());
        }
        outcomes
    }

    /// Waits until so many events have an outcome.
    pub async fn settled(&self, events: usize) -> Vec<Outcome> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let outcomes = self.outcomes().await;
            let ids: std::collections::HashSet<_> = outcomes.iter().map(|o| o.event_id).collect();
            if ids.len() >= events {
                return outcomes;
            }
            assert!(Instant::now() < deadline, "{} of {events} events have an outcome", ids.len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the group has committed everything that is on the topic of payments.
    pub async fn all_committed(&self) {
        let topic = names::object_topic(REGION, ObjectKind::Payment);
        let (settings, group) = (self.broker.settings(), self.options().group);
        eventually("every offset is committed", async || {
            let ends = kafka::admin::end_offsets(&settings, &topic).await.unwrap();
            let committed = kafka::admin::committed(&settings, &group, &topic).await.unwrap();
            ends.iter().all(|(p, end)| *end == 0 || committed.get(p).copied().flatten() == Some(*end))
        })
        .await;
    }

    /// A hash over what the ledger in a folder knows, for each partition of payments. No sink may have it open.
    pub fn digests(&self, dir: &Path) -> Vec<[u8; 32]> {
        let options = ledger::LedgerOptions { dir: dir.to_owned(), ..ledger::LedgerOptions::default() };
        let (ledger, opened) = ledger::Ledger::open(&options, 1, |_| {}).unwrap();
        assert_eq!(opened, ledger::Opened::Fine);
        let topic = names::object_topic(REGION, ObjectKind::Payment);
        (0..12).map(|p| ledger.digest(&format!("{topic}-{p}").into()).unwrap()).collect()
    }

    pub fn totals(&self) -> sandbox::Totals {
        self.sandbox.summary().totals
    }

    /// The requests that the target was asked to log for an account, in the order in which they came.
    pub async fn requests(&self, account: &str) -> Vec<RequestRow> {
        let mut rows = Vec::new();
        let mut after = Some(0);
        while let Some(position) = after {
            let url = format!("{}/admin/accounts/{account}/requests?after={position}", self.erp.url());
            let page: RequestPage = reqwest::get(url).await.unwrap().json().await.unwrap();
            assert_eq!(page.missed, 0);
            rows.extend(page.requests);
            after = page.next;
        }
        rows
    }

    pub fn change(&self, change: Change) {
        self.sandbox.configure("acme", change).unwrap();
    }

    pub async fn dead_letters(&self) -> Vec<ReadRecord> {
        self.records(names::dlq(REGION, Some(&tenant()))).await
    }

    /// Those whose tenant is not known.
    pub async fn unattributed(&self) -> Vec<ReadRecord> {
        self.records(names::dlq(REGION, None)).await
    }
}

pub fn header(record: &ReadRecord, name: &str) -> Option<String> {
    let value = record.headers.iter().find(|(n, _)| n == name)?;
    Some(String::from_utf8(value.1.to_vec()).unwrap())
}

pub async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !check().await {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Young enough for a key to be trusted.
pub fn now() -> i64 {
    UNIX_EPOCH.elapsed().unwrap().as_micros() as i64
}

pub fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn address() -> SocketAddr {
    LOOPBACK.parse().unwrap()
}

fn write_tenant(dir: &Path, erp: &str, class: &str) {
    let file = |name: &str, text: String| {
        let path = dir.join("acme").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let key = dir.with_file_name("acme.key");
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(&key, "a-key-of-a-test-tenant").unwrap();
    file(
        "tenant.yaml",
        format!(
            "tenant: acme\nname: Acme\nregion: {REGION}\napi_keys: [{{id: a, secret: \"file:{}\"}}]\n",
            key.display()
        ),
    );
    file(
        "connections/erp.yaml",
        format!(
            "connection: erp\nconnector: sandbox\nbase_url: \"{erp}/acme\"\nclass: {class}\negress: {{allow_private: true}}\nlimits: {{concurrency: 8}}\ntimeout: 1s\n"
        ),
    );
    file("routes/payments.yaml", "route: payments\non: [\"payment.*\"]\nto: erp\n".into());
}
