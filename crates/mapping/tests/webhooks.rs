//! The webhook programs against recorded and written payloads: connectors/<system>/tests/<name>.json, with what must come of it beside
//! it in <name>.expected.json.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use mapping::{MappingError, connectors, recorded};
use serde_json::{Value, json};

const CONNECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors");

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A fixture is a body, or `{"headers", "body"}` where headers matter.
fn input(path: &Path) -> Value {
    let fixture = read(path);
    if fixture.get("headers").is_some() { fixture } else { json!({"headers": {}, "body": fixture}) }
}

fn map(system: &str, input: Value) -> Result<Vec<Value>, MappingError> {
    connectors::embedded().unwrap().webhook(system).unwrap().run(input)
}

fn stripe(name: &str) -> Value {
    read(&PathBuf::from(format!("{CONNECTORS}/stripe/tests/{name}.json")))
}

fn shopify(name: &str) -> Value {
    input(&PathBuf::from(format!("{CONNECTORS}/shopify/tests/{name}.json")))
}

/// The only event that comes of a Stripe webhook.
fn one(body: Value) -> Value {
    let mut events = map("stripe", json!({"headers": {}, "body": body})).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn version(event: &Value) -> i64 {
    event["source_version"].as_i64().unwrap()
}

#[test]
fn every_fixture_gives_the_expected_events() {
    let programs = connectors::embedded().unwrap();
    let mut types = BTreeSet::new();
    for system in programs.names() {
        let program = programs.webhook(system).unwrap();
        let (recorded, wrong) = recorded::read(&PathBuf::from(format!("{CONNECTORS}/{system}/tests")));
        assert_eq!(wrong, [], "{system}");
        assert!(!recorded.is_empty(), "{system}");
        for one in recorded {
            let events = one.run(program).unwrap_or_else(|wrong| panic!("{wrong:?}"));
            types.extend(events.iter().map(|e| format!("{system} {}", e["type"].as_str().unwrap())));
        }
    }
    let wanted = [
        "chargebee customer.created",
        "chargebee customer.deactivated",
        "chargebee customer.updated",
        "chargebee invoice.paid",
        "chargebee invoice.posted",
        "chargebee invoice.updated",
        "chargebee invoice.voided",
        "chargebee payment.failed",
        "chargebee payment.received",
        "chargebee payment.refunded",
        "dataverse customer.created",
        "dataverse customer.deactivated",
        "dataverse customer.updated",
        "shopify customer.created",
        "shopify customer.updated",
        "shopify order.cancelled",
        "shopify order.created",
        "shopify order.updated",
        "stripe customer.created",
        "stripe customer.deactivated",
        "stripe customer.updated",
        "stripe invoice.paid",
        "stripe invoice.posted",
        "stripe invoice.voided",
        "stripe payment.received",
        "stripe payment.refunded",
    ];
    assert_eq!(types, BTreeSet::from(wanted.map(str::to_owned)), "every kind of event has a fixture");
}

fn chargebee(name: &str) -> Vec<Value> {
    let body = read(&PathBuf::from(format!("{CONNECTORS}/chargebee/tests/{name}.json")));
    map("chargebee", json!({"headers": {}, "body": body})).unwrap()
}

#[test]
fn what_every_later_webhook_of_an_invoice_tells_too_is_one_fact() {
    let (at_once, later) = (chargebee("invoice_generated.paid_at_once"), chargebee("invoice_updated.paid"));
    assert_eq!(at_once[1]["type"], "invoice.paid");
    assert_eq!(at_once[1]["id"], later[1]["id"], "the same payment in full");
    assert_ne!(at_once[0]["id"], later[0]["id"], "two changes are two events");
    assert_eq!(chargebee("invoice_updated.void")[0]["id"], chargebee("invoice_deleted")[0]["id"]);
    // Paid again after a refund: another fact.
    let mut body = read(&PathBuf::from(format!("{CONNECTORS}/chargebee/tests/invoice_updated.paid.json")));
    body["content"]["invoice"]["paid_at"] = json!(1_796_000_000);
    let again = map("chargebee", json!({"headers": {}, "body": body})).unwrap();
    assert_ne!(again[1]["id"], later[1]["id"]);
}

#[test]
fn versions_follow_the_documents_own_order() {
    let of = |name: &str| chargebee(name).iter().map(version).collect::<Vec<_>>();
    let (posted, paid, void) =
        (of("invoice_generated"), of("invoice_updated.paid"), of("invoice_updated.void"));
    assert!(posted[0] < paid[0] && paid[0] < paid[1] && paid[1] < void[0], "{posted:?} {paid:?} {void:?}");
    let (received, refunded) = (chargebee("payment_succeeded"), chargebee("payment_refunded.partly"));
    assert_eq!(received[0]["data"]["id"], refunded[0]["data"]["id"], "a refund is filed under its payment");
    assert!(version(&received[0]) < version(&refunded[0]));
}

#[test]
fn two_webhooks_for_one_payment_of_an_invoice_are_one_event() {
    let (paid, succeeded) = (one(stripe("api.invoice.paid")), one(stripe("api.invoice.payment_succeeded")));
    for field in ["id", "type", "source", "source_version", "occurred_at", "data"] {
        assert_eq!(paid[field], succeeded[field], "{field}");
    }
    assert_ne!(
        paid["causation_id"], succeeded["causation_id"],
        "each still names the webhook that brought it"
    );
}

#[test]
fn versions_grow_through_an_entitys_life_even_within_a_second() {
    // The webhook of `finalized` was made a second after its transition; the payment must still come after it.
    let posted = one(stripe("api.invoice.finalized"));
    assert!(version(&posted) < version(&one(stripe("api.invoice.paid"))));
    assert!(version(&posted) < version(&one(stripe("api.invoice.voided"))));
    let (created, updated) = (one(stripe("customer.created")), one(stripe("customer.updated")));
    assert_eq!(stripe("customer.created")["created"], stripe("customer.updated")["created"]);
    assert!(version(&created) < version(&updated));
    let (partly, fully) = (one(stripe("api.charge.refunded.partly")), one(stripe("api.charge.refunded")));
    assert_eq!(partly["occurred_at"], fully["occurred_at"]);
    assert!(version(&partly) < version(&fully));
    assert_eq!(fully["data"]["id"], "pi_A1", "a refund is filed under the payment, not the charge");
}

#[test]
fn an_order_and_its_cancellation_within_a_second_keep_their_order() {
    let of = |input: Value| map("shopify", input).unwrap().remove(0);
    let (created, cancelled) = (of(shopify("orders.create")), of(shopify("orders.cancelled")));
    assert_eq!(created["occurred_at"], cancelled["occurred_at"]);
    assert!(version(&created) < version(&cancelled));
    // A late orders/updated that already shows the cancellation is not older than it.
    let mut late = shopify("orders.cancelled");
    late["headers"]["x-shopify-topic"] = json!("orders/updated");
    assert_eq!(version(&of(late)), version(&cancelled));
}

#[test]
fn a_shopify_event_is_identified_by_what_is_signed() {
    let id = |input: &Value| map("shopify", input.clone()).unwrap().remove(0)["id"].clone();
    let genuine = shopify("orders.updated");
    let mut replayed = genuine.clone();
    replayed["headers"]["x-shopify-webhook-id"] = json!("another one");
    assert_eq!(id(&replayed), id(&genuine));
    replayed["headers"].as_object_mut().unwrap().remove("x-shopify-webhook-id");
    replayed["headers"]["x-shopify-topic"] = json!("orders/create");
    assert_eq!(id(&replayed), id(&genuine), "under another topic too");
    // Two changes within a second are two events.
    let mut other = genuine.clone();
    other["body"]["note"] = json!("leave it at the door");
    assert_ne!(id(&other), id(&genuine));
    assert_eq!(other["body"]["updated_at"], genuine["body"]["updated_at"]);
}

#[test]
fn the_connection_can_name_the_source() {
    let body = stripe("api.charge.refunded");
    let events = map("stripe", json!({"headers": {}, "body": body, "source": "stripe-us"})).unwrap();
    assert_eq!(events[0]["source"], "stripe-us");
}

#[test]
fn an_invoice_whose_webhook_lacks_lines_is_refused_rather_than_posted_in_part() {
    let mut body = stripe("api.invoice.finalized");
    body["data"]["object"]["lines"]["has_more"] = json!(true);
    let error = map("stripe", json!({"headers": {}, "body": body})).unwrap_err();
    assert!(error.to_string().contains("invoice in_A1 has more lines than its webhook carries"), "{error}");
}

#[test]
fn what_cannot_be_read_is_refused_not_guessed() {
    let changes = [
        ("/data/object/total", json!("lots")),
        ("/data/object/total", Value::Null),
        ("/data/object/currency", json!("euro")),
        ("/data/object/lines/data/0/amount", Value::Null),
        ("/data/object/id", json!(7)),
        ("/created", json!("yesterday")),
        ("/data/object", json!([])),
        ("/type", Value::Null),
    ];
    for (pointer, value) in changes {
        let mut body = stripe("api.invoice.finalized");
        *body.pointer_mut(pointer).unwrap() = value.clone();
        let result = map("stripe", json!({"headers": {}, "body": body}));
        assert!(matches!(result, Err(MappingError::Refused { .. })), "{pointer} = {value}: {result:?}");
    }
    for body in [json!({}), json!([]), Value::Null] {
        assert!(map("stripe", json!({"headers": {}, "body": body})).is_err());
        assert!(map("shopify", json!({"headers": {}, "body": body})).is_err());
    }
    let mut not_cancelled = shopify("orders.create");
    not_cancelled["headers"]["x-shopify-topic"] = json!("orders/cancelled");
    assert!(map("shopify", not_cancelled).is_err(), "the topic is not signed, the body is");
}

#[test]
fn a_folder_replaces_and_adds_programs() {
    let dir = tempfile::tempdir().unwrap();
    let write = |system: &str, source: &str| {
        fs::create_dir_all(dir.path().join(system)).unwrap();
        fs::write(dir.path().join(system).join("webhook.vrl"), source).unwrap();
    };
    write("stripe", r#"{"mine": true}"#);
    write("acme-erp", "null");
    fs::create_dir_all(dir.path().join("no-webhooks")).unwrap();
    let loaded = connectors::load(dir.path()).unwrap();
    assert_eq!(
        loaded.names().collect::<Vec<_>>(),
        ["acme-erp", "chargebee", "dataverse", "shopify", "stripe"]
    );
    let events = loaded.webhook("stripe").unwrap().run(json!({"headers": {}, "body": {}})).unwrap();
    assert_eq!(events, [json!({"mine": true})]);
    write("acme-erp", "oops(");
    write("other", "also_wrong()");
    let errors = connectors::load(dir.path()).unwrap_err().to_string();
    assert!(
        errors.contains("acme-erp/webhook.vrl:1:") && errors.contains("other/webhook.vrl:1:1: CFG-0201"),
        "{errors}"
    );
    assert_eq!(connectors::load(Path::new("/no/such/folder")).unwrap_err().code(), "CFG-0202");
}
