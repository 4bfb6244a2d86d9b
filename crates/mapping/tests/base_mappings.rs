//! The base mappings of the connectors, compiled for the types of the event's schema, and run over the cases beside them:
//! connectors/<system>/mappings/<object>.vrl and tests/<object>.<case>.yaml.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use vrl::{
    compiler::{
        CompileConfig, Program, TargetValue, TimeZone, TypeState,
        runtime::Runtime,
        state::{ExternalEnv, LocalEnv},
    },
    diagnostic::Formatter,
    value::{Kind, Secrets, Value, kind::Collection},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The systems of which something is known for certain here: the others have mappings that other tests run.
const SYSTEMS: [&str; 11] = [
    "dataverse", "dynamics_fo", "hubspot", "netsuite", "odoo", "quickbooks", "salesforce", "sap_s4", "shopify", "stripe",
    "xero",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The event's `data`.
    input: Json,
    /// What the mapping makes of it.
    expected: Option<Json>,
    /// Or why it refuses it.
    refused: Option<Refused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    message: String,
}

/// The type of a field as a mapping sees it: decimals, dates and enums are texts, and what may be null may be absent.
fn kind(schema: &Json) -> Kind {
    let read = |file: String| serde_json::from_str::<Json>(&fs::read_to_string(file).unwrap()).unwrap();
    match schema {
        Json::String(name) => match name.as_str() {
            "string" | "bytes" => Kind::bytes(),
            "boolean" => Kind::boolean(),
            "int" | "long" => Kind::integer(),
            "null" => Kind::null().or_undefined(),
            named => kind(&read(format!("{ROOT}/schemas/common/{}.avsc", named.rsplit('.').next().unwrap()))),
        },
        Json::Array(branches) => branches.iter().map(kind).reduce(|a, b| a.union(b)).unwrap(),
        _ => match schema["type"].as_str() {
            Some("record") => {
                let field = |f: &Json| (f["name"].as_str().unwrap().into(), kind(&f["type"]));
                let fields: BTreeMap<_, _> = schema["fields"].as_array().unwrap().iter().map(field).collect();
                Kind::object(Collection::from(fields))
            }
            Some("array") => Kind::array(Collection::from_unknown(kind(&schema["items"]))),
            Some("map") => Kind::object(Collection::from_unknown(kind(&schema["values"]))),
            _ if schema.get("logicalType").is_some() || schema["type"] == "enum" => Kind::bytes(),
            _ => kind(&schema["type"]),
        },
    }
}

fn compile(file: &Path, object: &str) -> Program {
    let schema = fs::read_to_string(format!("{ROOT}/schemas/{object}.v1.avsc")).unwrap();
    let schema: Json = serde_json::from_str(&schema).unwrap();
    let data = &schema["fields"].as_array().unwrap().iter().find(|f| f["name"] == "data").unwrap()["type"];
    let external = ExternalEnv::new_with_kind(kind(data), Kind::object(Collection::empty()));
    let state = TypeState { local: LocalEnv::default(), external };
    let source = fs::read_to_string(file).unwrap();
    let compiled =
        vrl::compiler::compile_with_state(&source, &vrl::stdlib::all(), &state, CompileConfig::default());
    let compiled =
        compiled.unwrap_or_else(|found| panic!("{}\n{}", file.display(), Formatter::new(&source, found)));
    let warnings: Vec<&str> = compiled.warnings.iter().map(|warning| warning.message()).collect();
    assert!(warnings.is_empty(), "{}: {warnings:?}", file.display());
    compiled.program
}

fn run(program: &Program, input: &Json) -> Result<Json, String> {
    let metadata = json!({"event": {"source_version": 1}}).into();
    let mut target = TargetValue { value: input.clone().into(), metadata, secrets: Secrets::new() };
    let zone = TimeZone::parse("UTC").unwrap();
    Runtime::default().resolve(&mut target, program, &zone).map_err(|refused| refused.to_string())?;
    let payload: Value = target.value;
    Ok(payload.try_into().unwrap())
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

#[test]
fn every_mapping_makes_of_its_cases_what_they_expect() {
    for system in SYSTEMS {
        let folder = format!("{ROOT}/connectors/{system}/mappings");
        let mut cases = files(&format!("{folder}/tests"), "yaml");
        for file in files(&folder, "vrl") {
            let object = stem(&file);
            let program = compile(&file, object);
            let mut expected = 0;
            cases.retain(|path| {
                if stem(path).split('.').next() != Some(object) {
                    return true;
                }
                let at = path.display();
                let yaml = fs::read_to_string(path).unwrap();
                let case: Case =
                    serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{at}: {error}"));
                let made = run(&program, &case.input);
                match (&case.expected, &case.refused) {
                    (Some(payload), None) => {
                        assert_eq!(made.as_ref(), Ok(payload), "{at}");
                        expected += 1;
                    }
                    (None, Some(Refused { message })) => {
                        assert!(made.as_ref().is_err_and(|error| error.contains(message)), "{at}: {made:?}");
                    }
                    _ => panic!("{at}: it has either `expected` or `refused`"),
                }
                false
            });
            assert!(expected > 0, "{}: no case expects a payload", file.display());
        }
        assert!(cases.is_empty(), "{system}: no mapping for {cases:?}");
    }
}
