//! `counterfoil tenants validate` about what a route sends: some program must make what its connector takes.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// A definition with an operation that says what its payload has.
const DEFINITION: &str = r#"
connector: depot
revision: 1
evidence: run
class: keyed
auth: {kind: static_token, header: Authorization}
key: {place: header, name: Idempotency-Key, window: 24h}
errors: {rules: [{when: {status: 500}, class: transient, outcome: unknown}]}
objects:
  order:
    path: /orders
    keyed: {request: "PUT {{path}}/{{payload.id}}", ok: [200]}
    operations:
      ship:
        keyed: {request: {send: "PUT {{path}}/{{ref}}/parcels", body: {parcel: "{{payload.parcel.number}}"}}, ok: [200]}
"#;

fn validate(dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_counterfoil"))
        .args(["tenants", "validate", "--connectors", "mine"])
        .current_dir(dir)
        .env_clear()
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Tenant `acme`, whose route takes these events.
fn folder(connection: &str, on: &str, object: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let acme = dir.path().join("tenants/acme");
    write(&acme.join("tenant.yaml"), "tenant: acme\nname: Acme\nregion: eu\n");
    write(&acme.join("connections/erp.yaml"), &format!("connection: erp\n{connection}"));
    write(&acme.join("routes/main.yaml"), &format!("route: main\non: [{on}]\nto: erp\nobject: {object}\n"));
    fs::create_dir(dir.path().join("mine")).unwrap();
    dir
}

#[test]
fn a_route_that_nobody_makes_a_payload_for_is_refused_where_it_names_its_object() {
    let dir =
        folder("connector: depot\nbase_url: https://depot.example.com\n", "order.fulfilled", "order.ship");
    write(&dir.path().join("mine/depot.yaml"), DEFINITION);
    let output = validate(dir.path());
    let told = text(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with("tenants/acme/routes/main.yaml:4:9: CFG-0125: "), "{told}");
    assert!(told.contains("it has no `parcel.number`"), "{told}");
    assert!(told.contains("`mappings/order.ship.vrl` beside the definition of connector `depot`"), "{told}");

    let overlay = dir.path().join("tenants/acme/mappings/main.vrl");
    let program = ".parcel = {\"number\": .number}\n";
    write(&overlay, program);
    assert!(validate(dir.path()).status.success(), "{}", text(&validate(dir.path())));
    fs::remove_file(overlay).unwrap();
    write(&dir.path().join("mine/depot/mappings/order.ship.vrl"), program);
    assert!(validate(dir.path()).status.success(), "{}", text(&validate(dir.path())));

    // What the event's own data has needs no program.
    write(&dir.path().join("tenants/acme/routes/main.yaml"), "route: main\non: [order.fulfilled]\nto: erp\n");
    fs::remove_dir_all(dir.path().join("mine/depot")).unwrap();
    assert!(validate(dir.path()).status.success(), "{}", text(&validate(dir.path())));
}

#[test]
fn the_operations_of_the_built_in_definitions_are_made() {
    const OAUTH: &str = "secrets: {client_secret: env:A, refresh_token: env:B}\n";
    for (connection, on, object) in [
        ("connector: tryton\nbase_url: https://erp.example.com\nvalues: {database: acme}\nsecrets: {token: env:A}\n".to_owned(), "order.confirmed", "order.draft"),
        ("connector: stripe\nsecrets: {token: env:A}\n".to_owned(), "invoice.voided", "invoice.void"),
        (format!("connector: quickbooks\nvalues: {{realm: \"1\", client_id: a}}\n{OAUTH}"), "invoice.voided", "invoice.void"),
        (format!("connector: xero\nvalues: {{tenant_id: \"1\", client_id: a}}\n{OAUTH}"), "invoice.voided", "invoice.void"),
    ] {
        let dir = folder(&connection, on, object);
        let told = validate(dir.path());
        assert!(told.status.success() && text(&told).contains("exactly_once"), "{connection}{}", text(&told));
    }
}
