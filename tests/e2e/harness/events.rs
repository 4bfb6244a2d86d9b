//! What sources send, and what the gateway answers.

use serde_json::{Value, json};

const CUSTOMER: &str = include_str!("../../../schemas/examples/customer.json");
const PAYMENT: &str = include_str!("../../../schemas/examples/payment.json");
const INVOICE: &str = include_str!("../../../schemas/examples/invoice.json");

/// Version 1 of a customer creates it, every later one updates it.
pub fn customer(id: &str, version: u64) -> Value {
    event(CUSTOMER, ["customer.created", "customer.updated"], id, version)
}

/// The same of a payment.
pub fn payment(id: &str, version: u64) -> Value {
    event(PAYMENT, ["payment.received", "payment.updated"], id, version)
}

/// An invoice, posted.
pub fn invoice(id: &str) -> Value {
    event(INVOICE, ["invoice.posted"; 2], id, 1)
}

fn event(example: &str, types: [&str; 2], id: &str, version: u64) -> Value {
    let mut event: Value = serde_json::from_str(example).unwrap();
    event["type"] = json!(types[usize::from(version > 1)]);
    event["source_version"] = json!(version);
    event["data"]["id"] = json!(id);
    // Each version says something else: a target that is looked up shows which one it has.
    event["data"]["extensions"]["revision"] = json!(version.to_string());
    event
}

/// An answer of the gateway.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: reqwest::Response) -> reqwest::Result<Self> {
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after");
        let retry_after = header.map(|value| value.to_str().unwrap().parse().unwrap());
        Ok(Self { status, retry_after, body: response.json().await? })
    }

    /// The ids of the accepted events, in the order they were sent.
    pub fn accepted(&self) -> Vec<String> {
        let accepted = self.body["accepted"].as_array().into_iter().flatten();
        accepted.map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
    }
}
