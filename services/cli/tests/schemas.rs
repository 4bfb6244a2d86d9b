//! `counterfoil schemas` against the embedded registry, and on a history of its own.
#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, path::Path};

use common::{Ended, counterfoil, run, run_beside};
use contract::{Compatibility, RegistryClient};
use registry::EmbeddedRegistry;
use testkit::registry::Apicurio;

const SUBJECT: &str = "cf.eu.finance.invoice.v1-value";
/// Compatible with nothing of ours.
const FOREIGN: &str = r#"{"type":"record","name":"Other","fields":[{"name":"a","type":"string"}]}"#;

async fn start() -> EmbeddedRegistry {
    EmbeddedRegistry::start("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

async fn schemas(registry: &EmbeddedRegistry, arguments: &[&str]) -> Ended {
    schemas_at(&registry.url(), arguments).await
}

async fn schemas_at(url: &str, arguments: &[&str]) -> Ended {
    let mut command = counterfoil(&["schemas"]);
    // Outside of the checkout, so that there is no history to check.
    command.args(arguments).args(["--registry", url]).current_dir("/");
    run_beside(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_registered_is_as_strict_as_it_should_be() {
    let registry = start().await;
    let check = schemas(&registry, &["check"]).await;
    assert!(check.has_code(2).out.contains(&format!("{SUBJECT}: no version yet")), "{check:?}");
    let registered = schemas(&registry, &["register", "--json"]).await;
    assert_eq!(registered.has_code(0).json()["registered"].as_array().unwrap().len(), 15);
    let check = schemas(&registry, &["check", "--json"]).await;
    let subjects = check.has_code(0).json()["subjects"].clone();
    assert!(
        subjects.as_array().unwrap().iter().all(|s| s["state"] == "registered" && s["id"].is_u64()),
        "{subjects}"
    );
    // A second time nothing changes.
    assert_eq!(schemas(&registry, &["register", "--json"]).await.json(), registered.json());
    // The level holds: NONE would take this.
    let client = RegistryClient::new(&registry.url()).unwrap();
    assert_eq!(client.register(SUBJECT, FOREIGN).await.unwrap_err().code(), "REG-0003");
}

/// Apicurio begins at level NONE and differs in many a detail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_others_made_ends_up_the_same() {
    let apicurio = tokio::task::spawn_blocking(Apicurio::shared).await.unwrap().unwrap();
    let schemas = async |action: &str| schemas_at(apicurio.url(), &[action, "--region", "cli-real"]).await;
    schemas("check").await.has_code(2);
    schemas("register").await.has_code(0);
    schemas("check").await.has_code(0);
    schemas("register").await.has_code(0);
    let client = RegistryClient::new(apicurio.url()).unwrap();
    let subject = SUBJECT.replace(".eu.", ".cli-real.");
    assert_eq!(client.register(&subject, FOREIGN).await.unwrap_err().code(), "REG-0003");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_registered_beside_what_is_incompatible() {
    let registry = start().await;
    let client = RegistryClient::new(&registry.url()).unwrap();
    client.set_compatibility(SUBJECT, Compatibility::None).await.unwrap();
    client.register(SUBJECT, FOREIGN).await.unwrap();
    schemas(&registry, &["register"]).await.failed_with("REG-0003", SUBJECT);
    let check = schemas(&registry, &["check"]).await;
    assert!(check.has_code(1).out.contains(&format!("{SUBJECT}: NOT compatible: ")), "{check:?}");
    assert!(check.out.contains("cf.eu.sales.order.v1-value: no version yet"), "{check:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_away_is_named_so() {
    let registry = start().await;
    registry.set_available(false);
    schemas(&registry, &["check"]).await.failed_with("REG-0002", "not available");
}

#[test]
fn the_history_grows_by_snapshots_and_is_checked_offline() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let command = |arguments: &[&str]| run(counterfoil(&["schemas"]).args(arguments).args(["--dir", folder]));
    command(&["check", "--offline"]).failed_with("CON-0302", "schemas snapshot");
    let written = command(&["snapshot", "--json"]);
    assert_eq!(written.has_code(0).json()["written"].as_array().unwrap().len(), 15);
    command(&["check", "--offline"]).has_code(0);
    assert_eq!(command(&["snapshot"]).has_code(0).out, "nothing to publish\n");
    let invoice = dir.path().join("history/invoice.v1/0001.avsc");
    let text = fs::read_to_string(&invoice).unwrap();
    fs::write(&invoice, text.replace("timestamp-micros", "timestamp-millis")).unwrap();
    command(&["check", "--offline"]).failed_with("CON-0301", "invoice.v1");
}

#[test]
fn the_checkout_goes_with_its_history() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let ended = run(counterfoil(&["schemas", "check", "--offline"]).current_dir(checkout));
    assert!(ended.has_code(0).out.contains("every version reads every other"), "{ended:?}");
}
