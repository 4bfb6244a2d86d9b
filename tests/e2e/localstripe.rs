//! Real input: localstripe, a server that nobody here wrote, sends its own signed webhooks, and each business object of
//! it becomes exactly one document in the ERP.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, routing::post};
use sandbox::Collection;
use serde_json::Value;
use testkit::localstripe::LocalStripe;

use crate::harness::{
    World, blocking,
    tenants::{STRIPE_SECRET, Target, Tenant},
    until,
};

const CUSTOMERS: usize = 12;

/// Every webhook that localstripe sent, recorded beside the gateway. It is told after the gateway has answered.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Value>>>);

impl Recorder {
    async fn listen(&self) -> String {
        let recorder = self.clone();
        let keep = move |Json(webhook): Json<Value>| {
            recorder.0.lock().unwrap().push(webhook);
            std::future::ready(())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, Router::new().route("/", post(keep))).into_future());
        url
    }

    /// The objects that webhooks of these types were about.
    fn about(&self, types: &[&str]) -> BTreeSet<String> {
        let webhooks = self.0.lock().unwrap();
        let of_type = webhooks.iter().filter(|w| types.contains(&w["type"].as_str().unwrap()));
        of_type.map(|w| w["data"]["object"]["id"].as_str().unwrap().to_owned()).collect()
    }

    fn count(&self, types: &[&str]) -> usize {
        let webhooks = self.0.lock().unwrap();
        webhooks.iter().filter(|w| types.contains(&w["type"].as_str().unwrap())).count()
    }
}

/// What was created over Stripe's API.
#[derive(Default)]
struct Created {
    customers: BTreeSet<String>,
    invoices: BTreeSet<String>,
    payments: BTreeSet<String>,
}

async fn business(stripe: &LocalStripe) -> Created {
    let mut created = Created::default();
    let price = stripe.monthly_price("Maintenance & care", 10_000).await.unwrap();
    for number in 0..CUSTOMERS {
        let name = format!("Müller & Söhne {number}");
        let customer = stripe.customer(&name, &format!("k{number}@mueller.example")).await.unwrap();
        if number % 2 == 0 {
            let card = stripe.card(&customer).await.unwrap();
            created.invoices.insert(stripe.paid_invoice(&customer, &price, 2).await.unwrap());
            created.payments.insert(stripe.payment(&customer, &card, 11_900).await.unwrap());
        }
        created.customers.insert(customer);
    }
    created
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_its_signed_webhooks_becomes_one_document() {
    let acme = Tenant::new("acme", Target::Keyed);
    let world = World::start(std::slice::from_ref(&acme)).await;
    let gateway = world.gateway().await;
    let sink = world.sink("ledger");
    let stripe = blocking(|| LocalStripe::start().unwrap()).await;
    let recorder = Recorder::default();
    let door = format!("{}/v1/webhooks/acme/stripe", gateway.door.url);
    stripe.register_webhook("gateway", &door, STRIPE_SECRET).await.unwrap();
    stripe.register_webhook("recorder", &recorder.listen().await, STRIPE_SECRET).await.unwrap();
    let created = business(&stripe).await;

    const CUSTOMER: [&str; 2] = ["customer.created", "customer.updated"];
    const INVOICE: [&str; 1] = ["invoice.payment_succeeded"];
    const PAYMENT: [&str; 1] = ["payment_intent.succeeded"];
    // An invoice is paid by a payment of its own.
    let payments = created.payments.len() + created.invoices.len();
    until("all webhooks", async || {
        recorder.about(&CUSTOMER[..1]) == created.customers
            && recorder.about(&CUSTOMER[1..]).len() == created.payments.len()
            && recorder.about(&INVOICE) == created.invoices
            && recorder.about(&PAYMENT).len() == payments
    })
    .await;
    assert!(recorder.about(&PAYMENT).is_superset(&created.payments));

    let sent = recorder.count(&CUSTOMER) + recorder.count(&INVOICE) + recorder.count(&PAYMENT);
    let taken =
        async |result| gateway.admin.metric("counterfoil_gateway_webhooks_total", result).await as usize;
    let (all, accepted, ignored) = (taken("").await, taken("\"accepted\"").await, taken("\"ignored\"").await);
    assert_eq!((accepted, ignored), (sent, all - sent), "{}", gateway.process.tail());
    until("an outcome of every webhook", async || {
        assert!(sink.process.status().unwrap().is_none(), "it ended: {}", sink.process.tail());
        world.outcomes.by_event().len() >= sent
    })
    .await;
    let events: Vec<String> = world.outcomes.by_event().into_keys().collect();
    assert_eq!(events.len(), sent, "one event of each webhook that is of interest");
    world.proven(&acme, &events).await;
    let documents = async |collection| world.erp.documents("acme", collection).await as usize;
    assert_eq!(documents(Collection::Customers).await, CUSTOMERS);
    assert_eq!(documents(Collection::Invoices).await, created.invoices.len());
    assert_eq!(documents(Collection::Payments).await, payments);
    assert_eq!(
        world.erp.totals("acme").await.documents as usize,
        CUSTOMERS + created.invoices.len() + payments
    );
    let named: BTreeSet<String> =
        world.erp.effects("acme").await.into_iter().map(|row| row.external_id).collect();
    let all = created.customers.iter().chain(&created.invoices).chain(&created.payments);
    assert!(all.clone().all(|id| named.contains(id)), "{named:?}");
    assert!(world.topics.dead_letters(Some(&acme.id())).await.is_empty());
    println!("{sent} webhooks, {} documents", named.len());
    sink.drains().await;
}
