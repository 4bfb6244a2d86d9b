//! The company in the ERP: its customers, what it sells, and the invoices that are posted to it.

use std::{collections::VecDeque, sync::Arc};

use anyhow::Context as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use testkit::tryton::{self, Customer, Tryton};

/// The code of the customer who gets all invoices.
pub const CUSTOMER: &str = "CUST-1";
const INVOICE: &str = include_str!("../../../../schemas/examples/invoice.json");

/// One event: an invoice of so many widgets at 10.00.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    pub reference: String,
    pub quantity: u64,
}

/// Tryton with its company, and the customer who gets all invoices.
pub struct Company {
    pub tryton: Arc<Tryton>,
    pub books: tryton::Company,
    pub customer: Customer,
    pub today: Value,
    issued: Mutex<Vec<Bill>>,
}

impl Bill {
    /// The event, as the gateway takes it.
    pub fn event(&self, today: &Value) -> anyhow::Result<Value> {
        let mut event: Value = serde_json::from_str(INVOICE).context("the example of an invoice")?;
        let money = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let total = money(&self.total());
        let data = event["data"].as_object_mut().context("the example has no data")?;
        data.insert("id".into(), json!(self.reference));
        data.insert("issued_on".into(), json!(day(today)));
        data.insert("due_on".into(), json!(day(today)));
        data.insert("taxes".into(), json!([]));
        data.insert("tax_total".into(), money("0.00"));
        data.insert("discount_total".into(), money("0.00"));
        for field in ["subtotal", "total", "amount_due"] {
            data.insert(field.into(), total.clone());
        }
        let line = json!({
            "id": "1", "number": 1, "product_id": "WIDGET", "description": "Widget",
            "quantity": {"value": self.quantity.to_string(), "unit": "C62"},
            "unit_price": money("10.00"), "discounts": [], "taxes": [], "amount": total,
        });
        data.insert("lines".into(), json!([line]));
        Ok(event)
    }

    /// What it comes to, with two decimals.
    pub fn total(&self) -> String {
        format!("{}.00", self.quantity * 10)
    }
}

impl Company {
    /// Starts the ERP. Blocks for a while on first use, when it is installed.
    pub async fn start() -> anyhow::Result<Self> {
        let tryton = tokio::task::spawn_blocking(Tryton::start).await.context("the start panicked")??;
        let user = tryton.client().read("res.user.application", 1, &["create_date"]).await?;
        let part = |name: &str| user["create_date"][name].clone();
        let today =
            json!({"__class__": "date", "year": part("year"), "month": part("month"), "day": part("day")});
        let books = tryton::Company::of(tryton.client(), today.clone()).await?;
        let customer = books.customer(CUSTOMER, "Muster GmbH").await?;
        Ok(Self { tryton: Arc::new(tryton), books, customer, today, issued: Mutex::default() })
    }

    /// The events of a run, none of which is issued yet.
    pub fn bills(&self, count: u32) -> VecDeque<Bill> {
        let bill = |n: u32| Bill { reference: format!("INV-{n}"), quantity: u64::from(n % 7) + 1 };
        (1..=count).map(bill).collect()
    }

    /// The gateway took it.
    pub fn issue(&self, bills: &[Bill]) {
        self.issued.lock().extend_from_slice(bills);
    }

    pub fn issued(&self) -> Vec<Bill> {
        self.issued.lock().clone()
    }
}

fn day(date: &Value) -> String {
    let part = |name: &str| date[name].as_u64().unwrap_or_default();
    format!("{:04}-{:02}-{:02}", part("year"), part("month"), part("day"))
}
