//! A write's body: read within limits, and checked by the few rules this ERP has.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{collection::Collection, refusal::Refusal};

/// Largest body accepted, in bytes.
pub(crate) const BODY_LIMIT: usize = 1 << 20;
/// Read and thrown away beyond the limit, so that the client is done sending and sees the 413 instead of a reset.
const DISCARD_LIMIT: usize = 8 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ID: usize = 200;

/// The whole body, or why not.
pub(crate) async fn read(body: Body) -> Result<Bytes, Refusal> {
    tokio::time::timeout(BODY_TIMEOUT, collect(body)).await.map_err(|_| Refusal::BodyTimeout)?
}

async fn collect(mut body: Body) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > DISCARD_LIMIT as u64 {
        return Err(Refusal::TooLarge(BODY_LIMIT));
    }
    let mut bytes = BytesMut::with_capacity((body.size_hint().lower() as usize).min(BODY_LIMIT));
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::body("the body broke off"))?;
        let Some(data) = frame.data_ref() else { continue };
        length += data.len();
        if length > DISCARD_LIMIT {
            break;
        }
        if length <= BODY_LIMIT {
            bytes.extend_from_slice(data);
        }
    }
    if length > BODY_LIMIT { Err(Refusal::TooLarge(BODY_LIMIT)) } else { Ok(bytes.freeze()) }
}

/// The members the rules look at; the others are only checked to be JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Members<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    customer_id: Option<&'a RawValue>,
    #[serde(borrow)]
    issued_on: Option<&'a RawValue>,
    #[serde(borrow)]
    lines: Option<&'a RawValue>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    #[serde(borrow)]
    total: Option<&'a RawValue>,
    #[serde(borrow)]
    currency: Option<&'a RawValue>,
}

/// A body that passed the rules.
pub(crate) struct Checked {
    pub(crate) external_id: String,
    pub(crate) customer_id: Option<String>,
    pub(crate) issued_on: Option<String>,
    pub(crate) data: Box<RawValue>,
}

/// Checks a body against the rules of its collection. `path_id` is the external id in the URL, if it has one.
pub(crate) fn check(collection: Collection, path_id: Option<&str>, bytes: &[u8]) -> Result<Checked, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::body("the body is not UTF-8"))?.trim();
    if !text.starts_with('{') {
        return Err(Refusal::body("the body is not a JSON object"));
    }
    let members: Members<'_> = serde_json::from_str(text)
        .map_err(|error| Refusal::body(format!("the body cannot be read: {error}")))?;
    let external_id = external_id(members.id, path_id)?;
    let customer_id = text_member("customer_id", members.customer_id)?;
    let issued_on = text_member("issued_on", members.issued_on)?;
    if collection == Collection::Invoices {
        check_invoice(customer_id.as_deref(), members.lines)?;
    }
    if collection == Collection::Payments && members.amount.is_none() {
        return Err(Refusal::field("amount", "a payment has an `amount`"));
    }
    check_currency("currency", text_member("currency", members.currency)?.as_deref())?;
    check_money("amount", members.amount)?;
    check_money("total", members.total)?;
    let data = RawValue::from_string(text.to_owned())
        .map_err(|error| Refusal::body(format!("the body cannot be read: {error}")))?;
    Ok(Checked { external_id, customer_id, issued_on, data })
}

fn external_id(member: Option<&RawValue>, path_id: Option<&str>) -> Result<String, Refusal> {
    let id = text_member("id", member)?;
    let id = match (id, path_id) {
        (Some(id), Some(path)) if id != path => {
            return Err(Refusal::field("id", "`id` is not the external id in the URL"));
        }
        (Some(id), _) => id,
        (None, Some(path)) => path.to_owned(),
        (None, None) => return Err(Refusal::field("id", "the `id` of the source is missing")),
    };
    if id.is_empty() || id.len() > MAX_ID {
        return Err(Refusal::field("id", format!("`id` has 1 to {MAX_ID} bytes")));
    }
    Ok(id)
}

fn check_invoice(customer_id: Option<&str>, lines: Option<&RawValue>) -> Result<(), Refusal> {
    if customer_id.is_none_or(str::is_empty) {
        return Err(Refusal::field("customer_id", "an invoice names its `customer_id`"));
    }
    let lines: Option<Vec<&RawValue>> = member("lines", lines, "a list")?;
    if lines.is_none_or(|lines| lines.is_empty()) {
        return Err(Refusal::field("lines", "an invoice has at least one line"));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Money<'a> {
    #[serde(borrow)]
    amount: &'a RawValue,
    currency: String,
}

/// An amount is `{"amount":"119.00","currency":"EUR"}` or a bare decimal beside a `currency`.
fn check_money(field: &str, value: Option<&RawValue>) -> Result<(), Refusal> {
    let Some(mut amount) = value else { return Ok(()) };
    if amount.get().starts_with('{') {
        let Some(money) = member::<Money<'_>>(field, value, "an amount with its currency")? else {
            return Ok(());
        };
        check_currency(&format!("{field}.currency"), Some(&money.currency))?;
        amount = money.amount;
    }
    if is_decimal(amount) {
        Ok(())
    } else {
        Err(Refusal::field(field, format!("`{field}` is not a decimal")))
    }
}

/// Whether this is a JSON number, or a string of digits with at most one point.
fn is_decimal(raw: &RawValue) -> bool {
    let Some(text) = raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

fn check_currency(field: &str, currency: Option<&str>) -> Result<(), Refusal> {
    match currency {
        Some(code) if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) => {
            Err(Refusal::field(field, format!("`{field}` is not a currency code of ISO 4217")))
        }
        _ => Ok(()),
    }
}

fn text_member(name: &str, value: Option<&RawValue>) -> Result<Option<String>, Refusal> {
    member(name, value, "a string")
}

fn member<'a, T: Deserialize<'a>>(
    name: &str,
    value: Option<&'a RawValue>,
    what: &str,
) -> Result<Option<T>, Refusal> {
    value
        .map(|raw| serde_json::from_str(raw.get()))
        .transpose()
        .map_err(|_| Refusal::field(name, format!("`{name}` is not {what}")))
}

/// Parses the JSON object of an admin request.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    // serde would take a list for a struct.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::body("the body is not a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| Refusal::body(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_field(collection: Collection, body: &str) -> Option<String> {
        match check(collection, None, body.as_bytes()) {
            Err(Refusal::Validation { field, .. }) => field,
            Err(other) => panic!("unexpected {other:?}"),
            Ok(_) => panic!("accepted {body}"),
        }
    }

    #[test]
    fn accepts_what_the_rules_allow() {
        let invoice = r#" {"id":"INV-1","customer_id":"C1","lines":[{}],"total":{"amount":"-1.50","currency":"EUR"},"x":[1]} "#;
        let checked = check(Collection::Invoices, None, invoice.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((checked.external_id.as_str(), checked.customer_id.as_deref()), ("INV-1", Some("C1")));
        assert_eq!(checked.data.get(), invoice.trim());
        assert!(check(Collection::Payments, None, br#"{"id":"P","amount":12.5,"currency":"EUR"}"#).is_ok());
        assert!(check(Collection::Customers, Some("C"), b"{}").is_ok());
        assert!(check(Collection::Customers, None, br#"{"id":"C","currency":null,"total":null}"#).is_ok());
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        let cases = [
            (Collection::Customers, r#"{"name":"x"}"#, "id"),
            (Collection::Customers, r#"{"id":7}"#, "id"),
            (Collection::Customers, r#"{"id":""}"#, "id"),
            (Collection::Invoices, r#"{"id":"I","lines":[1]}"#, "customer_id"),
            (Collection::Invoices, r#"{"id":"I","customer_id":"C","lines":[]}"#, "lines"),
            (Collection::Invoices, r#"{"id":"I","customer_id":"C"}"#, "lines"),
            (Collection::Invoices, r#"{"id":"I","customer_id":"C","lines":{"a":1}}"#, "lines"),
            (Collection::Payments, r#"{"id":"P"}"#, "amount"),
            (Collection::Payments, r#"{"id":"P","amount":"12,5"}"#, "amount"),
            (Collection::Payments, r#"{"id":"P","amount":{"amount":"1.","currency":"EUR"}}"#, "amount"),
            (
                Collection::Payments,
                r#"{"id":"P","amount":{"amount":"1","currency":"eur"}}"#,
                "amount.currency",
            ),
            (Collection::Orders, r#"{"id":"O","currency":"EURO"}"#, "currency"),
        ];
        for (collection, body, field) in cases {
            assert_eq!(refused_field(collection, body).as_deref(), Some(field), "{body}");
        }
    }

    #[test]
    fn refuses_what_is_not_an_object() {
        for body in
            ["", "[]", "[\"INV-1\"]", "\"x\"", "{", "{\"id\":\"A\"} {}", "{\"id\":\"A\",\"id\":\"B\"}"]
        {
            assert_eq!(refused_field(Collection::Customers, body), None, "{body}");
        }
    }
}
