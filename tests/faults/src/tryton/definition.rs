//! The definition that the sinks get: the one of connectors/, but for the body of an invoice.
//!
//! Sinks post an event's data as it is. Until they run `connectors/tryton/mappings/invoice.vrl`, which makes Tryton's shape of these
//! very events, the body is written here, with the ids of this company: all else, what is looked for, the steps, and what answers mean, is as it is shipped.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::company::Company;

const SHIPPED: &str = include_str!("../../../../connectors/tryton.yaml");
const COMPARE: &str = "compare: {$.total: $.total_amount.decimal, $.document.invoice_date: $.invoice_date}";
const BODY: &str = "body: \"{{payload.document}}\"";

pub async fn of(company: &Company) -> anyhow::Result<String> {
    let body = body(company)?;
    let (before, rest) = SHIPPED.split_once("\n  invoice:\n").context("the definition has no invoice")?;
    anyhow::ensure!(rest.contains(COMPARE) && rest.contains(BODY), "the definition has changed");
    let invoice = rest.replacen(COMPARE, "compare: {$.total.amount: $.total_amount.decimal}", 1);
    let invoice = invoice.replacen(BODY, &format!("body: {body}"), 1);
    Ok(format!("{before}\n  invoice:\n{invoice}"))
}

/// An invoice of one line.
fn body(company: &Company) -> anyhow::Result<Value> {
    let mut body = company.books.invoice_of("{{ref}}", company.customer, 1);
    let line = body["lines"][0][1][0].as_object_mut().context("an invoice without a line")?;
    line.insert("quantity".into(), json!("{{payload.lines[0].quantity.value}}"));
    line.insert("description".into(), json!("{{payload.lines[0].description}}"));
    line["unit_price"]["decimal"] = json!("{{payload.lines[0].unit_price.amount}}");
    Ok(body)
}
