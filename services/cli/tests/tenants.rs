//! `counterfoil tenants validate` as an integration engineer meets it: before anything is deployed, on a machine without
//! secrets.
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

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A folder `tenants` with tenant `acme`, whose connection and route say this besides.
fn folder(connection: &str, route: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let file = |path: &str, text: String| {
        let path = dir.path().join("tenants/acme").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    file(
        "tenant.yaml",
        "tenant: acme\nname: Acme\nregion: eu\napi_keys: [{id: shop, secret: \"env:NOT_SET_HERE\"}]\n".into(),
    );
    file(
        "connections/erp.yaml",
        format!(
            "connection: erp\nconnector: sandbox\nbase_url: https://erp.example.com\ntoken: file:/not/here\n{connection}"
        ),
    );
    file("routes/orders.yaml", format!("route: orders\non: [order.created]\nto: erp\n{route}"));
    dir
}

#[test]
fn the_example_tenants_are_valid_and_say_what_they_guarantee() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = counterfoil(&root, &["tenants", "validate"]);
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    let line = |tenant: &str| {
        let found = told.lines().find(|l| l.starts_with(tenant) && l.contains(" payments "));
        found.unwrap_or_else(|| panic!("{told}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        line("acme"),
        "acme payments payment erp (sandbox) K exactly_once 24h resend for 12h, then look up; \
         another content is held in doubt 16 at a time"
    );
    assert!(line("globex").contains(" U exactly_once - look up; another content is "), "{told}");
    assert!(line("initech").contains(" N at_most_once - hold in doubt "), "{told}");
}

#[test]
fn a_route_weaker_than_its_policy_is_an_error_at_the_policy() {
    let policy = "policy: {on_unknown: resend, require: exactly_once}\n";
    // The connector promises keys; whoever knows that the system does not keep them says so.
    let dir = folder("class: neither\n", policy);
    let output = counterfoil(dir.path(), &["tenants", "validate"]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let expected = "tenants/acme/routes/orders.yaml:4:39: CFG-0120: `require: exactly_once`, but connection `erp` is of \
                    class N: the route gives at_least_once; if the system";
    assert!(told.lines().any(|line| line.starts_with(expected)), "{told}");

    for (class, require, good) in [
        ("keyed", "exactly_once", true),
        ("upsert", "exactly_once", true),
        ("upsert", "at_least_once", true),
        ("neither", "at_most_once", true),
        ("neither", "at_least_once", false),
    ] {
        let dir = folder(&format!("class: {class}\n"), &format!("policy: {{require: {require}}}\n"));
        let output = counterfoil(dir.path(), &["tenants", "validate"]);
        assert_eq!(output.status.success(), good, "{class} {require}: {}", text(&output));
    }
}

#[test]
fn every_problem_has_a_place_and_advice() {
    let dir = folder("class: upsrt\n", "objct: x\n");
    fs::write(dir.path().join("tenants/acme/notes.txt"), "").unwrap();
    let output = counterfoil(dir.path(), &["tenants", "validate", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = document["problems"].as_array().unwrap();
    assert_eq!((document["valid"].as_bool(), problems.len()), (Some(false), 3), "{document:#}");
    for problem in problems {
        assert!(problem["line"].as_u64() >= Some(1) && problem["column"].as_u64() >= Some(1), "{problem}");
        assert!(problem["suggestion"].as_str().is_some_and(|s| s.len() > 5), "{problem}");
        assert!(problem["file"].as_str().is_some_and(|f| f.starts_with("tenants/acme")), "{problem}");
    }
}

#[test]
fn what_only_the_services_would_notice_is_noticed_before() {
    let told = text_of(folder("", "object: warehouse\n").path());
    assert!(told.starts_with("tenants/acme/routes/orders.yaml:4:9: CFG-0123: "), "{told}");
    assert!(told.contains("no object `warehouse`, which a route sends to it; it has "), "{told}");
    let told = text_of(folder("", "object: order.ship\n").path());
    assert!(told.contains("`order` has no operation `ship`"), "{told}");
    let dir = folder("", "");
    let file = dir.path().join("tenants/acme/connections/erp.yaml");
    let write = |from: &str, to: &str| {
        let text =
            "connection: erp\nconnector: sandbox\nbase_url: https://erp.example.com\n".replace(from, to);
        fs::write(&file, text).unwrap();
        text_of(dir.path())
    };
    let told = write("sandbox", "sandbux");
    assert!(told.starts_with("tenants/acme/connections/erp.yaml:2:12: CFG-0121: "), "{told}");
    let told = write("https://erp.example.com", "http://192.168.0.7:80/");
    assert!(told.starts_with("tenants/acme/connections/erp.yaml:3:11: CFG-0122: "), "{told}");
    assert!(told.contains("`egress: {allow_private: true}`"), "{told}");
    let told = write("https://erp.example.com", "http://192.168.0.7:80/\negress: {allow: [192.168.0.0/24]}");
    assert!(told.contains(": valid"), "{told}");
}

/// A folder of connectors in which the sandbox's definition says this besides, and says of `customer` that.
fn connectors(dir: &Path, besides: &str, customer: &str) {
    let sandbox = include_str!("../../../connectors/sandbox.yaml");
    let path = "    path: /api/v1/customers\n";
    assert!(sandbox.contains(path));
    let sandbox = sandbox.replace(path, &format!("{path}{customer}"));
    fs::create_dir_all(dir.join("connectors")).unwrap();
    fs::write(dir.join("connectors/sandbox.yaml"), format!("{sandbox}{besides}\n")).unwrap();
}

fn validated(dir: &Path, arguments: &[&str]) -> Output {
    counterfoil(dir, &[&["tenants", "validate", "--connectors", "connectors"], arguments].concat())
}

#[test]
fn a_connection_allows_itself_less_than_the_vendor_and_more_only_with_a_reason() {
    let limits = "limits: {concurrency: 4, rate: {max: 60, per: 1m}}";
    let told = |connection: &str| {
        let dir = folder(connection, "");
        connectors(dir.path(), limits, "");
        let output = validated(dir.path(), &[]);
        (output.status.success(), text(&output))
    };
    let (good, said) = told("");
    assert!(
        good && said.contains(" 4 at a time, 60 per 1m\n"),
        "the vendor's are every connection's: {said}"
    );
    let (good, said) = told("limits: {concurrency: 2, rate: {max: 5, per: 1s}}\n");
    assert!(good && said.contains(" 2 at a time, 60 per 1m, 5 per 1s\n"), "{said}");
    let (good, said) = told("limits: {concurrency: 8, rate: {max: 90, per: 1m}}\n");
    let first = "tenants/acme/connections/erp.yaml:5:23: CFG-0124: `concurrency: 8` is more than the 4 at a time that connector \
                 `sandbox` says every account has; write less; or, if this account was given more, say why: `raised: \
                 {concurrency: \"what was bought\"}` in `limits`\n";
    assert!(!good && said.starts_with(first), "{said}");
    let second =
        "tenants/acme/connections/erp.yaml:5:32: CFG-0124: `rate` of 90 per 1m is more than the 60 per 1m";
    assert!(said.contains(second) && said.contains(" 4 at a time, 60 per 1m\n"), "{said}");
    let (good, said) = told("limits: {concurrency: 8, raised: {concurrency: \"4 licences, order 17\"}}\n");
    assert!(
        good && said.contains(" 8 at a time, 60 per 1m, concurrency raised: 4 licences, order 17\n"),
        "{said}"
    );
}

#[test]
fn each_route_guarantees_what_the_class_of_its_object_gives() {
    let dir = folder("", "");
    let route = "route: orders\non: [order.created, customer.created]\nto: erp\n";
    fs::write(dir.path().join("tenants/acme/routes/orders.yaml"), route).unwrap();
    connectors(dir.path(), "", "    class: neither\n");
    let classes = |connection: &str| {
        let file = dir.path().join("tenants/acme/connections/erp.yaml");
        let text = format!(
            "connection: erp\nconnector: sandbox\nbase_url: https://erp.example.com\ntoken: file:/not/here\n{connection}"
        );
        fs::write(file, text).unwrap();
        let output = validated(dir.path(), &["--json"]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |object: &str| {
            let routes = document["routes"].as_array().unwrap().iter();
            let mut found =
                routes.filter(|route| route["objects"].as_array().unwrap().contains(&object.into()));
            let found = found.next().map(|route| format!("{} {}", route["class"], route["gives"]));
            found.unwrap_or_else(|| panic!("{document:#}")).replace('"', "")
        };
        (of("order"), of("customer"))
    };
    let both = |order: &str, customer: &str| (order.to_owned(), customer.to_owned());
    assert_eq!(classes(""), both("U exactly_once", "N at_most_once"));
    assert_eq!(classes("class: keyed\n"), both("K exactly_once", "K exactly_once"));
    assert_eq!(classes("class: {customer: keyed}\n"), both("U exactly_once", "K exactly_once"));
    assert_eq!(classes("class: {order: neither}\n"), both("N at_most_once", "N at_most_once"));
    // A name that nothing has would change nothing, and nobody would notice.
    let dir = folder("class: {custmer: keyed}\n", "");
    connectors(dir.path(), "", "");
    let told = text(&validated(dir.path(), &[]));
    let expected = "tenants/acme/connections/erp.yaml:5:9: CFG-0123: connector `sandbox` has no `custmer`, which `class` names; \
                    its objects are ";
    assert!(told.starts_with(expected), "{told}");
}

fn text_of(dir: &Path) -> String {
    text_of_with(dir, &[])
}

fn text_of_with(dir: &Path, more: &[&str]) -> String {
    text(&counterfoil(dir, &[&["tenants", "validate"], more].concat()))
}

#[test]
fn secrets_are_looked_at_only_when_asked() {
    let dir = folder("", "");
    assert!(counterfoil(dir.path(), &["tenants", "validate"]).status.success());
    let told = text(&counterfoil(dir.path(), &["tenants", "validate", "--resolve-secrets"]));
    assert!(told.contains("CFG-0110: variable `NOT_SET_HERE` is not set"), "{told}");
    // Their form is checked always, and what may be a secret is not printed.
    let dir = folder("", "");
    let tenant =
        "tenant: acme\nname: Acme\nregion: eu\napi_keys: [{id: shop, secret: hunter2-hunter2-hunter2}]\n";
    fs::write(dir.path().join("tenants/acme/tenant.yaml"), tenant).unwrap();
    let told = text_of(dir.path());
    assert!(told.contains("CFG-0110") && !told.contains("hunter2"), "{told}");
}

/// What is applied goes to a topic as it stands: no file may hold a secret itself.
#[test]
fn a_secret_is_a_reference_wherever_one_stands() {
    const SECRET: &str = "hunter2-hunter2-hunter2";
    for connection in [
        format!("secrets: {{token: {SECRET}}}\n"),
        format!("secrets: {{token: [env:NEW, {SECRET}]}}\n"),
        format!("webhook: {{scheme: stripe, secrets: [env:NEW, {SECRET}]}}\n"),
        format!("poll: {{source: shop, objects: [order], api_key: {SECRET}}}\n"),
    ] {
        let dir = folder("", "");
        let file = dir.path().join("tenants/acme/connections/erp.yaml");
        fs::write(
            &file,
            format!("connection: erp\nconnector: sandbox\nbase_url: https://erp.example.com\n{connection}"),
        )
        .unwrap();
        let told = text_of(dir.path());
        assert!(told.contains("CFG-0110") && !told.contains("hunter2"), "{connection}: {told}");
    }
    let dir = folder("", "");
    let file = dir.path().join("tenants/acme/connections/erp.yaml");
    fs::write(
        &file,
        format!("connection: erp\nconnector: sandbox\nbase_url: https://acme:{SECRET}@erp.example.com\n"),
    )
    .unwrap();
    let told = text_of(dir.path());
    assert!(told.contains("CFG-0106: `base_url` holds credentials") && !told.contains("hunter2"), "{told}");
}

/// A system is added with one file: what the folder does not have comes from the program.
#[test]
fn a_folder_of_connectors_lies_over_the_built_in_ones() {
    let dir = folder("", "");
    let run = |arguments: &[&str]| counterfoil(dir.path(), arguments);
    let acme = dir.path().join("tenants/acme");
    assert!(run(&["connector", "new", "own_erp", "--dir", "mine"]).status.success());
    fs::write(
        acme.join("connections/own.yaml"),
        "connection: own\nconnector: own_erp\nbase_url: https://own.example.com\ntoken: file:/not/here\n",
    )
    .unwrap();
    fs::write(acme.join("routes/people.yaml"), "route: people\non: [customer.created]\nto: own\n").unwrap();
    let told = text(&run(&["tenants", "validate"]));
    assert!(told.contains("connections/own.yaml:2:12: CFG-0121: "), "{told}");
    let told = text(&run(&["tenants", "validate", "--connectors", "mine"]));
    assert!(
        told.contains("erp (sandbox)") && told.contains("own (own_erp)") && told.contains(": valid"),
        "{told}"
    );

    // Everything else that reads connectors finds both as well.
    fs::write(
        dir.path().join("data.json"),
        r#"{"id": "C-9", "name": "Ann Lee", "kind": "PERSON", "addresses": []}"#,
    )
    .unwrap();
    for (command, route) in ["connector", "mapping"].iter().flat_map(|c| [(c, "orders"), (c, "people")]) {
        let on = ["--tenant", "acme", "--connectors", "mine", "--route", route, "data.json"];
        let output = run(&[&[command, "try"], &on[..]].concat());
        assert!(output.status.success(), "{command} {route}: {output:?}");
    }
    let tested = run(&["mapping", "test", "--connectors", "mine"]);
    assert!(tested.status.success(), "{tested:?}");
    let impact = run(&["mapping", "impact", "--connectors", "mine"]);
    assert!(impact.status.success() && text(&impact).contains("2 routes, 0 broken"), "{impact:?}");

    // A file of the folder counts in the place of the program's of that name.
    fs::write(dir.path().join("mine/sandbox.yaml"), "connector: sandbox\n").unwrap();
    let told = text(&run(&["tenants", "validate", "--connectors", "mine"]));
    assert!(told.contains("connections/erp.yaml:2:12: CFG-0121: "), "{told}");
    // A folder that is not there is no empty one.
    let told = text(&run(&["tenants", "validate", "--connectors", "mein"]));
    assert!(told.contains("CFG-0121: ") && told.contains("mein/sandbox.yaml"), "{told}");
}

#[test]
fn a_misspelt_reference_of_an_overlay_is_found_before_events_flow() {
    let dir = folder("", "");
    let mappings = dir.path().join("tenants/acme/mappings");
    fs::create_dir_all(&mappings).unwrap();
    let told = |object: &str| {
        let overlay =
            format!(".note = \"x\"\n.buyer = {{\"$lookup\": \"{object}\", \"ref\": %data.customer_id}}\n");
        fs::write(mappings.join("orders.vrl"), overlay).unwrap();
        text_of(dir.path())
    };
    assert!(told("customer").contains(": valid"), "{}", told("customer"));
    let wrong = told("custmer");
    let place = "tenants/acme/mappings/orders.vrl:2:22: CFG-0224: ";
    assert!(wrong.lines().any(|line| line.starts_with(place)), "{wrong}");
    assert!(wrong.contains("did you mean `customer`?; a `$lookup` names an object"), "{wrong}");
}

/// A base mapping is nobody's of the tenants: its problems lie where it lies, and a tenant's own where that does.
#[test]
fn what_is_wrong_in_a_base_mapping_has_the_path_of_the_connectors_folder() {
    let dir = folder("", "mapping:\n  rules:\n  - {must: '.total_typo > 0', message: x, field: total}\n");
    let base = dir.path().join("mine/sandbox/mappings/order.vrl");
    fs::create_dir_all(base.parent().unwrap()).unwrap();
    let told = |text: &str| {
        fs::write(&base, text).unwrap();
        text_of_with(dir.path(), &["--connectors", "mine"])
    };
    // One that does not compile at all, and one that only the connector's definition finds fault with.
    for (text, what) in
        [("{\"number\": .nmuber}", "CFG-0220: "), ("{\"total\": {\"$lookup\": \"custmer\"}}", "CFG-0224: ")]
    {
        let wrong = told(&format!(". = {text}\n"));
        let place = "mine/sandbox/mappings/order.vrl:1:";
        let lines = wrong.lines().filter(|line| line.starts_with(place) && line.contains(what));
        assert_eq!(lines.count(), 1, "{wrong}");
        assert!(!wrong.contains("tenants/mine"), "{wrong}");
    }
    let wrong = told(". = {\"number\": .number}\n");
    assert!(wrong.lines().any(|line| line.starts_with("tenants/acme/routes/orders.yaml:")), "{wrong}");
}

/// `patch_if_unchanged` writes over nobody's change, and the table does not say that it does.
#[test]
fn a_conditional_change_is_called_one() {
    let dir = folder("", "");
    let run = |arguments: &[&str]| counterfoil(dir.path(), arguments);
    assert!(run(&["connector", "new", "own_erp", "--style", "search", "--dir", "mine"]).status.success());
    let acme = dir.path().join("tenants/acme");
    fs::write(
        acme.join("connections/own.yaml"),
        "connection: own\nconnector: own_erp\nbase_url: https://own.example.com\ntoken: file:/not/here\n",
    )
    .unwrap();
    fs::write(acme.join("routes/people.yaml"), "route: people\non: [customer.created]\nto: own\n").unwrap();
    let line = || {
        let told = text(&run(&["tenants", "validate", "--connectors", "mine"]));
        told.lines().find(|line| line.contains(" people ")).unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    let said = "another content is changed in the version that was found, and looked up again if another one stands there by then";
    assert!(line().contains(said), "{}", line());
    let file = dir.path().join("mine/own_erp.yaml");
    let yaml = fs::read_to_string(&file).unwrap();
    let blind =
        yaml.replace("patch_if_unchanged", "overwrite").replace("headers: {If-Match: \"{{version}}\"}, ", "");
    assert_ne!(yaml, blind);
    fs::write(&file, blind).unwrap();
    assert!(line().contains("another content is written over"), "{}", line());
}

/// A route of two objects that differ in what they guarantee has a row for each, and each says which one it is.
#[test]
fn the_rows_of_a_route_say_which_objects_they_are_about() {
    let dir = folder("", "");
    let run = |arguments: &[&str]| counterfoil(dir.path(), arguments);
    assert!(run(&["connector", "new", "own_erp", "--style", "search", "--dir", "mine"]).status.success());
    let acme = dir.path().join("tenants/acme");
    fs::write(
        acme.join("connections/own.yaml"),
        "connection: own\nconnector: own_erp\nbase_url: https://own.example.com\ntoken: file:/not/here\n",
    )
    .unwrap();
    let route = "route: both\non: [customer.created, customer.updated, invoice.posted]\nto: own\n";
    fs::write(acme.join("routes/both.yaml"), route).unwrap();
    let told = text(&run(&["tenants", "validate", "--connectors", "mine"]));
    assert!(told.lines().next().unwrap().starts_with("TENANT  ROUTE   OBJECTS   CONNECTION "), "{told}");
    let rows: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    assert!(rows.contains(&vec!["acme", "both", "customer"]), "{told}");
    assert!(rows.contains(&vec!["acme", "both", "invoice"]), "{told}");
    assert!(rows.contains(&vec!["acme", "orders", "order"]), "{told}");
}
