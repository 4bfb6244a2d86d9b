//! The JSON Schema that editors use says what the program reads.
#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use target::Connector;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../connectors")
}

fn definitions() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let yaml = fs::read_to_string(&path).unwrap();
            found.push((path.display().to_string(), serde_saphyr::from_str(&yaml).unwrap()));
        }
    }
    assert!(!found.is_empty(), "no definition in connectors/");
    found
}

#[test]
fn the_file_in_the_repository_is_what_the_program_prints() {
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("schema.json")).unwrap()).unwrap();
    let hint = "run `cargo run -- connector schema > connectors/schema.json`";
    assert_eq!(kept, Connector::json_schema(), "connectors/schema.json is out of date: {hint}");
}

#[test]
fn every_definition_that_ships_fits_it() {
    let schema = jsonschema::validator_for(&Connector::json_schema()).unwrap();
    for (file, definition) in definitions() {
        let wrong: Vec<String> =
            schema.iter_errors(&definition).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{file}: {wrong:#?}");
    }
}

#[test]
fn what_the_program_refuses_does_not_fit_it() {
    let schema = jsonschema::validator_for(&Connector::json_schema()).unwrap();
    let (_, good) = definitions().into_iter().find(|(file, _)| file.ends_with("sandbox.yaml")).unwrap();
    assert!(schema.is_valid(&good));
    let broken: [(&str, Value); 5] = [
        ("/clas", json!("upsert")),
        ("/class", json!("upserts")),
        ("/errors/rules/0/class", json!("throtled")),
        ("/errors/rules/0/outcome", json!("maybe")),
        ("/key/window", json!("a day")),
    ];
    for (pointer, value) in broken {
        let mut definition = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        definition.pointer_mut(parent).unwrap()[name] = value;
        assert!(!schema.is_valid(&definition), "{pointer}");
        let yaml = serde_json::to_string(&definition).unwrap(); // JSON is YAML
        assert!(Connector::parse("broken", &yaml).is_err(), "{pointer}: the program takes it");
    }
}
