//! Mappings are typed: what no event can have, and what no object takes, is found before anything runs.

#![allow(clippy::unwrap_used)]

use event::ObjectKind;
use mapping::{
    Diagnostic, Mapping,
    payload::{Field, FieldType, Parts, Rule, Source, event},
};
use serde_json::{Value, json};

fn source(name: &str, text: &str) -> Option<Source> {
    Some(Source { name: name.to_owned(), text: text.to_owned() })
}

fn problems(parts: &Parts) -> Vec<Diagnostic> {
    Mapping::compile(ObjectKind::Invoice, parts).unwrap_err()
}

fn invoice() -> Value {
    json!({
        "id": "I-1", "customer_id": "C-7", "currency": "EUR", "lines": [], "taxes": [],
        "total": {"amount": "119.00", "currency": "EUR"}, "extensions": {"cost_center": "4711"},
    })
}

fn base() -> Option<Source> {
    source(
        "connectors/acme/mappings/invoice.vrl",
        ". = {\"ref\": .id, \"buyer\": .customer_id, \"total\": .total.amount}",
    )
}

fn apply(parts: &Parts, data: &Value) -> Result<Value, mapping::payload::Refusal> {
    let mapping = Mapping::compile(ObjectKind::Invoice, parts).unwrap().unwrap();
    mapping.apply(data, &event("invoice", "I-1"))
}

#[test]
fn a_field_that_no_event_has_is_found_with_its_place_and_a_suggestion() {
    let text = "# the buyer\n. = {\"buyer\": .custmer_id}";
    let found = problems(&Parts { base: source("base.vrl", text), ..Parts::default() });
    assert_eq!(
        found[0].to_string(),
        "base.vrl:2:15: CFG-0220: there is no `.custmer_id`; did you mean `customer_id`?"
    );
    let overlay = source("overlay.vrl", ".note = %data.nunber");
    let found = problems(&Parts { base: base(), overlay, ..Parts::default() });
    assert!(found[0].to_string().contains("`%data.nunber`; did you mean `number`?"), "{}", found[0]);
}

#[test]
fn an_overlay_sees_what_the_base_has_made_and_the_event_too() {
    let overlay = source(
        "overlay.vrl",
        ".cost_center = %data.extensions.cost_center\n.ref = \"DE-\" + .ref\n.version = %event.source_version",
    );
    let parts = Parts { base: base(), overlay, ..Parts::default() };
    let made = apply(&parts, &invoice()).unwrap();
    let expected =
        json!({"ref": "DE-I-1", "buyer": "C-7", "total": "119.00", "cost_center": "4711", "version": 1});
    assert_eq!(made, expected);
    // What the event has is not what the base has made.
    let overlay = source("overlay.vrl", ".buyer = .customer_id");
    let found = problems(&Parts { overlay, ..parts });
    assert_eq!(found[0].code, "CFG-0220", "{}", found[0]);
}

#[test]
fn a_type_that_does_not_fit_is_found() {
    let found = problems(&Parts { base: source("base.vrl", ".due = .total.amount + 1"), ..Parts::default() });
    assert_eq!(found[0].code, "CFG-0201", "{}", found[0]);
    let fields = ["ref", "buyer", "amount"].map(|name| Field {
        name: name.to_owned(),
        field_type: FieldType::Text,
        required: true,
    });
    let found = problems(&Parts { base: base(), fields: Some(fields.to_vec()), ..Parts::default() });
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(told[0].contains("no field `total`") && told[1].contains("`amount` is required"), "{told:?}");
    let fields = [("ref", FieldType::Integer), ("buyer", FieldType::Text), ("total", FieldType::Decimal)];
    let fields =
        fields.map(|(name, field_type)| Field { name: name.to_owned(), field_type, required: false });
    let found = problems(&Parts { base: base(), fields: Some(fields.to_vec()), ..Parts::default() });
    assert!(found.len() == 1 && found[0].message.contains("`ref` must be Integer"), "{found:?}");
}

#[test]
fn rules_refuse_and_change_nothing() {
    let rule = |must: &str| Rule {
        must: source("routes/invoices.yaml", must).unwrap(),
        message: "an invoice of nothing is not posted".to_owned(),
        field: Some("total".to_owned()),
    };
    let parts = |must| Parts { base: base(), rules: vec![rule(must)], ..Parts::default() };
    assert!(apply(&parts(".total != \"0.00\""), &invoice()).is_ok());
    let refusal = apply(&parts(".total == \"0.00\""), &invoice()).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), ("SNK-0061", Some("total")));
    assert_eq!(refusal.message, "an invoice of nothing is not posted");
    let made = apply(&parts(".total = \"1\"\ntrue"), &invoice()).unwrap();
    assert_eq!(made["total"], "119.00");
    assert_eq!(problems(&parts(".total"))[0].code, "CFG-0221");
    assert_eq!(problems(&parts(".totl == 1"))[0].code, "CFG-0220");
}

#[test]
fn extensions_that_are_declared_are_known_and_required() {
    let overlay = source("overlay.vrl", ".cost_center = %data.extensions.cost_center");
    let extensions = Some(vec![("cost_center".to_owned(), true)]);
    let parts = Parts { base: base(), overlay, extensions, ..Parts::default() };
    assert_eq!(apply(&parts, &invoice()).unwrap()["cost_center"], "4711");
    let mut without = invoice();
    without["extensions"] = json!({});
    let refusal = apply(&parts, &without).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), ("SNK-0061", Some("extensions.cost_center")));
    let overlay = source("overlay.vrl", ".cost_center = %data.extensions.cost_centre");
    let found = problems(&Parts { overlay, ..parts });
    assert!(found[0].message.contains("did you mean `cost_center`?"), "{}", found[0]);
}

#[test]
fn a_program_may_refuse_and_may_not_run_for_ever() {
    let parts = Parts {
        base: source("base.vrl", "if .total.amount == \"119.00\" { abort \"too much\" }"),
        ..Parts::default()
    };
    let refusal = apply(&parts, &invoice()).unwrap_err();
    assert!(refusal.code == "SNK-0060" && refusal.message.contains("too much"), "{refusal:?}");
    // Every line with every other one: a million and more of steps.
    let squared = "n = 0\nfor_each(.lines) -> |_, _| { for_each(.lines) -> |_, _| { n = n + 1 } }\n.n = n";
    let mut long = invoice();
    long["lines"] = json!(vec![json!({"description": "x"}); 1_500]);
    let refusal = apply(&Parts { base: source("base.vrl", squared), ..Parts::default() }, &long).unwrap_err();
    assert_eq!(refusal.code, "SNK-0062", "{refusal:?}");
    assert!(Mapping::compile(ObjectKind::Invoice, &Parts::default()).unwrap().is_none());
}
