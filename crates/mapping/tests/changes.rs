//! The programs that make events of what was read from a system, run over the cases beside them: connectors/<system>/changes/<object>.vrl
//! and tests/<object>.<case>.yaml. What they yield must be what the contracts take, or the gateway would refuse it.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use contract::Contracts;
use event::{Envelope, EventId, EventType, TenantId};
use mapping::Program;
use serde::Deserialize;
use serde_json::{Value, json};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The document that the record was taken from.
    source: String,
    /// The moment that the record bears, in RFC 3339.
    modified: String,
    /// What the definition gives besides.
    #[serde(default)]
    with: BTreeMap<String, String>,
    record: Value,
    /// The events that must come of it.
    #[serde(default)]
    expected: Vec<Value>,
    /// What the program says where it refuses the record.
    refused: Option<String>,
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let files = entries.map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

struct Found {
    system: String,
    object: String,
    program: Program,
    cases: Vec<(PathBuf, Case)>,
}

/// Every program, with its cases.
fn programs() -> Vec<Found> {
    let systems = fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().path());
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for system in systems.filter(|path| path.is_dir()) {
        for file in files(&system.join("changes"), "vrl") {
            let name = file.display().to_string();
            let program = match Program::compile(&name, &fs::read_to_string(&file).unwrap()) {
                Ok(program) => program,
                Err(diagnostics) => {
                    broken.extend(diagnostics);
                    continue;
                }
            };
            let cases = files(&system.join("changes/tests"), "yaml");
            let cases = cases.into_iter().filter(|path| stem(path).split('.').next() == Some(stem(&file)));
            let case = |path: PathBuf| {
                let case = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap());
                (path.clone(), case.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
            };
            let system = system.file_name().unwrap().to_str().unwrap().to_owned();
            let object = stem(&file).to_owned();
            found.push(Found { system, object, program, cases: cases.map(case).collect() });
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    found
}

fn run(program: &Program, case: &Case) -> Result<Vec<Value>, String> {
    let at = chrono::DateTime::parse_from_rfc3339(&case.modified).unwrap().timestamp_micros();
    let input =
        json!({"headers": {}, "body": case.record, "source": "erp", "modified": at, "with": case.with});
    program.run(input).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    })
}

fn fits(event: &Value) -> Result<(), String> {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    let tenant: TenantId = "acme".parse().unwrap();
    let event_type: EventType = text("type").parse().map_err(|error| format!("{error}"))?;
    let occurred =
        chrono::DateTime::parse_from_rfc3339(text("occurred_at")).map_err(|error| error.to_string())?;
    let envelope = Envelope {
        event_id: EventId::from_source_id(&tenant, text("source"), "an id"),
        tenant,
        event_type,
        entity: event["data"]["id"].as_str().unwrap_or_default().to_owned(),
        source: text("source").to_owned(),
        source_version: event["source_version"].as_i64().ok_or("it has no source_version")?,
        occurred_at: occurred.timestamp_micros(),
        received_at: 1_795_341_600_000_000,
        correlation_id: None,
        causation_id: None,
        traceparent: None,
        schema_version: 1,
        extensions: BTreeMap::new(),
    };
    let contract = Contracts::embedded().object(event_type.object());
    contract.encode(1, &envelope, &event["data"]).map(drop).map_err(|invalid| invalid.to_string())
}

/// Of a record of a system whose moments are whole seconds the id is made of the record; nobody looks at its letters.
fn without_id(mut event: Value) -> Value {
    event.as_object_mut().unwrap().remove("id");
    event
}

#[test]
fn every_program_makes_of_its_cases_what_they_expect() {
    let mut wrong = Vec::new();
    let mut number = 0;
    for Found { system, object, program, cases } in programs() {
        if system == "tryton" {
            continue; // its records are JSON that Tryton gave, run in services/source
        }
        if !cases.iter().any(|(_, case)| !case.expected.is_empty()) {
            wrong.push(format!("{system}/{object}: no case expects an event"));
        }
        for (path, case) in cases {
            number += 1;
            let path = path.strip_prefix(ROOT).unwrap().display().to_string();
            assert!(!case.source.is_empty(), "{path}: it names no source");
            match (run(&program, &case), &case.refused) {
                (Err(error), Some(refused)) if error.contains(refused.as_str()) => {}
                (Err(error), _) => wrong.push(format!("{path}: {error}")),
                (Ok(events), _) => {
                    wrong.extend(
                        events.iter().filter_map(|event| fits(event).err()).map(|e| format!("{path}: {e}")),
                    );
                    let events: Vec<Value> = events.into_iter().map(without_id).collect();
                    if events != case.expected || case.refused.is_some() {
                        wrong.push(format!("{path}: it makes\n{}", Value::from(events)));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {number} cases\n{}", wrong.len(), wrong.join("\n"));
    assert!(number >= 20, "only {number} cases");
}

#[test]
fn every_case_has_a_program_and_the_same_record_is_the_same_event() {
    for Found { program, cases, .. } in programs() {
        for (_, case) in cases {
            assert_eq!(run(&program, &case), run(&program, &case));
        }
    }
    let systems = fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().path());
    for case in systems.flat_map(|system| files(&system.join("changes/tests"), "yaml")) {
        let object = stem(&case).split('.').next().unwrap().to_owned();
        let program = case.parent().unwrap().with_file_name(format!("{object}.vrl"));
        assert!(program.is_file(), "{}: there is no program for it", case.display());
    }
}
