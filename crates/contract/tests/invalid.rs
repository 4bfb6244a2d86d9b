//! Every problem of an event is named by its field, all in one pass.
#![allow(clippy::unwrap_used)]

mod common;

use common::{contract, envelope_of, example};
use contract::{Invalid, MAX_PROBLEMS, MAX_TEXT};
use event::ObjectKind;
use serde_json::{Value, json};

fn invoice() -> Value {
    example(ObjectKind::Invoice)["data"].clone()
}

fn errors_of(data: &Value) -> Invalid {
    let envelope = envelope_of(ObjectKind::Invoice, &invoice());
    contract(ObjectKind::Invoice).encode(1, &envelope, data).unwrap_err()
}

/// Path and code of the only problem of an invoice in which `pointer` was set to `value`.
fn problem(pointer: &str, value: Value) -> (String, &'static str, String) {
    let mut data = invoice();
    *data.pointer_mut(pointer).unwrap() = value;
    let mut invalid = errors_of(&data);
    assert_eq!(invalid.errors.len(), 1, "{invalid}");
    let error = invalid.errors.remove(0);
    (error.path, error.code, error.message)
}

#[test]
fn each_kind_of_problem_names_its_field() {
    let cases = [
        ("/total", json!("119.00"), "data.total", "CON-0102", "must be an object, not a string"),
        ("/number", json!(42), "data.number", "CON-0102", "must be a string, not a number"),
        ("/tags", json!({}), "data.tags", "CON-0102", "must be an array, not an object"),
        ("/customer_id", json!(null), "data.customer_id", "CON-0102", "must be a string, not null"),
        (
            "/payment_terms_days",
            json!(1.5),
            "data.payment_terms_days",
            "CON-0102",
            "must be an integer of 32 bits, not 1.5",
        ),
        (
            "/payment_terms_days",
            json!(1u64 << 40),
            "data.payment_terms_days",
            "CON-0102",
            "must be an integer of 32 bits, not 1099511627776",
        ),
        (
            "/status",
            json!("paid"),
            "data.status",
            "CON-0104",
            "must be one of DRAFT, OPEN, PARTIALLY_PAID, PAID, VOID, UNCOLLECTIBLE, UNKNOWN, not `paid`",
        ),
        (
            "/lines/2/amount/amount",
            json!("1.2345678"),
            "data.lines[2].amount.amount",
            "CON-0105",
            "must have 6 digits at most behind the point",
        ),
        (
            "/lines/1/unit_price/amount",
            json!("100000000000000"),
            "data.lines[1].unit_price.amount",
            "CON-0105",
            "must have 14 digits at most before the point",
        ),
        (
            "/total/amount",
            json!("1e3"),
            "data.total.amount",
            "CON-0105",
            "must be a decimal number without exponent, such as \"119.00\"",
        ),
        (
            "/total/amount",
            json!(0.1234567890123456),
            "data.total.amount",
            "CON-0105",
            "has too many digits for a JSON number: give it as a string",
        ),
        (
            "/total/amount",
            json!(true),
            "data.total.amount",
            "CON-0102",
            "must be a decimal number in a string, such as \"119.00\", not a boolean",
        ),
        (
            "/due_on",
            json!("22.12.2026"),
            "data.due_on",
            "CON-0106",
            "must be a date, YYYY-MM-DD, not `22.12.2026`",
        ),
        (
            "/created_at",
            json!("2026-11-22"),
            "data.created_at",
            "CON-0107",
            "must be an instant of RFC 3339, such as 2026-11-22T10:00:00Z, not `2026-11-22`",
        ),
        (
            "/total/currency",
            json!("eur"),
            "data.total.currency",
            "CON-0108",
            "must be an ISO 4217 currency of 3 upper-case letters, such as EUR, not `eur`",
        ),
        (
            "/billing_address/country",
            json!("Germany"),
            "data.billing_address.country",
            "CON-0108",
            "must be an ISO 3166-1 country of 2 upper-case letters, such as DE, not `Germany`",
        ),
        (
            "/lines/0/quantity/unit",
            json!("piece"),
            "data.lines[0].quantity.unit",
            "CON-0108",
            "must be a UN/ECE Recommendation 20 unit, such as PCE, KGM or HUR, not `piece`",
        ),
        ("/lines", json!([]), "data.lines", "CON-0111", "must have 1 item or more"),
        (
            "/customer_id",
            json!(""),
            "data.customer_id",
            "CON-0112",
            "must have 1 to 255 bytes and no control characters",
        ),
        ("/id", json!("INV-2"), "data.id", "CON-0113", "differs from the entity of the envelope"),
    ];
    for (pointer, value, path, code, message) in cases {
        assert_eq!(problem(pointer, value), (path.to_owned(), code, message.to_owned()), "{pointer}");
    }
    let long = problem("/purchase_order_reference", json!("x".repeat(MAX_TEXT + 1)));
    assert_eq!((long.0.as_str(), long.1), ("data.purchase_order_reference", "CON-0110"));
}

#[test]
fn missing_and_unknown_fields() {
    let mut data = invoice();
    data.as_object_mut().unwrap().remove("customer_id");
    data["lines"][1].as_object_mut().unwrap().remove("amount");
    data["lines"][1]["ammount"] = json!({});
    data["zzz"] = json!(1);
    let invalid = errors_of(&data);
    let found: Vec<_> =
        invalid.errors.iter().map(|e| format!("{} {} {}", e.path, e.code, e.message)).collect();
    assert_eq!(
        found,
        [
            "data.customer_id CON-0101 is missing; it must be a string",
            "data.lines[1].amount CON-0101 is missing; it must be an object",
            "data.lines[1].ammount CON-0103 is not a field of the contract; did you mean `amount`?",
            "data.zzz CON-0103 is not a field of the contract; a tenant's own fields go to `extensions`",
        ]
    );
    assert_eq!(invalid.code(), "CON-0100");
    assert!(
        invalid
            .to_string()
            .starts_with("the event does not satisfy its contract: data.customer_id: is missing")
    );
}

#[test]
fn the_whole_may_be_wrong() {
    for data in [json!(null), json!([]), json!("x"), json!(1)] {
        let invalid = errors_of(&data);
        assert_eq!((invalid.errors[0].path.as_str(), invalid.errors[0].code), ("data", "CON-0102"));
    }
}

#[test]
fn the_number_of_problems_is_bounded() {
    let mut data = invoice();
    data["tags"] = (0..50).map(|i| json!(i)).collect();
    let invalid = errors_of(&data);
    assert_eq!((invalid.errors.len(), invalid.more), (MAX_PROBLEMS, 50 - MAX_PROBLEMS));
    assert!(invalid.to_string().ends_with("and 30 more"));
    data["tags"] = (0..6000).map(|_| json!("x")).collect();
    assert_eq!(errors_of(&data).errors[0].code, "CON-0110");
    data["tags"] = json!([]);
    data["extensions"] =
        (0..101).map(|i| (i.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(errors_of(&data).errors[0].path, "data.extensions");
}

#[test]
fn the_envelope_is_checked_too() {
    let data = invoice();
    let mut envelope = envelope_of(ObjectKind::Invoice, &data);
    envelope.occurred_at = i64::MAX;
    envelope.source = "a\u{0}b".to_owned();
    envelope.event_type = "order.created".parse().unwrap();
    envelope.extensions.insert("k".to_owned(), "x".repeat(MAX_TEXT + 1));
    let invalid = contract(ObjectKind::Invoice).encode(1, &envelope, &data).unwrap_err();
    let found: Vec<_> = invalid.errors.iter().map(|e| (e.path.as_str(), e.code)).collect();
    let expected = [
        ("source", "CON-0112"),
        ("occurred_at", "CON-0107"),
        ("extensions.k", "CON-0110"),
        ("type", "CON-0113"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn null_says_the_same_as_absent_where_there_is_a_default() {
    let mut data = invoice();
    data["notes"] = json!(null);
    data["tags"] = json!(null);
    data["total"]["amount"] = json!(119);
    data["external_ids"] = json!({});
    let envelope = envelope_of(ObjectKind::Invoice, &data);
    let bytes = contract(ObjectKind::Invoice).encode(1, &envelope, &data).unwrap();
    let event = contract::decode_event(common::current(ObjectKind::Invoice), common::datum(&bytes)).unwrap();
    assert_eq!(event.data.get("notes"), None);
    assert_eq!(event.data["tags"], json!([]));
    assert_eq!(event.data["total"]["amount"], "119.00");
}
