//! `counterfoil connector`: from nothing to a definition that can be trusted.
#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path as Segment, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use serde_json::{Value, json};

const SECRET: &str = "s3cret-9f1c-0b7e-known";

fn counterfoil(dir: &Path, arguments: &[&str]) -> Output {
    counterfoil_with(dir, arguments, &[])
}

fn counterfoil_with(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_counterfoil"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .envs(environment.iter().copied())
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
    // Each style has its cases, and they hold.
    let all = told(&checked);
    let cases = all
        .trim()
        .strip_prefix("5 definitions, 0 webhooks, 0 errors, 0 warnings, ")
        .unwrap_or_else(|| panic!("{all}"));
    let cases: u32 = cases.strip_suffix(" cases").unwrap().parse().unwrap();
    assert!(cases >= 5 * 6, "{all}");
    for style in ["rest", "search", "jsonrpc", "graphql", "form"] {
        for file in ["answers.yaml", "requests.yaml"] {
            assert!(
                dir.path().join(format!("connectors/erp_{style}/tests/{file}")).is_file(),
                "{style} {file}"
            );
        }
    }
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
    let left_out = document["left_out"].as_array().unwrap();
    let told_of = |what: &str| left_out.iter().any(|line| line.as_str().unwrap().ends_with(what));
    assert!(
        told_of("sap_s4.yaml: `product`: a change leaves $.descriptions as first written"),
        "{left_out:?}"
    );
    assert!(
        left_out.iter().any(|line| line.as_str().unwrap().contains("a look does not compare")),
        "{left_out:?}"
    );
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

/// The cases beside a definition are run wherever it is.
#[test]
fn a_case_that_does_not_hold_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    assert!(counterfoil(dir.path(), &["connector", "new", "acme"]).status.success());
    let check = |file: &str, from: &str, to: &str, what: &[&str]| {
        let path = dir.path().join(file);
        let good = std::fs::read_to_string(&path).unwrap();
        assert!(good.contains(from), "{from}");
        std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let checked = counterfoil(dir.path(), &["connector", "check"]);
        assert_eq!(checked.status.code(), Some(1), "{}", told(&checked));
        for what in what {
            assert!(told(&checked).contains(what), "{what}: {}", told(&checked));
        }
        std::fs::write(&path, &good).unwrap();
        let again = counterfoil(dir.path(), &["connector", "check", "connectors/acme.yaml"]);
        assert!(again.status.success(), "{}", told(&again));
        good.lines().position(|line| line.contains(from)).map_or(0, |at| at + 1)
    };
    let answers = "connectors/acme/tests/answers.yaml";
    let held = check(
        answers,
        "{class: throttled,",
        "{class: transient,",
        &["CFG-0215: too many requests: it means"],
    );
    // The finding stands where its case begins, which is above what is wrong in it.
    let place = format!("{answers}:{}:1: CFG-0215: ", held - 7);
    check(answers, "{class: throttled,", "{class: transient,", &[&place]);
    check(answers, "means:", "meens:", &["CFG-0215: it is no list of cases", "did you mean `means`?"]);
    let requests = "connectors/acme/tests/requests.yaml";
    check(
        requests,
        "{name: Ann Lee}\n  expect",
        "{name: Bob}\n  expect",
        &[requests, "CFG-0215: a customer: write: the body is"],
    );
    // The definition is changed, and its cases say so.
    check("connectors/acme.yaml", "path: /invoices", "path: /bills", &["CFG-0215: an invoice: it sends"]);
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
    // Where the secret would stand there are stars, whether the environment has it or not.
    assert!(text.contains("authorization: ***"), "{text}");
    let common = ["connector", "try", "--tenant", "acme", "--route", "customers", "customer.json"];
    for more in [&[][..], &["--json"]] {
        let known = counterfoil_with(dir.path(), &[&common[..], more].concat(), &[("STRIPE", SECRET)]);
        assert!(known.status.success() && told(&known).contains("***"), "{}", told(&known));
        assert!(!told(&known).contains(SECRET), "{}", told(&known));
    }
    // The look needs the secret, and the environment does not have it.
    let look = attempt(&["--look"]);
    assert!(!look.status.success() && told(&look).contains("STRIPE"), "{}", told(&look));
}

/// A reference to what the connector cannot look up would refuse every event, and only while they flow.
#[test]
fn a_misspelt_reference_of_a_base_mapping_has_its_place() {
    let dir = tempfile::tempdir().unwrap();
    assert!(counterfoil(dir.path(), &["connector", "new", "acme"]).status.success());
    let mapping = dir.path().join("connectors/acme/mappings/invoice.vrl");
    let check = |object: &str| {
        let reference = format!("\n.customer = {{\"$lookup\": \"{object}\", \"ref\": %event.entity_id}}\n");
        std::fs::write(&mapping, format!(". = {{\"number\": .number}}{reference}")).unwrap();
        counterfoil(dir.path(), &["connector", "check"])
    };
    assert!(check("customer").status.success());
    let checked = check("custommer");
    assert_eq!(checked.status.code(), Some(1), "{}", told(&checked));
    let place = "connectors/acme/mappings/invoice.vrl:2:25: CFG-0224: `$lookup` names `custommer`, which the connector \
                 cannot look up; did you mean `customer`?";
    assert!(told(&checked).contains(place), "{}", told(&checked));
    let json = counterfoil(dir.path(), &["connector", "check", "--json"]);
    let document: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["findings"][0]["code"], "CFG-0224", "{document:#}");
    let tenant = dir.path().join("tenants/acme");
    std::fs::create_dir_all(tenant.join("connections")).unwrap();
    let yaml = "tenant: acme\nname: Acme\nregion: eu\napi_keys: [{id: main, secret: env:ACME_KEY}]\n";
    std::fs::write(tenant.join("tenant.yaml"), yaml).unwrap();
    let yaml = "connection: erp\nconnector: sandbox\nbase_url: https://erp.example.com\ntoken: env:ERP\n";
    std::fs::write(tenant.join("connections/erp.yaml"), yaml).unwrap();
    let tested = counterfoil(dir.path(), &["mapping", "test", "--connectors", "connectors"]);
    assert!(told(&tested).contains("invoice.vrl:2:25: CFG-0224"), "{}", told(&tested));
}

/// What a system has of three customers: one as we would send it, one otherwise, none; and one whose answer repeats the token.
async fn look_up(
    State(seen): State<Arc<Mutex<Vec<String>>>>,
    Segment(reference): Segment<String>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    let token =
        headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    seen.lock().unwrap().push(token.clone());
    let document = |name: &str| json!({"id": "77", "data": {"id": reference, "name": name}}).to_string();
    match reference.as_str() {
        "C-SAME" => (StatusCode::OK, document("Ann Lee")),
        "C-OTHER" => (StatusCode::OK, document("Bob Ray")),
        "C-ECHO" => {
            let message = format!("no access with {token}");
            (StatusCode::FORBIDDEN, json!({"error": {"code": "denied", "message": message}}).to_string())
        }
        _ => (StatusCode::NOT_FOUND, "{}".to_owned()),
    }
}

/// A look is made for real, with the secret, and told in words; the secret is told nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_succeeds_says_what_is_there_and_not_the_secret() {
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let system = Router::new()
        .route("/api/v1/customers/by-external-id/{reference}", get(look_up))
        .with_state(Arc::clone(&tokens));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, system).await });

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
        "tenants/acme/connections/erp.yaml",
        &format!(
            "connection: erp\nconnector: sandbox\nbase_url: \"{url}\"\ntoken: env:ERP\negress: {{allow_private: true}}\n"
        ),
    );
    write("tenants/acme/routes/customers.yaml", "route: customers\non: [\"customer.*\"]\nto: erp\n");
    let look = |id: &str, more: &[&str]| {
        write("customer.json", &json!({"id": id, "name": "Ann Lee"}).to_string());
        let common =
            ["connector", "try", "--look", "--tenant", "acme", "--route", "customers", "customer.json"];
        let environment = [("ERP", SECRET), ("ACME_KEY", "0123456789abcdef0123")];
        let output = counterfoil_with(dir.path(), &[&common[..], more].concat(), &environment);
        assert!(!told(&output).contains(SECRET), "{}", told(&output));
        assert!(told(&output).contains("***"), "{}", told(&output));
        output
    };
    let same = look("C-SAME", &[]);
    assert!(same.status.success(), "{}", told(&same));
    let line =
        "# the look says: the document is there, and says what would be sent; its id at the target is 77";
    assert!(told(&same).lines().any(|told| told == line), "{}", told(&same));
    for (id, state, document) in [
        ("C-SAME", "same", json!("77")),
        ("C-OTHER", "different", json!("77")),
        ("C-NEW", "absent", Value::Null),
    ] {
        let said: Value = serde_json::from_slice(&look(id, &["--json"]).stdout).unwrap();
        assert_eq!(said["look"], json!({"state": state, "document": document, "failure": null}));
    }
    // A target may repeat the token in what it says.
    let refused = look("C-ECHO", &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", told(&refused));
    assert!(
        told(&refused).contains("SNK-0006: status 403, denied: no access with Bearer ***"),
        "{}",
        told(&refused)
    );
    let document: Value = serde_json::from_slice(&look("C-ECHO", &["--json"]).stdout).unwrap();
    assert_eq!(document["look"]["failure"]["status"], 403, "{document:#}");
    // The system has really been asked, with the secret.
    let tokens = tokens.lock().unwrap();
    assert!(
        tokens.len() == 6 && tokens.iter().all(|token| *token == format!("Bearer {SECRET}")),
        "{tokens:?}"
    );
    server.abort();
}
