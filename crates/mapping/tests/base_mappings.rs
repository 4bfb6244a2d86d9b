//! The base mappings of the connectors, run over the cases beside them: connectors/<system>/mappings/<object>.vrl and
//! tests/<object>.<case>.yaml.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use mapping::{
    Mapping, connectors,
    payload::{Case, Parts},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors");

fn cases(system: &str) -> Vec<PathBuf> {
    let folder = format!("{ROOT}/{system}/mappings/tests");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    files.map(|entry| entry.unwrap().path()).collect()
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

#[test]
fn every_mapping_makes_of_its_cases_what_they_expect() {
    let connectors = connectors::embedded().unwrap();
    let mut mappings = 0;
    for (system, object, base) in connectors.bases() {
        mappings += 1;
        let parts = Parts { base: Some(base.clone()), ..Parts::default() };
        let kind = object.split('.').next().unwrap();
        let mapping = Mapping::compile(kind.parse().unwrap(), &parts).unwrap();
        let mut expected = 0;
        let of_it = |path: &&PathBuf| connectors.object_of_case(system, stem(path)) == Some(object);
        for path in cases(system).iter().filter(of_it) {
            let file = path.display().to_string();
            let case = Case::parse(&file, &fs::read_to_string(path).unwrap()).unwrap();
            expected += usize::from(case.expected.is_some());
            if let Err(difference) = case.run(kind, mapping.as_ref()) {
                panic!("{file}:\n{difference}");
            }
        }
        assert!(expected > 0, "{system}/{object}: no case expects a payload");
    }
    assert!(mappings >= 40, "only {mappings} mappings are embedded");
}

#[test]
fn every_case_has_a_mapping() {
    let connectors = connectors::embedded().unwrap();
    let bases: Vec<(&str, &str)> = connectors.bases().map(|(system, object, _)| (system, object)).collect();
    let mut systems: Vec<&str> = bases.iter().map(|(system, _)| *system).collect();
    systems.dedup();
    for system in systems {
        for path in cases(system) {
            let object = connectors.object_of_case(system, stem(&path));
            assert!(object.is_some(), "{}: there is no mapping for it", path.display());
        }
    }
}

/// A draft is what would be processed at once otherwise: both programs make the same of the same orders.
#[test]
fn a_draft_is_made_as_its_order_is() {
    let connectors = connectors::embedded().unwrap();
    let compiled = |object: &str| {
        let parts = Parts { base: connectors.base("tryton", object).cloned(), ..Parts::default() };
        Mapping::compile("order".parse().unwrap(), &parts).unwrap().unwrap()
    };
    let draft = compiled("order.draft");
    let mut number = 0;
    for path in cases("tryton") {
        if connectors.object_of_case("tryton", stem(&path)) == Some("order") {
            let file = path.display().to_string();
            let case = Case::parse(&file, &fs::read_to_string(&path).unwrap()).unwrap();
            case.run("order", Some(&draft)).unwrap_or_else(|difference| panic!("{file}:\n{difference}"));
            number += 1;
        }
    }
    assert!(number >= 3, "{number} cases of orders");
}
