//! The shipped definition of Stripe against localstripe, as far as that has what Stripe has: products, whose id may be given. It has no
//! search, so customers and invoices are not tried here.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use delivery::{Answer, Class, ErrorClass, OnUnknown, ReadBack, Scope};
use event::{EventId, PostingKey, RouteId};
use serde_json::{Value, json};
use target::{
    Access, Account, Authenticator, ClassChoice, Client, ClientOptions, Connector, Egress, Endpoint, Posting,
    Secrets,
};
use testkit::localstripe::LocalStripe;
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(5);

struct Rig {
    stripe: LocalStripe,
    client: Client,
}

impl Rig {
    async fn start() -> Self {
        let stripe = tokio::task::spawn_blocking(LocalStripe::start).await.unwrap().unwrap();
        let client = Client::new(ClientOptions::default()).unwrap();
        Self { stripe, client: client.under(&Egress { private: true, ..Egress::default() }) }
    }

    fn endpoint(&self, class: Option<ClassChoice>, token: &str) -> Endpoint {
        let connector = Connector::embedded("stripe").unwrap();
        let (base_url, values) = (Some(self.stripe.url()), BTreeMap::new());
        let secrets = Secrets::default().with("token", &[token.into()]);
        let access =
            Access { of: ("acme", "stripe"), base_url, values: &values, secrets: &secrets, store: None };
        let auth = Arc::new(Authenticator::new(&connector, &access).unwrap());
        let account =
            Account { base_url, class, on_unknown: OnUnknown::Park, auth: Some(&auth), values: &values };
        Endpoint::new(&connector, "product", &account).unwrap()
    }

    async fn product(&self, id: &str) -> Value {
        let url = format!("{}/v1/products/{id}", self.stripe.url());
        let get = reqwest::Client::new().get(url).bearer_auth(self.stripe.api_key());
        get.send().await.unwrap().json().await.unwrap()
    }
}

fn posting(endpoint: &Endpoint, event: u128, payload: &Value) -> Posting {
    let key = PostingKey { event: EventId(Uuid::from_u128(event)), route: RouteId(1), generation: 0 };
    endpoint.posting(key, "PROD-1", 1, payload.to_string().into()).unwrap()
}

#[tokio::test]
async fn a_product_is_made_once_found_and_changed() {
    let rig = Rig::start().await;
    for class in [None, Some(ClassChoice::Upsert)] {
        let endpoint = rig.endpoint(class, rig.stripe.api_key());
        assert_eq!(endpoint.class() == Class::Upsert, class.is_some());
        let first = posting(&endpoint, 1, &json!({"name": "Bolt & Söhne", "metadata": {"sku": "HB-M8"}}));
        let applied = Answer::Applied { document: Some("PROD-1".into()) };
        assert_eq!(rig.client.send(&endpoint, &first, (1, None), TIMEOUT).await, applied);
        assert_eq!(
            rig.client.send(&endpoint, &first, (2, None), TIMEOUT).await,
            applied,
            "a repeat is a look"
        );
        let seen = rig.client.read_back(&endpoint, &first, TIMEOUT).await.0;
        assert_eq!(seen, ReadBack::Matches { document: Some("PROD-1".into()) });
        let stands = rig.product("PROD-1").await;
        assert_eq!((&stands["name"], &stands["metadata"]["sku"]), (&json!("Bolt & Söhne"), &json!("HB-M8")));

        let second = posting(&endpoint, 2, &json!({"name": "Bolt M8"}));
        assert_eq!(rig.client.send(&endpoint, &second, (1, None), TIMEOUT).await, applied);
        assert_eq!(rig.product("PROD-1").await["name"], "Bolt M8");
    }
}

#[tokio::test]
async fn what_is_refused_is_understood() {
    let rig = Rig::start().await;
    let endpoint = rig.endpoint(None, rig.stripe.api_key());
    let nameless = posting(&endpoint, 1, &json!({"description": "no name"}));
    let answer = rig.client.send(&endpoint, &nameless, (1, None), TIMEOUT).await;
    assert!(
        matches!(&answer, Answer::Refused(reason) if reason.class == ErrorClass::Validation),
        "{answer:?}"
    );
    let seen = rig.client.read_back(&endpoint, &nameless, TIMEOUT).await.0;
    assert_eq!(seen, ReadBack::Absent);

    let stranger = rig.endpoint(None, "nobody");
    let answer = rig.client.send(&stranger, &nameless, (1, None), TIMEOUT).await;
    let expired = |answer: &Answer| match answer {
        Answer::Again { reason, scope: Scope::Connection, .. } => reason.class == ErrorClass::AuthExpired,
        _ => false,
    };
    assert!(expired(&answer), "{answer:?}");
}
