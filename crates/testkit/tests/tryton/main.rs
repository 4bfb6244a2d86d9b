//! The kit's ERP: what a company does in it, what that costs, and how it refuses.
#![allow(clippy::unwrap_used)]

mod errors;
mod recorded;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::tryton::{Company, Invoice, Tryton, date};

/// Starts a server and looks up its company.
async fn company() -> (Tryton, Company) {
    let tryton = tokio::task::spawn_blocking(Tryton::start).await.unwrap().unwrap();
    let company = Company::of(tryton.client(), today(tryton.client()).await).await.unwrap();
    (tryton, company)
}

/// The server's own day: that of its newest record.
async fn today(client: &testkit::tryton::Client) -> Value {
    let user = client.read("res.user.application", 1, &["create_date"]).await.unwrap();
    let part = |name: &str| user["create_date"][name].as_u64().unwrap();
    date(part("year") as u16, part("month") as u8, part("day") as u8)
}

fn invoice(reference: &str, state: &str, booked: u64) -> Invoice {
    Invoice { reference: reference.to_owned(), state: state.to_owned(), lines: 1, booked }
}

#[tokio::test]
async fn from_the_order_to_the_cash() {
    let (tryton, company) = company().await;
    let client = tryton.client();
    let customer = company.customer("C-1", "Müller Anlagenbau GmbH").await.unwrap();

    let sale = company.sale("SO-1", customer, 3).await.unwrap();
    assert_eq!(client.press("sale.sale", sale, "quote").await.unwrap(), "quotation");
    client.press("sale.sale", sale, "confirm").await.unwrap();
    // a second time changes nothing: the server may have processed it on confirmation
    assert_eq!(client.press("sale.sale", sale, "process").await.unwrap(), "processing");
    assert_eq!(client.press("sale.sale", sale, "process").await.unwrap(), "processing");
    let read = client.read("sale.sale", sale, &["invoices"]).await.unwrap();
    let bill = read["invoices"][0].as_u64().unwrap();
    assert_eq!(tryton.invoices().unwrap(), [invoice("", "draft", 0)]);

    let facts = json!({ "reference": "INV-1", "invoice_date": today(client).await });
    client.call("PUT", &format!("account.invoice/{bill}"), Some(&facts)).await.unwrap().json().unwrap();
    assert_eq!(client.press("account.invoice", bill, "post").await.unwrap(), "posted");
    assert_eq!(tryton.invoices().unwrap(), [invoice("INV-1", "posted", 1)]);
    let billed = |reference: &str, customer: &str, amount: &str| testkit::tryton::Billed {
        reference: reference.to_owned(),
        customer: customer.to_owned(),
        amount: amount.to_owned(),
    };
    assert_eq!(tryton.billed().unwrap(), [billed("INV-1", "C-1", "30.00")]);

    company.payment("PAY-1", customer, bill, "30.00").await.unwrap();
    assert_eq!(tryton.invoices().unwrap(), [invoice("INV-1", "paid", 1)]);
}

/// The raw cost of what a posting needs, which the sink's own is compared with.
#[tokio::test]
async fn what_its_calls_cost() {
    const CALLS: u32 = 5;
    let (tryton, company) = company().await;
    let client = tryton.client();
    let customer = company.customer("C-0", "first, not measured").await.unwrap();
    let mut spent = [Duration::ZERO; 4];
    for n in 0..CALLS {
        let began = Instant::now();
        company.customer(&format!("C-{n}-of-5"), "a customer").await.unwrap();
        let created = Instant::now();
        let reference = format!("INV-{n}");
        let id = company.invoice(&reference, customer, 1).await.unwrap();
        let drafted = Instant::now();
        assert_eq!(client.press("account.invoice", id, "post").await.unwrap(), "posted");
        let posted = Instant::now();
        assert_eq!(client.only("account.invoice", json!([["reference", "=", reference]])).await.unwrap(), id);
        let parts = [created - began, drafted - created, posted - drafted, posted.elapsed()];
        spent.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
    }
    let [party, draft, post, lookup] = spent.map(|sum| (sum / CALLS).as_millis());
    println!("per call: customer {party} ms, invoice {draft} ms, post {post} ms, lookup {lookup} ms");
    assert_eq!(tryton.invoices().unwrap().len(), 5);
    assert!(post > 0, "posting took no time");
}

/// The same reference twice is two invoices, and a field that a sale lacks until it changes.
#[tokio::test]
async fn it_keeps_no_double_out_and_tells_no_write_date_of_a_new_record() {
    let (tryton, company) = company().await;
    let customer = company.customer("C-1", "Müller").await.unwrap();
    company.invoice("INV-1", customer, 1).await.unwrap();
    company.invoice("INV-1", customer, 1).await.unwrap();
    assert_eq!(tryton.invoices().unwrap(), [invoice("INV-1", "draft", 0), invoice("INV-1", "draft", 0)]);

    let sale = company.sale("SO-1", customer, 1).await.unwrap();
    let client = tryton.client();
    assert_eq!(client.read("sale.sale", sale, &["write_date"]).await.unwrap()["write_date"], Value::Null);
    client.press("sale.sale", sale, "quote").await.unwrap();
    let date = client.read("sale.sale", sale, &["write_date"]).await.unwrap();
    assert_eq!(date["write_date"]["__class__"], "datetime");
}
