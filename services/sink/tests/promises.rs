//! A system that promises to honour idempotency keys and does not keep it: localstripe. What becomes of a route that believes
//! it, and that a connection may say otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};

use common::{World, lossy::Lossy};
use contract::{Outcome, OutcomeStatus};
use delivery::Class;
use serde_json::Value;
use sink::{Guarantee, Options};
use tenancy::{Require, TenantSet};
use testkit::localstripe::LocalStripe;

const EVENTS: usize = 12;

fn connectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/connectors")
}

/// A world whose route leads to `url`, on a connection that says `class`.
async fn world(url: &str, class: &str) -> World {
    let world = World::start("keyed").await;
    let acme = world.dir.path().join("tenants/acme");
    let token = world.dir.path().join("stripe.key");
    std::fs::write(&token, "sk_test_counterfoil").unwrap();
    let connection = format!(
        "connection: erp\nconnector: localstripe\nbase_url: \"{url}\"\n{class}\ntoken: \"file:{}\"\n\
         egress: {{allow_private: true}}\nlimits: {{concurrency: 4}}\ntimeout: 5s\n",
        token.display()
    );
    std::fs::write(acme.join("connections/erp.yaml"), connection).unwrap();
    std::fs::remove_file(acme.join("routes/payments.yaml")).unwrap();
    let route = "route: customers\non: [\"customer.*\"]\nto: erp\n";
    std::fs::write(acme.join("routes/customers.yaml"), route).unwrap();
    world
}

/// Sends the events while every first answer is lost: their outcomes, and the customers that the system has then.
async fn run(class: &str) -> (Vec<Outcome>, Vec<Value>) {
    let stripe = tokio::task::spawn_blocking(LocalStripe::start).await.unwrap().unwrap();
    let lossy = Lossy::before(stripe.url()).await;
    let world = world(&lossy.url, class).await;
    let options = Options { connectors: Some(connectors()), ..world.options() };
    let sink = world.sink_with(options).await;
    for i in 0..EVENTS {
        world.customer(&format!("C-{i}"), 1, |_| {}).await;
    }
    let outcomes = world.settled(EVENTS).await;
    // Repeats by the source are the same events.
    for i in 0..EVENTS {
        world.customer(&format!("C-{i}"), 1, |_| {}).await;
    }
    sink.stop().await;
    assert!(lossy.lost() >= EVENTS, "every first answer was lost: {}", lossy.lost());
    let url = format!("{}/v1/customers?limit=100", stripe.url());
    let list = reqwest::Client::new().get(url).bearer_auth(stripe.api_key()).send().await.unwrap();
    let list: Value = list.json().await.unwrap();
    (outcomes, list["data"].as_array().unwrap().clone())
}

fn references(customers: &[Value]) -> Vec<&str> {
    let mut references: Vec<&str> =
        customers.iter().map(|customer| customer["metadata"]["ref"].as_str().unwrap()).collect();
    references.sort_unstable();
    references
}

/// The reason for the other test: a route that believes the promise doubles everything whose answer is lost.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_believes_it_gets_duplicates() {
    let (_, customers) = run("").await;
    let mut references = references(&customers);
    let all = references.len();
    references.dedup();
    assert_eq!(references.len(), EVENTS);
    assert!(all > EVENTS, "localstripe honours keys by now: {all} customers of {EVENTS} events");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_so_looks_before_it_repeats_and_doubles_nothing() {
    let (outcomes, customers) = run("class: upsert").await;
    let mut expected: Vec<String> = (0..EVENTS).map(|i| format!("C-{i}")).collect();
    expected.sort_unstable();
    assert_eq!(references(&customers), expected);
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed), "{outcomes:?}");
    assert!(
        outcomes.iter().all(|o| o.target_document_id.as_deref().is_some_and(|id| id.starts_with("cus_")))
    );
}

/// Without any way to look, nothing is repeated: a person decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_class_neither_leaves_it_to_a_person() {
    let (outcomes, customers) = run("class: neither").await;
    assert_eq!(customers.len(), EVENTS);
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::InDoubt), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_says_what_is_left_of_the_promise() {
    let said = async |class: &str| -> Guarantee {
        let world = world("http://127.0.0.1:1", class).await;
        let set = TenantSet::load(&world.dir.path().join("tenants"), &tenancy::Environment).unwrap();
        let examined = sink::examine(&set, "tenants", Some(&connectors()));
        assert!(examined.problems.is_empty(), "{:?}", examined.problems);
        examined.guarantees[0].clone()
    };
    let promised = said("").await;
    assert!(matches!(promised.class, Class::Keyed { readable: true, .. }));
    assert_eq!(promised.on_unknown(), "resend for 12h, then look up; another content is held in doubt");
    let stated = said("class: upsert").await;
    assert_eq!(
        (stated.class, stated.gives, stated.key_window_ms()),
        (Class::Upsert, Require::ExactlyOnce, None)
    );
    assert_eq!(stated.on_unknown(), "look up; another content is held in doubt");
    let blind = said("class: neither").await;
    assert_eq!((blind.letter(), blind.gives), ('N', Require::AtMostOnce));
    assert_eq!(blind.on_unknown(), "hold in doubt");
}
