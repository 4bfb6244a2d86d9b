//! The bundled feed: order-to-cash stories of three tenants, as their systems would send them.
//!
//! Its bodies are the examples of schemas/ and the payloads in connectors/*/tests, with their ids, amounts and instants
//! changed. Every run makes new ids.

use serde_json::{Value, json};

const CUSTOMER: &str = include_str!("../../../../schemas/examples/customer.json");
const ORDER: &str = include_str!("../../../../schemas/examples/order.json");
const INVOICE: &str = include_str!("../../../../schemas/examples/invoice.json");
const PAYMENT: &str = include_str!("../../../../schemas/examples/payment.json");
const STRIPE_CUSTOMER: &str = include_str!("../../../../connectors/stripe/tests/customer.created.json");
const STRIPE_INVOICE: &str = include_str!("../../../../connectors/stripe/tests/api.invoice.finalized.json");
const STRIPE_PAYMENT: &str =
    include_str!("../../../../connectors/stripe/tests/payment_intent.succeeded.json");
const SHOPIFY_CUSTOMER: &str = include_str!("../../../../connectors/shopify/tests/customers.create.json");
const SHOPIFY_ORDER: &str = include_str!("../../../../connectors/shopify/tests/orders.create.json");

/// The tenants of the example configuration.
pub(crate) const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
/// The one of them whose ERP honours no key and cannot be looked up: what is unknown there stays unknown.
pub(crate) const WITHOUT_MEANS: &str = "initech";
/// Every so many stories a late, older version of an invoice comes after its newer one.
const LATE_EVERY: usize = 25;
/// Every so many stories the ERP has a reason to refuse an invoice: its date falls into a year that is closed.
const REFUSED_EVERY: usize = 40;
/// The day before which the demo's ERPs have closed their books.
pub(crate) const BOOKS_CLOSED_BEFORE: &str = "2020-01-01";

/// Something that a tenant's system sends.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A canonical event for `POST /v1/events`.
    Canonical(Value),
    /// A vendor's webhook for `POST /v1/webhooks/{tenant}/{connection}`.
    Webhook {
        /// The connection.
        connection: &'static str,
        /// Headers besides the signature.
        headers: Vec<(String, String)>,
        /// The body, as it is signed.
        body: String,
    },
}

/// The events of one tenant that belong together, in their order.
pub(crate) struct Story {
    pub(crate) tenant: &'static str,
    pub(crate) items: Vec<Item>,
}

/// A number of events, as stories, the tenants taking turns.
pub(crate) struct Feed {
    run: String,
    left: usize,
    next: usize,
}

impl Feed {
    /// A feed of `events` events.
    pub(crate) fn new(events: u32) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string()[..6].to_owned();
        Self { run, left: events as usize, next: 0 }
    }
}

impl Iterator for Feed {
    type Item = Story;

    fn next(&mut self) -> Option<Story> {
        if self.left == 0 {
            return None;
        }
        let (tenant, number) = (TENANTS[self.next % 3], self.next / 3);
        self.next += 1;
        let names = Names { run: &self.run, number };
        let mut items = match (tenant, number % 2) {
            ("acme", 1) => stripe(&names),
            ("globex", 1) => shopify(&names),
            ("initech", _) => canonical(&names, false),
            _ => canonical(&names, true),
        };
        items.truncate(self.left);
        self.left -= items.len();
        Some(Story { tenant, items })
    }
}

struct Names<'a> {
    run: &'a str,
    number: usize,
}

impl Names<'_> {
    fn id(&self, kind: &str) -> String {
        format!("{kind}-{}-{:05}", self.run, self.number)
    }

    /// A number that no other story of any run is likely to have.
    fn serial(&self) -> u64 {
        u64::from_str_radix(self.run, 16).unwrap_or(0) * 1_000_000 + self.number as u64
    }
}

/// Customer, order, invoice, payment. With `updates`, entities change: a target without any protection can only be given
/// new documents, so its tenant sends none.
fn canonical(names: &Names<'_>, updates: bool) -> Vec<Item> {
    let ids = json!({
        "customer_id": names.id("CUST"), "order_id": names.id("ORD"), "invoice_id": names.id("INV"),
    });
    let refused = names.number % REFUSED_EVERY == REFUSED_EVERY - 2;
    let late = updates && names.number % LATE_EVERY == LATE_EVERY - 1;
    let invoice = |verb: &str, version: i64| {
        let mut event = event(INVOICE, &format!("invoice.{verb}"), &names.id("INV"), version, &ids);
        if refused {
            event["data"]["issued_on"] = json!("2019-12-31");
        }
        event
    };
    let mut all = vec![
        event(CUSTOMER, "customer.created", &names.id("CUST"), 1, &ids),
        event(ORDER, "order.created", &names.id("ORD"), 1, &ids),
    ];
    if updates {
        all.push(event(ORDER, "order.confirmed", &names.id("ORD"), 2, &ids));
    }
    all.push(invoice("posted", 2));
    all.push(event(PAYMENT, "payment.received", &names.id("PAY"), 1, &ids));
    if updates {
        all.push(invoice("paid", 3));
    }
    if late {
        all.push(invoice("updated", 1));
    }
    all.into_iter().map(Item::Canonical).collect()
}

fn event(example: &str, event_type: &str, id: &str, version: i64, ids: &Value) -> Value {
    let mut event = parse(example);
    event["type"] = json!(event_type);
    event["source"] = json!("shop-demo");
    event["source_version"] = json!(version);
    if let Some(fields) = event.as_object_mut() {
        fields.remove("id");
    }
    event["data"]["id"] = json!(id);
    // Each version says something of its own, so that every event must have its own effect.
    event["data"]["extensions"]["demo_version"] = json!(version.to_string());
    for (name, value) in ids.as_object().into_iter().flatten() {
        if event["data"].get(name).is_some() {
            event["data"][name] = value.clone();
        }
    }
    event
}

fn stripe(names: &Names<'_>) -> Vec<Item> {
    let now = crate::demo::sender::unix_seconds();
    let customer = names.id("cus");
    let webhook = |example: &str, id: String, field: Option<&str>| {
        let mut body = parse(example);
        body["id"] = json!(format!("evt_{id}"));
        body["created"] = json!(now);
        let object = &mut body["data"]["object"];
        object["id"] = json!(id);
        object["created"] = json!(now);
        if let Some(field) = field {
            object[field] = json!(customer);
        }
        Item::Webhook { connection: "stripe", headers: Vec::new(), body: body.to_string() }
    };
    vec![
        webhook(STRIPE_CUSTOMER, customer.clone(), None),
        webhook(STRIPE_INVOICE, names.id("in"), Some("customer")),
        webhook(STRIPE_PAYMENT, names.id("pi"), Some("customer")),
    ]
}

fn shopify(names: &Names<'_>) -> Vec<Item> {
    let serial = names.serial();
    let webhook = |example: &str, kind: &str| {
        let example = parse(example);
        let mut body = example["body"].clone();
        body["id"] = json!(serial);
        let mut headers: Vec<(String, String)> = example["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .filter(|(name, _)| name != "x-shopify-webhook-id")
            .collect();
        headers.push(("x-shopify-webhook-id".into(), format!("{kind}-{serial}")));
        Item::Webhook { connection: "shopify", headers, body: body.to_string() }
    };
    vec![webhook(SHOPIFY_CUSTOMER, "customer"), webhook(SHOPIFY_ORDER, "order")]
}

/// The examples are part of the program, and a test reads them all.
fn parse(example: &str) -> Value {
    serde_json::from_str(example).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn makes_as_many_events_as_asked_for_and_none_twice() {
        for events in [1, 7, 500] {
            let mut seen = HashSet::new();
            for story in Feed::new(events) {
                for item in story.items {
                    let text = match item {
                        Item::Canonical(event) => {
                            assert!(event["data"]["id"].is_string(), "{event}");
                            event.to_string()
                        }
                        Item::Webhook { body, connection, headers } => {
                            let body: Value = serde_json::from_str(&body).expect("a JSON body");
                            assert!(!body["id"].is_null());
                            format!("{connection} {headers:?} {body}")
                        }
                    };
                    assert!(seen.insert((story.tenant, text)));
                }
            }
            assert_eq!(seen.len(), events as usize);
        }
    }
}
