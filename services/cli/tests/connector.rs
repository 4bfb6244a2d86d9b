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

/// What would go out is shown with secrets left out, and nothing goes out.
#[test]
fn an_event_is_tried_without_sending_anything() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "tenants/acme/tenant.yaml",
        "tenant: acme\nname: Acme\nregion: eu\napi_keys: [{id: main, secret: env:ACME_KEY}]\n",
    );
    write(
        "tenants/acme/connections/billing.yaml",
        "connection: billing\nconnector: stripe\nbase_url: \"https://api.stripe.com\"\ntoken: env:STRIPE\n",
    );
    write("tenants/acme/routes/customers.yaml", "route: customers\non: [\"customer.*\"]\nto: billing\n");
    write(
        "customer.json",
        r#"{"id": "C-9", "name": "Ann Lee", "kind": "PERSON", "tags": [], "addresses": []}"#,
    );
    let attempt = |more: &[&str]| {
        let common = ["connector", "try", "--tenant", "acme", "--route", "customers", "customer.json"];
        counterfoil(dir.path(), &[&common[..], more].concat())
    };
    let shown = attempt(&[]);
    let text = told(&shown);
    assert!(shown.status.success(), "{text}");
    for what in ["POST https://api.stripe.com/v1/customers", "name=Ann", "nothing was sent"] {
        assert!(text.contains(what), "{what}: {text}");
    }
    let json: Value = serde_json::from_slice(&attempt(&["--json"]).stdout).unwrap();
    assert!(
        json["requests"].as_array().unwrap().iter().any(|request| request["request"] == "write"),
        "{json}"
    );
    // The look needs the secret, and the environment does not have it.
    let look = attempt(&["--look"]);
    assert!(!look.status.success() && told(&look).contains("STRIPE"), "{}", told(&look));
}
