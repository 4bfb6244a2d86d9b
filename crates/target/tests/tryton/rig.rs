//! A Tryton with a proxy before it, and what is posted to it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use delivery::{Answer, OnUnknown, ReadBack};
use event::{EventId, PostingKey, RouteId};
use serde_json::{Value, json};
use target::{
    Access, Account, Authenticator, Client, ClientOptions, Connector, Egress, Endpoint, Posting, Secrets,
};
use testkit::{
    free_port,
    toxiproxy::{Direction, Toxic, Toxiproxy},
    tryton::{Tryton, decimal},
};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(30);
const PROXY: &str = "tryton";

pub struct Rig {
    pub tryton: Tryton,
    proxies: Toxiproxy,
    client: Client,
    url: String,
    today: Value,
}

/// A document on its way.
pub struct Trip {
    endpoint: Arc<Endpoint>,
    posting: Posting,
}

impl Trip {
    fn new(endpoint: Arc<Endpoint>, reference: &str, payload: &Value) -> Self {
        let key = PostingKey { event: EventId(Uuid::from_u128(1)), route: RouteId(1), generation: 0 };
        let posting = endpoint.posting(key, reference, 1, Bytes::from(payload.to_string())).unwrap();
        Self { endpoint, posting }
    }

    /// Another document on the same way: what it refers to is known already.
    pub fn next(&self, reference: &str, payload: &Value) -> Self {
        Self::new(Arc::clone(&self.endpoint), reference, payload)
    }
}

pub fn endpoint(url: &str, object: &str, key: &str) -> Endpoint {
    endpoint_of(&Connector::embedded("tryton").unwrap(), url, object, key)
}

fn endpoint_of(connector: &Connector, url: &str, object: &str, key: &str) -> Endpoint {
    let values = BTreeMap::from([("database".to_owned(), "erp".to_owned())]);
    let access = Access {
        of: ("acme", "erp"),
        base_url: Some(url),
        values: &values,
        secrets: &Secrets::default().with("token", &[key.into()]),
        store: None,
    };
    let auth = Arc::new(Authenticator::new(connector, &access).unwrap());
    let account = Account {
        base_url: Some(url),
        class: None,
        on_unknown: OnUnknown::Park,
        auth: Some(&auth),
        values: &values,
    };
    Endpoint::new(connector, object, &account).unwrap()
}

impl Rig {
    pub async fn start() -> Self {
        let started = tokio::task::spawn_blocking(|| (Tryton::start().unwrap(), Toxiproxy::start().unwrap()));
        let (tryton, proxies) = started.await.unwrap();
        let port = free_port().unwrap();
        proxies.proxy(PROXY, port, &format!("127.0.0.1:{}", tryton.port())).await.unwrap();
        let open = Egress { private: true, ..Egress::default() };
        let client = Client::new(ClientOptions::default()).unwrap().under(&open);
        let user = tryton.client().read("res.user.application", 1, &["create_date"]).await.unwrap();
        let part = |name: &str| user["create_date"][name].as_u64().unwrap();
        let today =
            json!({"__class__": "date", "year": part("year"), "month": part("month"), "day": part("day")});
        Self { tryton, proxies, client, url: format!("http://127.0.0.1:{port}"), today }
    }

    pub fn trip(&self, object: &str, reference: &str, payload: &Value) -> Trip {
        Trip::new(Arc::new(endpoint(&self.url, object, self.tryton.key())), reference, payload)
    }

    /// A document on another way than that of the shipped definition.
    pub fn trip_by(&self, endpoint: Endpoint, reference: &str, payload: &Value) -> Trip {
        Trip::new(Arc::new(endpoint), reference, payload)
    }

    /// As if the definition did not look before the first attempt, so that the write is the first request.
    pub fn blind_trip(&self, object: &str, reference: &str, payload: &Value) -> Trip {
        let yaml = std::fs::read_to_string(testkit::workspace_root().join("connectors/tryton.yaml")).unwrap();
        let yaml = yaml.replace("lookup_first: always", "lookup_first: on_retry");
        let connector = Connector::parse("tryton", &yaml).unwrap();
        let endpoint = endpoint_of(&connector, &self.url, object, self.tryton.key());
        Trip::new(Arc::new(endpoint), reference, payload)
    }

    pub async fn send(&self, trip: &Trip) -> Answer {
        self.client.send(&trip.endpoint, &trip.posting, (1, None), TIMEOUT).await
    }

    /// What a sink does about an unknown outcome: a look, then on from what it finds.
    pub async fn look_and_go_on(&self, trip: &Trip) -> (ReadBack, Answer) {
        let (seen, standing) = self.client.read_back(&trip.endpoint, &trip.posting, TIMEOUT).await;
        let answer = self.client.send(&trip.endpoint, &trip.posting, (2, standing.as_ref()), TIMEOUT).await;
        (seen, answer)
    }

    /// Looks, then loses every answer of what follows from it.
    pub async fn look_and_lose_what_follows(&self, trip: &Trip) -> (ReadBack, Answer) {
        let (seen, standing) = self.client.read_back(&trip.endpoint, &trip.posting, TIMEOUT).await;
        self.lose_answers().await;
        let answer = self.client.send(&trip.endpoint, &trip.posting, (2, standing.as_ref()), TIMEOUT).await;
        self.heal().await;
        (seen, answer)
    }

    /// Sends, and must succeed.
    pub async fn bring(&self, object: &str, reference: &str, payload: &Value) -> String {
        applied(self.send(&self.trip(object, reference, payload)).await)
    }

    /// Every answer is lost from now on, after the server has done what it was asked for.
    pub async fn lose_answers(&self) {
        self.proxies.poison(PROXY, Direction::Down, Toxic::LimitBytes(1)).await.unwrap();
    }

    pub async fn heal(&self) {
        self.proxies.heal(PROXY).await.unwrap();
    }

    /// What a case of the base mappings expects: what they make of an event. Its days are today, for the books are open then.
    pub fn mapped(&self, case: &str) -> Value {
        fn today(value: &mut Value, day: &Value) {
            match value {
                Value::Object(fields) if fields.get("__class__") == Some(&json!("date")) => {
                    *value = day.clone()
                }
                Value::Object(fields) => fields.values_mut().for_each(|value| today(value, day)),
                Value::Array(items) => items.iter_mut().for_each(|value| today(value, day)),
                _ => {}
            }
        }
        let file = format!("connectors/tryton/mappings/tests/{case}.yaml");
        let yaml = std::fs::read_to_string(testkit::workspace_root().join(file)).unwrap();
        let mut case: Value = serde_saphyr::from_str(&yaml).unwrap();
        let mut payload = case["expected"].take();
        today(&mut payload, &self.today);
        payload
    }

    pub fn customer(&self, reference: &str, name: &str, city: &str) -> Value {
        json!({
            "name": name,
            "address": {"street": "Hauptstraße 1", "postal_code": "89073", "city": city},
            "address_id": {"$lookup": "customer", "ref": reference, "get": "$.addresses[0].id", "optional": true},
        })
    }

    /// An invoice of so many widgets at 10.00.
    pub fn invoice(&self, reference: &str, customer: &str, quantity: u64) -> Value {
        let line = json!({
            "type": "line",
            "product": {"$lookup": "product", "ref": "WIDGET", "get": "$.products[0]"},
            "account": {"$lookup": "accounts", "ref": "1", "get": "$.default_category_account_revenue"},
            "unit": {"$lookup": "product", "ref": "WIDGET", "get": "$.sale_uom"},
            "quantity": quantity,
            "unit_price": decimal("10.00"),
            "description": "Widget",
        });
        let document = json!({
            "type": "out",
            "reference": reference,
            "party": {"$lookup": "customer", "ref": customer},
            "invoice_address": {"$lookup": "customer", "ref": customer, "get": "$.addresses[0].id"},
            "journal": {"$lookup": "journal", "ref": "REV"},
            "account": {"$lookup": "accounts", "ref": "1", "get": "$.default_account_receivable"},
            "currency": {"$lookup": "currency", "ref": "EUR"},
            "payment_term": {"$lookup": "customer", "ref": customer, "get": "$.customer_payment_term", "optional": true},
            "invoice_date": self.today,
            "lines": [["create", [line]]],
        });
        json!({"document": document, "total": format!("{}.00", quantity * 10)})
    }

    /// A sale of so many widgets at 10.00.
    pub fn order(&self, reference: &str, customer: &str, quantity: u64) -> Value {
        let address = json!({"$lookup": "customer", "ref": customer, "get": "$.addresses[0].id"});
        let line = json!({
            "product": {"$lookup": "product", "ref": "WIDGET", "get": "$.products[0]"},
            "unit": {"$lookup": "unit", "ref": "u"},
            "quantity": quantity,
            "unit_price": decimal("10.00"),
        });
        let document = json!({
            "reference": reference,
            "party": {"$lookup": "customer", "ref": customer},
            "invoice_address": address,
            "shipment_address": address,
            "currency": {"$lookup": "currency", "ref": "EUR"},
            "sale_date": self.today,
            "invoice_method": "manual",
            "shipment_method": "manual",
            "lines": [["create", [line]]],
        });
        json!({"document": document, "total": format!("{}.00", quantity * 10)})
    }

    pub fn payment(&self, reference: &str, customer: &str, invoice: &str, amount: &str) -> Value {
        let line = json!({
            "number": reference,
            "date": self.today,
            "amount": decimal(amount),
            "party": {"$lookup": "customer", "ref": customer},
            "account": {"$lookup": "posted_invoice", "ref": invoice, "get": "$.account"},
            "related_to": {"$lookup": "posted_invoice", "ref": invoice, "prefix": "account.invoice,"},
        });
        let document = json!({
            "name": reference,
            "journal": {"$lookup": "statement_journal", "ref": "Bank"},
            "date": self.today,
            "total_amount": decimal(amount),
            "lines": [["create", [line]]],
        });
        json!({"document": document})
    }
}

/// The document's own id.
pub fn applied(answer: Answer) -> String {
    match answer {
        Answer::Applied { document: Some(document) } => document.to_string(),
        other => panic!("{other:?}"),
    }
}
