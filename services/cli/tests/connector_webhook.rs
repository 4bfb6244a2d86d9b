//! `counterfoil connector`: the webhook half of a connector, begun, checked and described.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
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

/// A connector as `new --webhook` writes it, changed for a moment; what `check` says of it then.
struct Begun(tempfile::TempDir);

impl Begun {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = counterfoil(dir.path(), &["connector", "new", "acme", "--webhook"]);
        assert!(made.status.success(), "{}", told(&made));
        Self(dir)
    }

    /// Replaces `from` in a file, and expects `what` among the findings.
    #[track_caller]
    fn says(&self, file: &str, from: &str, to: &str, what: &[&str]) {
        let path = self.0.path().join("connectors/acme").join(file);
        let good = fs::read_to_string(&path).unwrap();
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let checked = counterfoil(self.0.path(), &["connector", "check"]);
        fs::write(&path, &good).unwrap();
        assert_eq!(checked.status.code(), Some(1), "{}", told(&checked));
        for what in what {
            assert!(told(&checked).contains(what), "{what}: {}", told(&checked));
        }
    }
}

#[test]
fn what_is_begun_with_checks_clean_and_is_not_overwritten() {
    let begun = Begun::new();
    let check = |path: &str| {
        let checked = counterfoil(begun.0.path(), &["connector", "check", path]);
        assert!(checked.status.success(), "{}", told(&checked));
        told(&checked).trim().to_owned()
    };
    assert!(check("connectors").starts_with("1 definitions, 1 webhooks, 0 errors, 0 warnings, "));
    assert_eq!(
        check("connectors"),
        check("connectors/acme.yaml"),
        "a definition is checked with its other half"
    );
    for half in ["connectors/acme", "connectors/acme/webhook.yaml", "connectors/acme/webhook.vrl"] {
        assert_eq!(check(half), "0 definitions, 1 webhooks, 0 errors, 0 warnings, 6 cases", "{half}");
    }
    let again = counterfoil(begun.0.path(), &["connector", "new", "acme", "--webhook"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(told(&again).contains("CFG-0308"), "{}", told(&again));
}

#[test]
fn a_webhook_half_is_added_to_a_definition_and_stands_without_one() {
    let dir = tempfile::tempdir().unwrap();
    assert!(counterfoil(dir.path(), &["connector", "new", "acme"]).status.success());
    let definition = fs::read_to_string(dir.path().join("connectors/acme.yaml")).unwrap();
    let added = counterfoil(dir.path(), &["connector", "new", "acme", "--webhook"]);
    assert!(added.status.success(), "{}", told(&added));
    assert_eq!(fs::read_to_string(dir.path().join("connectors/acme.yaml")).unwrap(), definition);
    assert!(counterfoil(dir.path(), &["connector", "check"]).status.success());
    fs::remove_file(dir.path().join("connectors/acme.yaml")).unwrap();
    let alone = counterfoil(dir.path(), &["connector", "check", "--json"]);
    let document: Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert_eq!(
        (&document["valid"], &document["definitions"], &document["webhooks"]),
        (&true.into(), &0.into(), &1.into())
    );
}

#[test]
fn what_is_wrong_with_the_way_of_verifying_comes_with_its_line() {
    let begun = Begun::new();
    let line = |n: u32, code: &str| format!("connectors/acme/webhook.yaml:{n}:1: {code}: ");
    begun.says(
        "webhook.yaml",
        "verify: hmac",
        "verify: hmca",
        &["webhook.yaml:3:", "CFG-0206", "did you mean `hmac`?"],
    );
    begun.says(
        "webhook.yaml",
        "header: X-",
        "heeder: X-",
        &["webhook.yaml:5:", "CFG-0206", "did you mean `header`?"],
    );
    let unsigned = [line(6, "CFG-0206"), "must have {{body}}".to_owned()];
    begun.says("webhook.yaml", "{{body}}", "{{method}}", &[&unsigned[0], &unsigned[1]]);
    // Nothing is wrong with it but that the system signs otherwise.
    begun.says(
        "webhook.yaml",
        "header: X-Signature",
        "header: X-Hub-Signature",
        &["signatures.yaml:2:1: CFG-0215: what was signed: it is without"],
    );
    begun.says("webhook.yaml", "encoding: hex ", "encoding: base64 ", &["CFG-0215: what was signed: it is "]);
    begun.says(
        "tests/signatures.yaml",
        "is: forged",
        "is: genuine",
        &["signatures.yaml:7:1: CFG-0215: another body: it is forged, not genuine"],
    );
    begun.says(
        "tests/signatures.yaml",
        "secret:",
        "sekret:",
        &["CFG-0215: it is no list of signatures", "sekret"],
    );
}

#[test]
fn what_is_wrong_with_the_program_comes_with_its_place_or_its_case() {
    let begun = Begun::new();
    begun.says("webhook.vrl", "kind = string!(", "kind = strong!(", &["webhook.vrl:6:8: CFG-0201"]);
    let expected = "tests/customer.created.expected.json:1:1: CFG-0215: ";
    begun.says(
        "webhook.vrl",
        "int!(customer.revision)",
        "int!(customer.revision) + 1",
        &[expected, "`events[0].source_version` is 4, and must be 3"],
    );
    begun.says(
        "webhook.vrl",
        "{ return null }",
        "{ abort \"unknown\" }",
        &["customer.viewed.expected.json:1:1: CFG-0215: it is refused"],
    );
    begun.says(
        "webhook.vrl",
        "string!(customer.name)",
        "string(customer.name) ?? \"?\"",
        &["customer.nameless.expected.json:1:1: CFG-0215: it must be refused"],
    );
    begun.says(
        "tests/customer.viewed.json",
        "{",
        "[",
        &["customer.viewed.json:1:1: CFG-0215: it is no JSON"],
    );
    // As recorded as it may be, no gateway takes it.
    let file = begun.0.path().join("connectors/acme/tests/customer.created.expected.json");
    let recorded = fs::read_to_string(&file).unwrap();
    fs::write(&file, recorded.replace("customer.created", "customer.made")).unwrap();
    begun.says(
        "webhook.vrl",
        ": \"customer.created\",",
        ": \"customer.made\",",
        &["the gateway refuses events[0]: type: "],
    );
    fs::write(&file, recorded).unwrap();
    fs::remove_file(begun.0.path().join("connectors/acme/tests/customer.viewed.json")).unwrap();
    begun.says("webhook.vrl", "kind =", "kind  =", &["customer.viewed.json:1:1: CFG-0215: cannot be read"]);
}

#[test]
fn what_is_odd_or_weak_is_told_and_no_error() {
    let begun = Begun::new();
    let folder = begun.0.path().join("connectors/acme");
    let tests: Vec<_> =
        fs::read_dir(folder.join("tests")).unwrap().map(|entry| entry.unwrap().path()).collect();
    tests.into_iter().for_each(|path| fs::remove_file(path).unwrap());
    let warns = |what: &str| {
        let checked = counterfoil(begun.0.path(), &["connector", "check", "connectors/acme"]);
        assert!(checked.status.success(), "{}", told(&checked));
        assert!(told(&checked).contains(what), "{}", told(&checked));
    };
    warns("webhook.vrl:1:1: warning: no recorded webhook shows what it does");
    let way = folder.join("webhook.yaml");
    fs::write(
        &way,
        "# A way.\nverify: hash_concat\nheader: X-Hash\nsigned: [\"{{secret}}\", \"{{body}}\"]\n",
    )
    .unwrap();
    warns("webhook.yaml:2:1: warning: a hash over secret and body can be continued");
    fs::write(&way, "verify: shared_secret\n\nquery: code\n").unwrap();
    warns("webhook.yaml:3:1: warning: a secret in the address gets into the logs");
    fs::remove_file(&way).unwrap();
    warns("webhook.vrl:1:1: warning: no webhook.yaml says how its webhooks are verified");
    // A program of one's own over the embedded connector, which says it.
    fs::rename(&folder, begun.0.path().join("connectors/hubspot")).unwrap();
    let checked = counterfoil(begun.0.path(), &["connector", "check", "connectors/hubspot"]);
    assert!(!told(&checked).contains("no webhook.yaml"), "{}", told(&checked));
}

#[test]
fn those_of_the_repository_hold_with_all_that_was_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let checked = counterfoil(&root, &["connector", "check", "--json"]);
    let document: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(document["findings"], serde_json::json!([]), "{document:#}");
    assert_eq!(document["webhooks"], 7);
    for system in ["chargebee", "dataverse", "hubspot", "quickbooks", "shopify", "stripe", "xero"] {
        let half = counterfoil(&root, &["connector", "check", "--json", &format!("connectors/{system}")]);
        let document: Value = serde_json::from_slice(&half.stdout).unwrap();
        assert!(document["cases"].as_u64() >= Some(3), "{system}: {document:#}");
    }
}

#[test]
fn the_schema_that_is_printed_is_the_one_that_is_kept() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let printed = counterfoil(&root, &["connector", "schema", "--webhook"]);
    let kept = fs::read_to_string(root.join("connectors/webhook.schema.json")).unwrap();
    assert_eq!(String::from_utf8_lossy(&printed.stdout), kept);
}
