//! Every connector against the shapes of its vendor: `connectors/<system>/tests/answers.yaml` says what an answer means,
//! `requests.yaml` what goes out for a payload. Neither needs the system, so neither proves that the system does so: a definition
//! says by `evidence` whether it was run. `facts.yaml` is what a second reader found out, and what an answer of that kind must mean.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use target::{
    Connector,
    cases::{self, AnswerCase, BulkCase, Case, ChangesCase, RequestCase},
    lint,
};

#[path = "contracts/facts.rs"]
mod facts;
#[path = "contracts/mapped.rs"]
mod mapped;
#[path = "contracts/rules.rs"]
mod rules;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors")
}

/// The definitions, by name.
fn definitions() -> BTreeMap<String, (Connector, String)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let yaml = fs::read_to_string(&path).unwrap();
        let connector = Connector::parse(&name, &yaml).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        (name, (connector, yaml))
    };
    files.map(read).collect()
}

fn tests_of(system: &str) -> PathBuf {
    folder().join(system).join("tests")
}

/// The cases of one kind that a system has.
fn cases<C: Case>(system: &str) -> Vec<C> {
    cases::read(&tests_of(system)).unwrap_or_else(|error| panic!("{system}: {}: {error:?}", C::FILE))
}

/// Runs all cases of one kind; says how many there are.
fn all_hold<C: Case>() -> usize {
    let (mut wrong, mut number) = (Vec::new(), 0);
    for (system, (connector, _)) in definitions() {
        for case in cases::<C>(&system) {
            number += 1;
            wrong.extend(case.run(&connector).err().map(|what| format!("{system}: {}: {what}", case.name())));
        }
    }
    assert!(wrong.is_empty(), "{} of {number} cases\n{}", wrong.len(), wrong.join("\n"));
    number
}

/// What the system answers, understood as its documentation says.
#[test]
fn every_answer_means_what_its_source_says() {
    assert!(all_hold::<AnswerCase>() > 0, "no connector has an answers.yaml");
}

/// What goes out for a payload, to the letter.
#[test]
fn every_request_is_as_its_documentation_says() {
    assert!(all_hold::<RequestCase>() > 0, "no connector has a requests.yaml");
}

/// What goes out for several postings, and what the answer says of each.
#[test]
fn every_item_of_several_means_what_its_source_says() {
    assert!(all_hold::<BulkCase>() >= 2, "hardly any connector has a bulk.yaml");
}

/// How a system is read for changes: every page's request, what the answer says, the end, and where the next walk begins. What can be
/// read is read so in a case, over several pages, and a program stands beside it.
#[test]
fn every_system_is_read_page_by_page_as_its_documentation_says() {
    assert!(all_hold::<ChangesCase>() >= 2, "hardly any connector has a changes.yaml");
    for (system, (connector, yaml)) in definitions() {
        let read = cases::<ChangesCase>(&system);
        for (name, object) in connector.objects.iter().filter(|(_, object)| object.changes.is_some()) {
            let webhook = object.changes.as_ref().is_some_and(|changes| changes.webhook.is_some());
            let program = if webhook { "webhook.vrl".to_owned() } else { format!("changes/{name}.vrl") };
            let program = folder().join(&system).join(program);
            assert!(program.is_file(), "{}: no program makes events of what is read", program.display());
            if yaml.lines().any(|line| line.starts_with("evidence: run")) {
                continue; // other tests read the system itself
            }
            let walks = read.iter().filter(|case| case.object == *name && case.pages.len() > 1);
            assert!(walks.count() > 0, "{system}: no walk through the changes of `{name}` is tested");
        }
    }
}

/// A system has tests for what it can do, and a definition has nothing odd.
#[test]
fn every_definition_is_clean_and_tested() {
    for (system, (connector, yaml)) in definitions() {
        assert_eq!(lint(&connector, &yaml), [], "{system}");
        if yaml.lines().any(|line| line.starts_with("evidence: run")) {
            continue; // other tests run it against the system itself
        }
        let answers = cases::<AnswerCase>(&system);
        let requests = cases::<RequestCase>(&system);
        let tested: BTreeSet<&str> = requests.iter().map(|case| case.object.as_str()).collect();
        for (name, object) in &connector.objects {
            let operations = object.operations.keys().map(|operation| format!("{name}.{operation}"));
            let all = std::iter::once(name.clone()).chain(operations);
            all.for_each(|name| {
                assert!(tested.contains(&*name), "{system}: no request of `{name}` is tested")
            });
        }
        let outcomes: BTreeSet<&str> = answers.iter().map(|case| case.means.outcome.as_str()).collect();
        for outcome in ["applied", "not_applied", "unknown", "absent", "found"] {
            assert!(outcomes.contains(outcome), "{system}: no answer that means {outcome} is tested");
        }
    }
}
