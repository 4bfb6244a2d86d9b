//! The standard that every schema keeps, see docs/naming.md.
#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, path::Path};

use common::contract;
use contract::{Contracts, DecodeError, object_subject};
use event::ObjectKind;
use serde_json::Value;

/// Calls `visit` with each record field and each enum below `schema`.
fn walk(schema: &Value, visit: &mut impl FnMut(&Value)) {
    match schema {
        Value::Array(union) => union.iter().for_each(|s| walk(s, visit)),
        Value::Object(object) => {
            if schema["type"] == "enum" {
                visit(schema);
            }
            for field in object.get("fields").and_then(Value::as_array).into_iter().flatten() {
                visit(field);
                walk(&field["type"], visit);
            }
            ["items", "values", "type"].iter().filter_map(|k| object.get(*k)).for_each(|s| walk(s, visit));
        }
        _ => {}
    }
}

#[test]
fn every_field_is_documented_and_can_evolve() {
    let mut seen = 0;
    for (subject, json) in Contracts::embedded().subjects("eu") {
        walk(&serde_json::from_str(json).unwrap(), &mut |part| {
            seen += 1;
            let name = part["name"].as_str().unwrap();
            assert!(part["doc"].as_str().is_some_and(|d| d.ends_with('.')), "{subject}: {name} has no doc");
            if part["type"] == "enum" {
                assert!(part["default"].is_string(), "{subject}: {name} has no default symbol");
            }
            if part["type"].is_array() {
                assert_eq!(part["type"][0], "null", "{subject}: {name}");
                assert_eq!(
                    part.get("default"),
                    Some(&Value::Null),
                    "{subject}: {name} is optional without default"
                );
            }
            let plain_double = part["type"] == "double" || part["type"] == "float";
            assert!(!plain_double, "{subject}: {name} is a float: amounts and rates are decimals");
        });
    }
    assert!(seen > 500, "only {seen} parts were seen");
}

#[test]
fn every_object_has_an_id_and_the_standard_names() {
    for kind in ObjectKind::ALL {
        let schema: Value = serde_json::from_str(&contract(kind).json).unwrap();
        assert_eq!(schema["namespace"], format!("com.counterfoil.{kind}.v1"));
        assert!(schema["name"].as_str().unwrap().ends_with("Event"));
        assert_eq!(schema["fields"][0]["name"], "envelope");
        assert_eq!(schema["fields"][0]["type"]["name"], "Envelope");
        assert_eq!(schema["fields"][1]["name"], "data");
        let id = &schema["fields"][1]["type"]["fields"][0];
        assert_eq!(
            (id["name"].as_str(), id["type"].as_str(), id["check"].as_str()),
            (Some("id"), Some("string"), Some("id"))
        );
    }
}

#[test]
fn subjects_follow_the_standard() {
    let subjects: Vec<_> = Contracts::embedded().subjects("eu").map(|(s, _)| s).collect();
    assert_eq!(subjects.len(), 15);
    assert_eq!(subjects.last().unwrap(), "cf.eu.platform.outcome.v1-value");
    assert_eq!(object_subject("us", ObjectKind::PurchaseOrder), "cf.us.procurement.purchase-order.v1-value");
}

#[test]
fn every_code_of_this_crate_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut codes = 0;
    for file in fs::read_dir(root.join("src")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let quoted =
            text.split('"').filter(|t| t.len() == 8 && (t.starts_with("CON-") || t.starts_with("REG-")));
        for code in quoted.filter(|code| code[4..].bytes().all(|b| b.is_ascii_digit())) {
            codes += 1;
            let page = root.join(format!("../../docs/errors/{code}.md"));
            let page = fs::read_to_string(&page).unwrap_or_else(|e| unreachable!("{}: {e}", page.display()));
            assert!(page.starts_with(&format!("# {code}: ")), "{code}");
        }
    }
    assert!(codes >= 29, "only {codes} codes were found");
    assert_eq!(DecodeError::Damaged("").code(), "CON-0202");
}
