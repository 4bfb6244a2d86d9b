//! The kit's Stripe: its webhooks arrive and are signed.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use testkit::localstripe::LocalStripe;
use testkit::{wait_until, workspace_root};

const SECRET: &str = "whsec_of_the_test";

/// Signature header and body of each webhook, as they came.
type Received = Arc<Mutex<Vec<(String, Bytes)>>>;

async fn receiver() -> (String, Received) {
    let received = Received::default();
    let kept = received.clone();
    let keep = move |headers: HeaderMap, body: Bytes| {
        let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
        kept.lock().unwrap().push((signature, body));
        std::future::ready(())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, axum::Router::new().route("/hook", post(keep))).into_future());
    (url, received)
}

fn signed_with(secret: &str, header: &str, body: &[u8]) -> bool {
    let (time, signature) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    mac.verify_slice(&hex::decode(signature).unwrap()).is_ok()
}

fn events(received: &Received) -> Vec<Value> {
    received.lock().unwrap().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
}

/// Whether an event of this type about this object has come.
fn has(received: &Received, kind: &str, object: &str) -> bool {
    events(received).iter().any(|event| event["type"] == kind && event["data"]["object"]["id"] == object)
}

#[tokio::test]
async fn what_happens_comes_out_as_signed_webhooks() {
    let stripe = tokio::task::spawn_blocking(LocalStripe::start).await.unwrap().unwrap();
    let (url, received) = receiver().await;
    stripe.register_webhook("test", &url, SECRET).await.unwrap();

    let customer = stripe.customer("Müller Anlagenbau GmbH", "rechnung@mueller.example").await.unwrap();
    let card = stripe.card(&customer).await.unwrap();
    let price = stripe.monthly_price("Maintenance & care", 10_000).await.unwrap();
    let invoice = stripe.paid_invoice(&customer, &price, 2).await.unwrap();
    let payment = stripe.payment(&customer, &card, 11_900).await.unwrap();

    for (kind, object) in [
        ("customer.created", &customer),
        ("customer.updated", &customer),
        ("plan.created", &price),
        ("invoice.created", &invoice),
        ("invoice.payment_succeeded", &invoice),
        ("payment_intent.succeeded", &payment),
    ] {
        let come = || std::future::ready(has(&received, kind, object));
        wait_until(Duration::from_secs(20), kind, come).await.unwrap();
    }
    for (header, body) in received.lock().unwrap().iter() {
        assert!(signed_with(SECRET, header, body), "{header}");
        assert!(!signed_with("another", header, body), "{header}");
    }
    events(&received).iter().for_each(assert_like_the_recorded_one);
    let paid =
        events(&received).into_iter().find(|event| event["type"] == "invoice.payment_succeeded").unwrap();
    assert_eq!(paid["data"]["object"]["amount_paid"], 20_000);
    let created = events(&received).into_iter().find(|event| event["type"] == "customer.created").unwrap();
    assert_eq!(created["data"]["object"]["name"], "Müller Anlagenbau GmbH");
}

/// The payloads that the connector's tests use are those that this server sends.
fn assert_like_the_recorded_one(event: &Value) {
    let kind = event["type"].as_str().unwrap();
    let recorded = workspace_root().join(format!("connectors/stripe/tests/{kind}.json"));
    let recorded =
        std::fs::read_to_string(&recorded).unwrap_or_else(|_| panic!("{} is missing", recorded.display()));
    let recorded: Value = serde_json::from_str(&recorded).unwrap();
    let fields =
        |event: &Value| event["data"]["object"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(event), fields(&recorded), "{kind}");
}

#[tokio::test]
async fn a_refused_call_shows_the_answer() {
    let stripe = tokio::task::spawn_blocking(LocalStripe::start).await.unwrap().unwrap();
    let error = stripe.paid_invoice("cus_unknown", "plan_unknown", 1).await.unwrap_err().to_string();
    assert!(error.contains("404") && error.contains("/v1/subscriptions"), "{error}");
}
