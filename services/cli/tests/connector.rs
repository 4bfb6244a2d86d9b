//! `counterfoil connector`: from nothing to a definition that can be trusted.
#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn counterfoil(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_counterfoil"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_style_that_is_begun_with_checks_clean_and_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    for style in ["rest", "search", "jsonrpc", "graphql", "form"] {
        let name = format!("erp_{style}");
        let made = counterfoil(dir.path(), &["connector", "new", &name, "--style", style]);
        assert!(made.status.success(), "{}", told(&made));
        assert!(dir.path().join(format!("connectors/{name}/mappings/invoice.vrl")).is_file());
        let again = counterfoil(dir.path(), &["connector", "new", &name]);
        assert_eq!(again.status.code(), Some(1));
        assert!(told(&again).contains("CFG-0308"), "{}", told(&again));
    }
    let checked = counterfoil(dir.path(), &["connector", "check"]);
    assert!(checked.status.success(), "{}", told(&checked));
    assert!(told(&checked).contains("5 definitions, 0 errors, 0 warnings"), "{}", told(&checked));
    let odd = counterfoil(dir.path(), &["connector", "new", "Acme ERP"]);
    assert_eq!(odd.status.code(), Some(64), "{}", told(&odd));
}

#[test]
fn the_definitions_of_the_repository_have_no_errors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let checked = counterfoil(&root, &["connector", "check", "--json"]);
    assert!(checked.status.success(), "{}", told(&checked));
    let document: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(document["valid"], true);
    assert!(document["definitions"].as_u64() >= Some(1));
}

#[test]
fn what_is_wrong_comes_with_its_place_and_a_suggestion() {
    let dir = tempfile::tempdir().unwrap();
    assert!(counterfoil(dir.path(), &["connector", "new", "acme"]).status.success());
    let file = dir.path().join("connectors/acme.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    let says = |from: &str, to: &str, what: &[&str]| {
        assert!(good.contains(from), "{from}");
        std::fs::write(&file, good.replace(from, to)).unwrap();
        let checked = counterfoil(dir.path(), &["connector", "check", "connectors/acme.yaml"]);
        assert_eq!(checked.status.code(), Some(1), "{}", told(&checked));
        for what in what {
            assert!(told(&checked).contains(what), "{what}: {}", told(&checked));
        }
    };
    let rule = 1 + good.lines().position(|line| line.contains("class: throttled")).unwrap();
    let place = format!("connectors/acme.yaml:{rule}:");
    says("class: throttled", "class: throtled", &[&place, "CFG-0211", "did you mean `throttled`?"]);
    says("{when: {status: 403}", "{when: {status: 401}", &["rule 2 never decides: rule 1"]);
    says("absent: 404, id: $.id, compare: exists", "id: $.id", &["can never say that there is none"]);
    says("connector: acme", "connector: other", &["its file is called `acme`"]);
    says(
        "{{ref}}\", ok: [200, 201], id: $.id}\n  invoice",
        "{{reff}}\", ok: [200, 201], id: $.id}\n  invoice",
        &["`{{reff}}` stands for nothing"],
    );
}
