//! Tenants come, change and go on the control topic while the sink runs.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, http::HeaderMap};
use common::{REGION, RunningSink, World, applied::Applied, eventually, header};
use contract::{Outcome, OutcomeStatus};
use event::{EventId, ObjectKind, TenantId};
use sink::Options;
use tenancy::{TenantsFrom, revision::Files};

fn id(tenant: &str) -> TenantId {
    tenant.parse().unwrap()
}

/// A tenant whose ERP is an account of the sandbox of its own.
fn files(world: &World, tenant: &str) -> Files {
    let erp = world.erp.url();
    Files::from([
        ("tenant.yaml".to_owned(), format!("tenant: {tenant}\nname: {tenant}\nregion: {REGION}\n")),
        (
            "connections/erp.yaml".to_owned(),
            format!(
                "connection: erp\nconnector: sandbox\nbase_url: \"{erp}/{tenant}\"\nclass: keyed\n\
                 egress: {{allow_private: true}}\nlimits: {{concurrency: 8}}\ntimeout: 1s\n"
            ),
        ),
        ("routes/payments.yaml".to_owned(), "route: payments\non: [\"payment.*\"]\nto: erp\n".to_owned()),
    ])
}

fn live(world: &World) -> Options {
    Options { tenants_from: TenantsFrom::Control, ..world.options() }
}

async fn pay(world: &World, tenant: &str, entity: &str) -> EventId {
    let (envelope, key, value) = world.payment_of(&id(tenant), entity, 1);
    world.publish(ObjectKind::Payment, &key, &value).await;
    envelope.event_id
}

/// The same, let in under a state of the tenant.
async fn pay_under(world: &World, applied: &Applied, tenant: &str, entity: &str) -> EventId {
    let (envelope, key, value) = world.payment_of(&id(tenant), entity, 1);
    let stamp = control::revision_stamp(applied.0[tenant].revision);
    let headers: &[(&str, &[u8])] = &[(control::REVISION_HEADER, &stamp)];
    world.publish_with(ObjectKind::Payment, &key, Some(&value), headers).await;
    envelope.event_id
}

async fn outcome(world: &World, event: EventId) -> Outcome {
    let mut found = None;
    eventually("the event has an outcome", async || {
        found = world.outcomes().await.into_iter().find(|o| o.event_id == event);
        found.is_some()
    })
    .await;
    found.unwrap()
}

async fn world(tenants: &[&str]) -> World {
    let tenants: Vec<TenantId> = tenants.iter().map(|t| id(t)).collect();
    World::start_for("keyed", "", &tenants).await
}

async fn troubled(sink: &RunningSink) -> f64 {
    sink.metric("troubled_tenants_count").await
}

/// Whoever may send as soon as `apply` has returned loses nothing, however soon the sink hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_tenants_first_event_is_delivered_and_a_strangers_is_kept() {
    let names = ["acme", "t1", "t2", "t3", "t4", "t5"];
    let world = world(&names).await;
    let sink = world.sink_with(live(&world)).await;
    sink.until_ready().await;
    let mut applied = Applied::default();
    for name in names {
        applied.apply(&world, name, files(&world, name)).await;
        let event = pay(&world, name, &format!("PAY-{name}")).await;
        assert_eq!(outcome(&world, event).await.status, OutcomeStatus::Committed, "{name}");
    }
    assert_eq!(world.unattributed().await.len(), 0);
    pay(&world, "nobody", "PAY-X").await;
    let last = pay(&world, "acme", "PAY-X").await;
    assert_eq!(outcome(&world, last).await.status, OutcomeStatus::Committed, "nobody holds it up");
    let letters = world.unattributed().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(header(&letters[0], "cf-code").as_deref(), Some("SNK-0013"));
    sink.stop().await;
    assert_eq!(world.totals().effects as usize, names.len() + 1);
}

/// An event takes the routes under which it was let in, however soon that is after they were applied.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_not_taken_in_under_older_routes_than_it_was_let_in_under() {
    let world = world(&["acme"]).await;
    let sink = world.sink_with(live(&world)).await;
    sink.until_ready().await;
    let mut applied = Applied::default();
    let mut files = files(&world, "acme");
    applied.apply(&world, "acme", files.clone()).await;
    for turn in 0..10 {
        let connection =
            files["connections/erp.yaml"].replace("connection: erp", &format!("connection: c{turn}"));
        files.insert(
            format!("connections/c{turn}.yaml"),
            connection.replace("/acme\"", &format!("/c{turn}\"")),
        );
        let route = format!("route: r{turn}\non: [payment.received]\nto: c{turn}\n");
        files.insert(format!("routes/r{turn}.yaml"), route);
        applied.apply(&world, "acme", files.clone()).await;
        let event = pay_under(&world, &applied, "acme", &format!("PAY-{turn}")).await;
        eventually("it takes every route", async || {
            world.outcomes().await.iter().filter(|o| o.event_id == event).count() == turn + 2
        })
        .await;
    }
    sink.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_where_the_connection_leads_now() {
    let world = world(&["acme", "globex"]).await;
    let sink = world.sink_with(live(&world)).await;
    let mut applied = Applied::default();
    let mut wrong = files(&world, "acme");
    let connection = wrong.get_mut("connections/erp.yaml").unwrap();
    *connection = connection.replace(&world.erp.url(), "http://127.0.0.1:1");
    applied.apply(&world, "acme", wrong).await;
    applied.apply(&world, "globex", files(&world, "globex")).await;
    let waits = pay(&world, "acme", "PAY-1").await;
    let goes = pay(&world, "globex", "PAY-1").await;
    assert_eq!(outcome(&world, goes).await.status, OutcomeStatus::Committed);
    assert!(world.outcomes().await.iter().all(|o| o.event_id != waits));
    applied.apply(&world, "acme", files(&world, "acme")).await;
    assert_eq!(outcome(&world, waits).await.status, OutcomeStatus::Committed);
    sink.stop().await;
    assert_eq!(world.totals().effects, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_route_or_tenant_that_is_gone_are_kept_as_dead_letters_and_hold_nobody() {
    let world = world(&["acme", "globex"]).await;
    let sink = world.sink_with(live(&world)).await;
    let mut applied = Applied::default();
    for name in ["acme", "globex"] {
        let mut dead = files(&world, name);
        let connection = dead.get_mut("connections/erp.yaml").unwrap();
        *connection = connection.replace(&world.erp.url(), "http://127.0.0.1:1");
        applied.apply(&world, name, dead).await;
    }
    let (of_route, of_tenant) = (pay(&world, "acme", "PAY-1").await, pay(&world, "globex", "PAY-2").await);
    eventually("both are tried", async || sink.metric("attempts_total").await >= 2.0).await;
    let mut other = files(&world, "acme");
    other.remove("routes/payments.yaml");
    let route = "route: others\non: [\"customer.*\"]\nto: erp\n".to_owned();
    other.insert("routes/others.yaml".into(), route);
    applied.apply(&world, "acme", other).await;
    applied.remove(&world, "globex").await;
    for event in [of_route, of_tenant] {
        let outcome = outcome(&world, event).await;
        assert_eq!(outcome.status, OutcomeStatus::Rejected);
        assert_eq!(outcome.error_code.as_deref(), Some("SNK-0042"));
    }
    // One that comes later too.
    let late = pay(&world, "globex", "PAY-3").await;
    assert_eq!(outcome(&world, late).await.error_code.as_deref(), Some("SNK-0042"));
    assert_eq!(world.dead_letters().await.len(), 1);
    assert_eq!(world.records(topics::names::dlq(REGION, Some(&id("globex")))).await.len(), 2);
    sink.stop().await;
    assert_eq!(world.totals().effects, 0);
}

/// Neither what cannot be carried out nor what lacks something hurts others; nothing of it is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_in_trouble_keeps_its_last_good_state_or_waits() {
    let world = world(&["acme", "globex"]).await;
    let sink = world.sink_with(live(&world)).await;
    let mut applied = Applied::default();
    applied.apply(&world, "acme", files(&world, "acme")).await;
    let first = pay(&world, "acme", "PAY-0").await;
    assert_eq!(outcome(&world, first).await.status, OutcomeStatus::Committed);
    let mut broken = files(&world, "acme");
    let connection = broken.get_mut("connections/erp.yaml").unwrap();
    *connection = connection.replace("connector: sandbox", "connector: no-such-system");
    applied.apply(&world, "acme", broken).await;
    // Its secret is not here, and will be.
    let secret = world.dir.path().join("globex.token");
    let mut without = files(&world, "globex");
    let connection = without.get_mut("connections/erp.yaml").unwrap();
    connection.push_str(&format!("secrets: {{token: \"file:{}\"}}\n", secret.display()));
    applied.apply(&world, "globex", without).await;
    eventually("both are in trouble", async || troubled(&sink).await == 2.0).await;
    let waits = pay(&world, "globex", "PAY-1").await;
    let goes = pay(&world, "acme", "PAY-1").await;
    assert_eq!(outcome(&world, goes).await.status, OutcomeStatus::Committed, "by the last good state");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.outcomes().await.iter().all(|o| o.event_id != waits));
    std::fs::write(&secret, "a-token").unwrap();
    assert_eq!(outcome(&world, waits).await.status, OutcomeStatus::Committed);
    assert_eq!(troubled(&sink).await, 1.0);
    sink.stop().await;
    assert_eq!(world.totals().effects, 3);

    // A sink that starts now knows no good state of acme: its events wait, and hold nobody.
    let sink = world.sink_with(live(&world)).await;
    sink.until_ready().await;
    let waits = pay(&world, "acme", "PAY-2").await;
    let goes = pay(&world, "globex", "PAY-2").await;
    assert_eq!(outcome(&world, goes).await.status, OutcomeStatus::Committed);
    assert!(world.outcomes().await.iter().all(|o| o.event_id != waits));
    applied.apply(&world, "acme", files(&world, "acme")).await;
    assert_eq!(outcome(&world, waits).await.status, OutcomeStatus::Committed);
    sink.stop().await;
    assert_eq!((world.totals().effects, world.unattributed().await.len()), (5, 0));
}

/// A refusal of it could not be kept, so its events wait, until the topic is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_its_dead_letter_topic_waits() {
    let world = world(&["acme"]).await;
    let sink = world.sink_with(live(&world)).await;
    let mut applied = Applied::default();
    applied.apply(&world, "acme", files(&world, "acme")).await;
    applied.apply(&world, "globex", files(&world, "globex")).await;
    let waits = pay(&world, "globex", "PAY-1").await;
    let goes = pay(&world, "acme", "PAY-1").await;
    assert_eq!(outcome(&world, goes).await.status, OutcomeStatus::Committed);
    eventually("it is said", async || troubled(&sink).await == 1.0).await;
    world.broker.create_topic(&topics::names::dlq(REGION, Some(&id("globex"))), 1).unwrap();
    assert_eq!(outcome(&world, waits).await.status, OutcomeStatus::Committed);
    sink.stop().await;
}

/// What was left in the log because its target was away is read again under other routes: it keeps the one that it came under, and that
/// is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_in_the_log_keeps_the_routes_that_it_came_under() {
    const STUCK: usize = 300;
    const OTHERS: usize = 40;
    let world = world(&["acme", "globex"]).await;
    let sink = world.sink_with(Options { window: 8, ..live(&world) }).await;
    sink.until_ready().await;
    let mut applied = Applied::default();
    let mut dead = files(&world, "acme");
    let connection = dead.get_mut("connections/erp.yaml").unwrap();
    *connection = connection.replace(&world.erp.url(), "http://127.0.0.1:1");
    applied.apply(&world, "acme", dead).await;
    applied.apply(&world, "globex", files(&world, "globex")).await;
    for i in 0..STUCK {
        pay(&world, "acme", &format!("STUCK-{i}")).await;
    }
    for i in 0..OTHERS {
        pay(&world, "globex", &format!("OTHER-{i}")).await;
    }
    world.settled(OTHERS).await;
    let mut renamed = files(&world, "acme");
    renamed.remove("routes/payments.yaml");
    renamed.insert("routes/receipts.yaml".into(), "route: receipts\non: [\"payment.*\"]\nto: erp\n".into());
    applied.apply(&world, "acme", renamed).await;
    world.settled(STUCK + OTHERS).await;
    assert!(sink.metric("reread_records_total").await > 0.0, "nothing was left in the log");
    let new = pay(&world, "acme", "NEW").await;
    let new = outcome(&world, new).await;
    assert_eq!((new.status, new.route.as_str()), (OutcomeStatus::Committed, "receipts"));
    sink.stop().await;
    let outcomes = world.outcomes().await;
    let gone = outcomes.iter().filter(|o| o.route == "payments" && o.status == OutcomeStatus::Rejected);
    assert_eq!(gone.count(), STUCK);
    let accounts = world.sandbox.summary().accounts;
    assert_eq!((accounts["acme"].totals.effects, accounts["globex"].totals.effects), (1, OTHERS as u64));
}

/// With tenants of a folder too.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_is_used_without_a_restart() {
    let world = World::start("keyed").await;
    let (said, mut heard) = tokio::sync::mpsc::channel(1_000);
    let answer = move |headers: HeaderMap| {
        let token = headers["authorization"].to_str().unwrap().to_owned();
        said.try_send(token).unwrap();
        std::future::ready(r#"{"id":"1"}"#)
    };
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let secret = world.dir.path().join("acme.token");
    std::fs::write(&secret, "the-first").unwrap();
    let file = world.dir.path().join("tenants/acme/connections/erp.yaml");
    let connection = std::fs::read_to_string(&file).unwrap().replace(&world.erp.url(), &url);
    std::fs::write(&file, format!("{connection}secrets: {{token: \"file:{}\"}}\n", secret.display()))
        .unwrap();
    let sink = world.sink().await;
    world.pay("PAY-0", 1).await;
    assert_eq!(heard.recv().await.unwrap(), "Bearer the-first");
    std::fs::write(&secret, "the-second").unwrap();
    let mut sent = 0;
    eventually("the second one is used", async || {
        sent += 1;
        world.pay(&format!("PAY-{sent}"), 1).await;
        heard.recv().await.unwrap() == "Bearer the-second"
    })
    .await;
    sink.stop().await;
}
