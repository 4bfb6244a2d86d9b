//! `counterfoil mapping`: cases, a single event, and the impact of a change, over a tenant's own folder.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn mapping(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    command.arg("mapping").args(arguments).env_clear().output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A folder of tenants with an overlay, a rule and their cases, and a folder of connectors with a base mapping.
fn configure(dir: &Path) -> (String, String) {
    let write = |file: &str, text: &str| {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "tenants/acme/tenant.yaml",
        "tenant: acme\nname: Acme\nregion: eu\napi_keys: [{id: main, secret: env:ACME_KEY}]\n",
    );
    write(
        "tenants/acme/connections/erp.yaml",
        "connection: erp\nconnector: sandbox\nbase_url: \"https://erp.example.com\"\nclass: upsert\n",
    );
    write(
        "tenants/acme/routes/customers.yaml",
        "route: customers\non: [\"customer.*\"]\nto: erp\nmapping:\n  rules:\n  - {must: '.name != \"NOBODY\"', message: a \
         customer has a name, field: name}\n  extensions: [{name: cost_center, required: true}]\n",
    );
    write(
        "tenants/acme/mappings/customers.vrl",
        ".name = upcase(.name)\n.cost_center = %data.extensions.cost_center\n.tax = .tax_id\n",
    );
    write(
        "tenants/acme/mappings/tests/customers.plain.yaml",
        "input: {id: C-1, name: Ann, tax_id: T, extensions: {cost_center: \"4711\"}}\nexpected: {id: C-1, name: ANN, tax: T, \
         tax_id: T, cost_center: \"4711\"}\n",
    );
    write(
        "tenants/acme/mappings/tests/customers.nobody.yaml",
        "input: {id: C-1, name: Nobody, extensions: {cost_center: \"4711\"}}\nrefused: {field: name, message: has a name}\n",
    );
    fs::create_dir_all(dir.join("connectors")).unwrap();
    fs::copy(format!("{ROOT}/connectors/sandbox.yaml"), dir.join("connectors/sandbox.yaml")).unwrap();
    let base = ". = {\"id\": .id, \"name\": .name, \"tax_id\": .tax_id}";
    write("connectors/sandbox/mappings/customer.vrl", base);
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    (path("tenants"), path("connectors"))
}

#[test]
fn cases_hold_or_say_what_is_different() {
    let dir = tempfile::tempdir().unwrap();
    let (tenants, connectors) = configure(dir.path());
    let arguments = ["test", "--tenants", &tenants, "--connectors", &connectors];
    let good = mapping(&arguments);
    assert!(good.status.success() && said(&good).contains("2 cases, 0 failed"), "{}", said(&good));
    let overlay = dir.path().join("tenants/acme/mappings/customers.vrl");
    let text = fs::read_to_string(&overlay).unwrap().replace("upcase", "downcase");
    fs::write(&overlay, text).unwrap();
    let bad = mapping(&arguments);
    let told = said(&bad);
    assert_eq!(bad.status.code(), Some(1), "{told}");
    assert!(
        told.contains(".name: expected \"ANN\", and it is \"ann\"") && told.contains("it is not refused"),
        "{told}"
    );
}

#[test]
fn an_event_can_be_tried() {
    let dir = tempfile::tempdir().unwrap();
    let (tenants, connectors) = configure(dir.path());
    let file = dir.path().join("customer.json");
    let common = ["try", "--tenants", &tenants, "--connectors", &connectors, "--tenant", "acme"];
    let attempt = |route: &str, data: &str| {
        fs::write(&file, data).unwrap();
        mapping(&[&common[..], &["--route", route, file.to_str().unwrap()]].concat())
    };
    let good = attempt("customers", r#"{"id": "C-1", "name": "Ann", "extensions": {"cost_center": "4711"}}"#);
    let made: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(made["name"], "ANN");
    let refused = attempt("customers", r#"{"id": "C-1", "name": "Ann"}"#);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("refused: SNK-0061: extensions.cost_center"), "{}", said(&refused));
    let unknown = attempt("custmers", "{}");
    assert!(
        said(&unknown).contains("CFG-0309") && said(&unknown).contains("customers"),
        "{}",
        said(&unknown)
    );
}

#[test]
fn a_change_says_whose_overlay_it_breaks_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let (tenants, connectors) = configure(dir.path());
    // The base mapping does not make the tax number any more.
    let base = dir.path().join("connectors/sandbox/mappings/customer.vrl");
    let before = fs::read_to_string(&base).unwrap();
    fs::write(&base, ". = {\"id\": .id, \"name\": .name}").unwrap();
    let arguments = ["impact", "--tenants", &tenants, "--connectors", &connectors];
    let broken = mapping(&arguments);
    let told = said(&broken);
    assert_eq!(broken.status.code(), Some(1), "{told}");
    assert!(
        told.contains("acme/customers (customer): ")
            && told.contains("customers.vrl:3:8: CFG-0220: there is no `.tax_id`"),
        "{told}"
    );
    // The schema does not have it any more.
    fs::write(&base, before).unwrap();
    let schema = fs::read_to_string(format!("{ROOT}/schemas/customer.v1.avsc")).unwrap();
    let mut schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let fields = schema["fields"][1]["type"]["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != "tax_id");
    let changed = dir.path().join("customer.v1.avsc");
    fs::write(&changed, schema.to_string()).unwrap();
    let broken = mapping(&[&arguments[..], &["--schema", changed.to_str().unwrap()]].concat());
    let told = said(&broken);
    assert!(told.contains("sandbox/mappings/customer.vrl:1:42: CFG-0220: there is no `.tax_id`"), "{told}");
    let unchanged = format!("{ROOT}/schemas/customer.v1.avsc");
    let whole = mapping(&[&arguments[..], &["--schema", &unchanged]].concat());
    assert!(whole.status.success(), "{}", said(&whole));
}

/// The base mapping compiles with every overlay, and makes something else: the tenants' own cases say of whom, where and what.
#[test]
fn a_change_that_compiles_names_the_cases_that_do_not_hold_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (tenants, connectors) = configure(dir.path());
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    // Two more tenants: one has no case, one's route takes two objects, of which one does not compile any more.
    for tenant in ["bare", "globex"] {
        let folders = ["acme", tenant].map(|name| format!("{tenants}/{name}"));
        assert!(Command::new("cp").arg("-r").args(folders).status().unwrap().success());
        let key = format!("env:{}_KEY", tenant.to_uppercase());
        let text = format!(
            "tenant: {tenant}\nname: {tenant}\nregion: eu\napi_keys: [{{id: main, secret: {key}}}]\n"
        );
        write(&format!("tenants/{tenant}/tenant.yaml"), &text);
        fs::remove_dir_all(format!("{tenants}/{tenant}/mappings")).unwrap();
        write(
            &format!("tenants/{tenant}/routes/customers.yaml"),
            "route: customers\non: [\"payment.*\", \"customer.*\"]\nto: erp\n",
        );
    }
    let bases = |customer: &str, payment: &str| {
        write("connectors/sandbox/mappings/customer.vrl", &format!(". = {{\"id\": .id, {customer}}}"));
        write("connectors/sandbox/mappings/payment.vrl", &format!(". = {{\"id\": .id{payment}}}"));
    };
    bases("\"name\": .name, \"tax_id\": .tax_id", ", \"tax_id\": \"-\"");
    write("tenants/globex/mappings/customers.vrl", ".tax = .tax_id\n");
    write(
        "tenants/globex/mappings/tests/customers.one.yaml",
        "event: {object: customer}\ninput: {id: C-1, name: Ann, tax_id: T}\nexpected: {id: C-1, name: Ann, tax: T, tax_id: T}\n",
    );
    write(
        "tenants/globex/mappings/tests/customers.paid.yaml",
        "event: {object: payment}\ninput: {id: P-1}\nexpected: {id: P-1, tax: \"-\", tax_id: \"-\"}\n",
    );
    let arguments = ["impact", "--tenants", &tenants, "--connectors", &connectors];
    let whole = mapping(&arguments);
    assert!(whole.status.success() && said(&whole).contains("3 routes, 0 broken"), "{}", said(&whole));

    bases("\"name\": downcase(.name), \"tax_id\": \"none\"", "");
    let broken = mapping(&arguments);
    let told = said(&broken);
    assert_eq!(broken.status.code(), Some(1), "{told}");
    let case = |tenant: &str, case: &str, what: &str| {
        let line = format!(
            "{tenant}/customers (customer): {tenants}/{tenant}/mappings/tests/customers.{case}.yaml: {what}"
        );
        assert!(told.lines().any(|found| found == line), "{line}\nin\n{told}");
    };
    case("acme", "plain", ".tax: expected \"T\", and it is \"none\"");
    case("acme", "plain", ".tax_id: expected \"T\", and it is \"none\"");
    case("globex", "one", ".name: expected \"Ann\", and it is \"ann\"");
    case("globex", "one", ".tax_id: expected \"T\", and it is \"none\"");
    case("globex", "one", ".tax: expected \"T\", and it is \"none\"");
    let place = "globex/customers (payment): ";
    let wrong = |line: &&str| {
        line.starts_with(place) && line.contains("customers.vrl:1:8: CFG-0220: there is no `.tax_id`")
    };
    assert_eq!(told.lines().filter(wrong).count(), 1, "{told}");
    // What does not compile has no case that could hold, and acme's refusal still does.
    assert!(!told.contains("customers.paid") && !told.contains("customers.nobody"), "{told}");
    assert!(told.contains("3 routes, 6 broken"), "{told}");
    let listed = mapping(&[&arguments[..], &["--json"]].concat());
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let cases = listed["broken"].as_array().unwrap().iter().filter(|one| {
        one["tenant"] == "globex"
            && one["object"] == "customer"
            && one["case"].as_str().is_some_and(|c| c.ends_with("customers.one.yaml"))
    });
    assert_eq!(cases.count(), 3, "{listed:#}");
}

/// What a tenant writes is held against the fields of the target's object, which the definitions of this repository list.
#[test]
fn a_field_that_the_target_does_not_have_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (tenants, _) = configure(dir.path());
    let write = |file: &str, text: &str| fs::write(dir.path().join("tenants/acme").join(file), text).unwrap();
    write(
        "connections/erp.yaml",
        "connection: erp\nconnector: salesforce\nclass: upsert\nvalues: {client_id: c, username: u}\nsecrets: {private_key: \
         env:ACME_SF}\n",
    );
    fs::remove_dir_all(dir.path().join("tenants/acme/mappings/tests")).unwrap();
    write("routes/customers.yaml", "route: customers\non: [\"customer.*\"]\nto: erp\n");
    write("mappings/customers.vrl", "# ours\n.Webiste = upcase(.Name)\n");
    let refused = said(&mapping(&["test", "--tenants", &tenants]));
    let place = "acme/mappings/customers.vrl:2:1: CFG-0222: the connector's object has no field `Webiste`; did you mean `Website`?";
    assert!(refused.contains(place), "{refused}");
    let validate = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
        .args(["tenants", "validate", "--dir", &tenants])
        .env_clear()
        .output()
        .unwrap();
    assert!(!validate.status.success() && said(&validate).contains(place), "{}", said(&validate));
    write("mappings/customers.vrl", ".NumberOfEmployees = \"many\"\n");
    let refused = said(&mapping(&["test", "--tenants", &tenants]));
    assert!(
        refused.contains("customers.vrl:1:1: CFG-0222: `NumberOfEmployees` must be integer"),
        "{refused}"
    );
    // A custom field by the vendor's own rule, and one that the route declares.
    write("mappings/customers.vrl", ".Vip__c = true\n.Score = 7\n");
    write(
        "routes/customers.yaml",
        "route: customers\non: [\"customer.*\"]\nto: erp\nmapping: {fields: [Score]}\n",
    );
    let good = mapping(&["test", "--tenants", &tenants]);
    assert!(good.status.success(), "{}", said(&good));
}

/// The base mappings of this repository, held against the fields of its definitions.
#[test]
fn every_base_mapping_fits_its_definition() {
    let told = mapping(&[
        "test",
        "--tenants",
        &format!("{ROOT}/tenants"),
        "--connectors",
        &format!("{ROOT}/connectors"),
    ]);
    assert!(told.status.success(), "{}", said(&told));
    // A mapping is held against nothing where a definition has no list.
    let objects = fs::read_dir(format!("{ROOT}/connectors")).unwrap().map(|entry| entry.unwrap().path());
    let objects = objects.flat_map(|system| fs::read_dir(system.join("mappings")).into_iter().flatten());
    let objects = objects.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut mapped = 0;
    for path in objects {
        mapped += 1;
        let definition = path.ancestors().nth(2).unwrap().with_extension("yaml");
        let object = path.file_stem().unwrap().to_str().unwrap();
        let connector =
            target::Connector::parse("mapped", &fs::read_to_string(&definition).unwrap()).unwrap();
        let (object, operation) = object.split_once('.').unwrap_or((object, ""));
        let known = &connector.objects[object];
        let listed =
            known.fields.is_some() && (operation.is_empty() || known.operations.contains_key(operation));
        assert!(listed, "{}: `{object}` lists no fields, or has no `{operation}`", definition.display());
    }
    assert!(mapped >= 50, "{mapped} base mappings");
}
