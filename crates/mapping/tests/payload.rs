//! Mappings are typed: what no event can have, and what no object takes, is found before anything runs.

#![allow(clippy::unwrap_used)]

use event::ObjectKind;
use mapping::{
    Diagnostic, Mapping,
    payload::{Field, FieldType, Fields, Parts, Rule, Source, event},
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
    let field = |name: &str, field_type, required| Field {
        name: name.to_owned(),
        field_type,
        required,
        max_len: None,
    };
    let with = |known: Vec<Field>| {
        let fields = Some(Fields { known, others: vec!["*__c".to_owned()] });
        problems(&Parts { base: base(), fields, ..Parts::default() })
    };
    let found = with(["ref", "buyer", "amount"].map(|name| field(name, FieldType::Text, true)).into());
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(told[0].contains("no field `total`") && told[1].contains("`amount` is required"), "{told:?}");
    let types = [("ref", FieldType::Integer), ("buyer", FieldType::Text), ("total", FieldType::Decimal)];
    let found = with(types.map(|(name, field_type)| field(name, field_type, false)).into());
    assert!(found.len() == 1 && found[0].message.contains("`ref` must be integer"), "{found:?}");
}

/// The object of `base()`, and what stands in its lines.
fn object() -> Fields {
    let field = |name: &str, field_type| Field {
        name: name.to_owned(),
        field_type,
        required: false,
        max_len: Some(10),
    };
    let line = Fields { known: vec![field("quantity", FieldType::Decimal)], others: Vec::new() };
    let known = vec![
        field("ref", FieldType::Text),
        field("buyer", FieldType::Text),
        field("total", FieldType::Decimal),
        field("lines", FieldType::List(Some(line))),
    ];
    Fields { known, others: vec!["*__c".to_owned()] }
}

#[test]
fn a_misspelt_field_is_found_behind_compact_with_its_place_and_a_suggestion() {
    let base = source(
        "base.vrl",
        "lines = []\nfor_each(.lines) -> |_, line| { lines = push(lines, compact({\"quantity\": line.quantity.value})) }\n\
         . = compact({\"ref\": .id, \"buyer\": .customer_name, \"total\": .total.amount, \"lines\": lines})",
    );
    let with = |overlay: &str, fields: Fields| {
        let parts = Parts {
            base: base.clone(),
            overlay: source("overlay.vrl", overlay),
            fields: Some(fields),
            ..Parts::default()
        };
        Mapping::compile(ObjectKind::Invoice, &parts)
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let told: Vec<String> = with("# ours\n.vip__c = true\n.totl = \"1.00\"", object());
    assert_eq!(
        told,
        ["overlay.vrl:3:1: CFG-0222: the connector's object has no field `totl`; did you mean `total`?"]
    );
    let told: Vec<String> = with(".ref = 7", object());
    assert_eq!(told, ["overlay.vrl:1:1: CFG-0222: `ref` must be text, and is integer"]);
    // What it reads is typed too: the base makes no such field.
    let told: Vec<String> = with(".ref = .byer", object());
    assert_eq!(told, ["overlay.vrl:1:8: CFG-0220: there is no `.byer`; did you mean `buyer`?"]);
    let told: Vec<String> = with(".lines = [{\"quantity\": \"1\"}, {\"quanity\": \"1\"}]", object());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("overlay.vrl:1:"), "{told:?}");
    assert!(told[0].ends_with("no field `lines[].quanity`; did you mean `quantity`?"), "{told:?}");
    // A tenant's own field.
    let mut fields = object();
    fields.allow("rank");
    fields.allow("lines.memo");
    let told: Vec<String> = with(".rank = 1\n.lines = [{\"memo\": \"x\"}]", fields);
    assert_eq!(told, [""; 0]);
}

#[test]
fn a_payload_is_held_against_the_fields() {
    let wrong = object().check(&json!({
        "ref": "12345678901", "buyer": {"$lookup": "customer", "ref": "C-1"}, "total": "x", "lines": [{"quanity": 1}], "x__c": 1,
    }));
    assert_eq!(
        wrong,
        [
            "the connector's object has no field `lines[].quanity`; did you mean `quantity`?",
            "`ref` has more than 10 characters",
            "`total` must be decimal, and is \"x\"",
        ]
    );
    assert_eq!(object().check(&json!({"ref": "1", "total": "1.5", "lines": [{"quantity": 2}]})), [""; 0]);
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
