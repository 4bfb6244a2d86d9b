//! A system comes while the sink runs: its definition, the mapping beside it, and a tenant that uses it. What is posted is what the
//! mapping makes, or nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, routing::put};
use common::{REGION, RunningSink, World, applied::Applied, eventually};
use contract::OutcomeStatus;
use event::{EventId, ObjectKind, TenantId};
use serde_json::{Value, json};
use sink::Options;
use tenancy::{TenantsFrom, revision::Files};

const DEFINITION: &str = r#"
connector: till
revision: 1
evidence: run
class: keyed
headers: {Accept: application/json, Content-Type: application/json}
auth: {kind: static_token, header: Authorization}
key: {place: header, name: Idempotency-Key, window: 24h}
errors: {rules: [{when: {status: [500, 503]}, class: transient, outcome: unknown}]}
objects:
  payment:
    path: /receipts
    FIELDS
    keyed: {request: "PUT {{path}}/{{ref}}", ok: [200], id: $.id}
"#;
const FIELDS: &str = "fields: {paid: {required: true}}";

/// A system that keeps what it is sent.
struct Till {
    url: String,
    received: Arc<Mutex<Vec<Value>>>,
}

impl Till {
    async fn start() -> Self {
        let received = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&received);
        let take = async move |Json(body): Json<Value>| {
            kept.lock().unwrap().push(body);
            Json(json!({"id": "R-1"}))
        };
        let router = Router::new().route("/receipts/{reference}", put(take));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, received }
    }

    fn received(&self) -> Vec<Value> {
        self.received.lock().unwrap().clone()
    }
}

/// A running sink with a folder of connectors, in which nothing stands yet, and a tenant that uses one of the binary's.
struct Place {
    world: World,
    sink: RunningSink,
    applied: Applied,
    connectors: PathBuf,
}

impl Place {
    async fn start() -> Self {
        let tenants = ["acme", "globex"].map(|tenant| tenant.parse::<TenantId>().unwrap());
        let world = World::start_for("keyed", "", &tenants).await;
        let connectors = world.dir.path().join("connectors");
        std::fs::create_dir(&connectors).unwrap();
        let from = TenantsFrom::Control;
        let options = Options { tenants_from: from, connectors: Some(connectors.clone()), ..world.options() };
        let sink = world.sink_with(options).await;
        let mut applied = Applied::default();
        let erp = format!("{}/acme", world.erp.url());
        applied.apply(&world, "acme", files("acme", "sandbox", &erp, 8)).await;
        let place = Self { world, sink, applied, connectors };
        let first = place.pay("acme", "PAY-0").await;
        place.committed(first).await;
        place
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.connectors.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    async fn apply(&mut self, tenant: &str, files: Files) {
        self.applied.apply(&self.world, tenant, files).await;
    }

    async fn pay(&self, tenant: &str, entity: &str) -> EventId {
        let (envelope, key, value) = self.world.payment_of(&tenant.parse().unwrap(), entity, 1);
        self.world.publish(ObjectKind::Payment, &key, &value).await;
        envelope.event_id
    }

    async fn committed(&self, event: EventId) {
        let mut found = None;
        eventually("the event has an outcome", async || {
            found = self.world.outcomes().await.into_iter().find(|o| o.event_id == event);
            found.is_some()
        })
        .await;
        let found = found.unwrap();
        assert_eq!(found.status, OutcomeStatus::Committed, "{found:?}");
    }

    async fn until_others(&self, tenants: f64) {
        eventually("so many tenants have other connectors", async || {
            self.sink.metric("other_connectors_tenants_count").await == tenants
        })
        .await;
    }

    async fn until_troubled(&self, tenants: f64) {
        eventually("so many tenants are in trouble", async || {
            self.sink.metric("troubled_tenants_count").await == tenants
        })
        .await;
    }
}

fn files(tenant: &str, connector: &str, url: &str, concurrency: u32) -> Files {
    Files::from([
        ("tenant.yaml".to_owned(), format!("tenant: {tenant}\nname: {tenant}\nregion: {REGION}\n")),
        (
            "connections/erp.yaml".to_owned(),
            format!(
                "connection: erp\nconnector: {connector}\nbase_url: \"{url}\"\nclass: keyed\n\
                 egress: {{allow_private: true}}\nlimits: {{concurrency: {concurrency}}}\ntimeout: 1s\n"
            ),
        ),
        ("routes/payments.yaml".to_owned(), "route: payments\non: [\"payment.*\"]\nto: erp\n".to_owned()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_comes_while_the_sink_runs_is_sent_what_its_mapping_makes() {
    let till = Till::start().await;
    let mut place = Place::start().await;
    place.write("till/mappings/payment.vrl", ". = {\"paid\": .id}\n");
    place.write("till.yaml", &DEFINITION.replace("FIELDS", ""));
    place.apply("globex", files("globex", "till", &till.url, 8)).await;
    let event = place.pay("globex", "PAY-1").await;
    place.committed(event).await;
    place.sink.stop().await;
    assert_eq!(till.received(), [json!({"paid": "PAY-1"})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_posted_raw_whatever_becomes_of_the_mapping() {
    let till = Till::start().await;
    let mut place = Place::start().await;
    // The mapping comes later than the definition.
    place.write("till.yaml", &DEFINITION.replace("FIELDS", FIELDS));
    place.apply("globex", files("globex", "till", &till.url, 8)).await;
    let waits = place.pay("globex", "PAY-1").await;
    place.until_troubled(1.0).await;
    let other = place.pay("acme", "PAY-1").await;
    place.committed(other).await;
    assert_eq!(till.received(), [] as [Value; 0], "nobody has made it yet");
    place.write("till/mappings/payment.vrl", ". = {\"paid\": .id}\n");
    place.committed(waits).await;
    place.until_troubled(0.0).await;

    // It goes, or cannot be read, when the tenant changes: what was in force stays so.
    let mapping = place.connectors.join("till/mappings/payment.vrl");
    std::fs::remove_file(&mapping).unwrap();
    place.apply("globex", files("globex", "till", &till.url, 7)).await;
    place.until_troubled(1.0).await;
    let gone = place.pay("globex", "PAY-2").await;
    place.committed(gone).await;
    std::fs::create_dir(&mapping).unwrap();
    place.apply("globex", files("globex", "till", &till.url, 6)).await;
    let unreadable = place.pay("globex", "PAY-3").await;
    place.committed(unreadable).await;
    std::fs::remove_dir(&mapping).unwrap();
    place.write("till/mappings/payment.vrl", ". = {\"paid\": .id + \"!\"}\n");
    place.until_troubled(0.0).await;
    let changed = place.pay("globex", "PAY-4").await;
    place.committed(changed).await;
    place.sink.stop().await;
    let paid = ["PAY-1", "PAY-2", "PAY-3", "PAY-4!"].map(|paid| json!({"paid": paid}));
    assert_eq!(till.received(), paid);
}

/// What is applied counts: files that have only been changed are not taken up, and a sink whose files are others says so and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_mapping_is_taken_up_when_it_is_applied() {
    let till = Till::start().await;
    let mut place = Place::start().await;
    let elsewhere = place.world.dir.path().join("elsewhere");
    let mapping = |what: &str| format!(". = {{\"paid\": .id + \"{what}\"}}\n");
    place.write("till.yaml", &DEFINITION.replace("FIELDS", FIELDS));
    place.write("till/mappings/payment.vrl", &mapping("?"));
    place.apply("globex", files("globex", "till", &till.url, 8)).await;
    place.applied.bind(&place.world, "globex", &place.connectors).await;
    let event = place.pay("globex", "PAY-1").await;
    place.committed(event).await;
    place.until_others(0.0).await;

    // Whoever applies has another mapping; here it comes later.
    place.write("../elsewhere/till.yaml", &DEFINITION.replace("FIELDS", FIELDS));
    place.write("../elsewhere/till/mappings/payment.vrl", &mapping("!"));
    place.applied.bind(&place.world, "globex", &elsewhere).await;
    place.until_others(1.0).await;
    let event = place.pay("globex", "PAY-2").await;
    place.committed(event).await;
    place.write("till/mappings/payment.vrl", &mapping("!"));
    place.until_others(0.0).await;
    let event = place.pay("globex", "PAY-3").await;
    place.committed(event).await;

    // Files alone change nothing, even when something else gives the sink cause to look.
    place.write("till/mappings/payment.vrl", &mapping("-"));
    place.apply("acme", files("acme", "sandbox", &format!("{}/acme", place.world.erp.url()), 7)).await;
    let event = place.pay("acme", "PAY-4").await;
    place.committed(event).await;
    let event = place.pay("globex", "PAY-5").await;
    place.committed(event).await;
    place.sink.stop().await;
    let paid = ["PAY-1?", "PAY-2?", "PAY-3!", "PAY-5!"].map(|paid| json!({"paid": paid}));
    assert_eq!(till.received(), paid);
}
