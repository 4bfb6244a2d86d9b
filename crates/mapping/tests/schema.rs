//! The JSON Schema that editors use for webhook.yaml says what the program reads.
#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use mapping::Signature;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../connectors")
}

/// Every `webhook.yaml` that ships, with its text.
fn ways() -> Vec<(String, String)> {
    let folders = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = folders
        .map(|folder| folder.join("webhook.yaml"))
        .filter(|file| file.is_file())
        .map(|file| (file.display().to_string(), fs::read_to_string(&file).unwrap()))
        .collect();
    found.sort();
    assert!(found.len() >= 7, "{found:?}");
    found
}

fn value(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

#[test]
fn the_file_in_the_repository_is_what_the_program_prints() {
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("webhook.schema.json")).unwrap()).unwrap();
    let hint = "run `cargo run -p cli -- connector schema --webhook > connectors/webhook.schema.json`";
    assert_eq!(kept, Signature::json_schema(), "connectors/webhook.schema.json is out of date: {hint}");
}

#[test]
fn every_one_that_ships_fits_it_and_names_it() {
    let schema = jsonschema::validator_for(&Signature::json_schema()).unwrap();
    for (file, yaml) in ways() {
        let definition = value(&yaml);
        let wrong: Vec<String> =
            schema.iter_errors(&definition).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{file}: {wrong:#?}");
        Signature::parse(&file, &yaml).unwrap();
        assert_eq!(
            yaml.lines().next(),
            Some("# yaml-language-server: $schema=../webhook.schema.json"),
            "{file}"
        );
    }
}

#[test]
fn what_the_program_refuses_does_not_fit_it() {
    let schema = jsonschema::validator_for(&Signature::json_schema()).unwrap();
    let good = json!({
        "verify": "hmac", "encoding": "base64", "header": "X-Signature", "prefix": "sha256=",
        "timestamp": {"header": "X-Time", "unit": "ms"}, "signed": ["{{timestamp}}", ".", "{{body}}"],
        "tolerance": "5m", "answer": "empty",
    });
    assert!(schema.is_valid(&good));
    assert!(Signature::parse("good", &good.to_string()).is_ok(), "JSON is YAML");
    let broken: [(&str, Value); 10] = [
        ("verify", json!("hmca")),
        ("verfy", json!("hmac")),
        ("header", json!("X Signature")),
        ("query", json!("code")),
        ("encoding", json!("base65")),
        ("prefix", json!("")),
        ("timestamp", json!({"header": "X-Time", "unit": "us"})),
        ("signed", json!(vec!["{{body}}"; 17])),
        ("tolerance", json!("a while")),
        ("answer", json!("none")),
    ];
    for (name, wrong) in broken {
        let mut definition = good.clone();
        definition[name] = wrong;
        assert!(!schema.is_valid(&definition), "{name}");
        assert!(Signature::parse("broken", &definition.to_string()).is_err(), "{name}: the program takes it");
    }
}
