//! A system that none of the definitions of this repository knows, added by a YAML file and a mapping in VRL, both in the test's own folder:
//! commercetools, run by its mock. Its changes name the version that they were made for.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{path::Path, pin::Pin};

use axum::body::Bytes;
use common::{World, lossy::Lossy};
use contract::OutcomeStatus;
use serde_json::{Value, json};
use sink::Options;
use testkit::commercetools::Commercetools;

const CUSTOMERS: usize = 8;
const NAME: &str = "commercetools";

/// Changes a customer by hand just before it is changed by us: our version is an old one by then.
fn by_hand(client: reqwest::Client, url: String, body: Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let sent: Value = serde_json::from_slice(&body).unwrap();
        if sent["actions"].is_null() {
            return; // a create
        }
        let before: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
        assert_eq!(before["version"], sent["version"], "nobody else has changed it yet");
        let actions = json!([{"action": "setFirstName", "firstName": "by hand"}]);
        let change = json!({"version": before["version"], "actions": actions});
        assert!(client.post(&url).json(&change).send().await.unwrap().status().is_success());
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_comes_too_late_looks_again_and_changes_what_stands_there() {
    let shop = tokio::task::spawn_blocking(Commercetools::start).await.unwrap().unwrap();
    let lossy = Lossy::with(shop.url(), Some(by_hand)).await;
    let world = World::start("upsert").await;
    let acme = world.dir.path().join("tenants/acme");
    let connection = format!(
        "connection: erp\nconnector: {NAME}\nbase_url: \"{}\"\negress: {{allow_private: true}}\n\
         limits: {{concurrency: 4}}\ntimeout: 5s\n",
        lossy.url
    );
    std::fs::write(acme.join("connections/erp.yaml"), connection).unwrap();
    std::fs::remove_file(acme.join("routes/payments.yaml")).unwrap();
    let route = "route: customers\non: [\"customer.*\"]\nto: erp\npolicy: {require: exactly_once}\n";
    std::fs::write(acme.join("routes/customers.yaml"), route).unwrap();

    let connectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/connectors");
    let sink = world.sink_with(Options { connectors: Some(connectors), ..world.options() }).await;
    for version in [1, 2] {
        for i in 0..CUSTOMERS {
            let name = format!("Name {version} of {i}");
            world.customer(&format!("C-{i}"), version, |data| data["name"] = json!(name)).await;
        }
        world.settled(CUSTOMERS * version as usize).await;
    }
    let outcomes = world.outcomes().await;
    sink.stop().await;

    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed), "{outcomes:?}");
    assert_eq!(lossy.conflicts(), CUSTOMERS, "each change was too late once");
    assert!(lossy.lost() >= 2 * CUSTOMERS, "and lost its answer once, as each create: {}", lossy.lost());
    let list = reqwest::get(format!("{}/customers?limit=500", shop.url())).await.unwrap();
    let list: Value = list.json().await.unwrap();
    let mut found: Vec<(String, String, String)> = list["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|customer| {
            let text = |name: &str| customer[name].as_str().unwrap_or_default().to_owned();
            (text("key"), text("companyName"), text("firstName"))
        })
        .collect();
    found.sort();
    let expected: Vec<_> = (0..CUSTOMERS)
        .map(|i| (format!("C-{i}"), format!("Name 2 of {i} (C-{i})"), "by hand".to_owned()))
        .collect();
    assert_eq!(
        found, expected,
        "each customer once, with our name, and what was changed by hand is still there"
    );
}

/// What the test above shows is shown by the file alone: the program does not know the system.
#[test]
fn the_program_does_not_know_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = Vec::new();
    for kind in ["crates", "services"] {
        for member in std::fs::read_dir(root.join(kind)).unwrap() {
            let member = member.unwrap().path();
            if !member.ends_with("testkit") && member.join("src").is_dir() {
                folders.push(member.join("src"));
            }
        }
    }
    folders.push(root.join("connectors"));
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    read += 1;
                    assert!(!knows(&path), "{} names {NAME}", path.display());
                }
            }
        }
    }
    assert!(read > 200, "only {read} files were read");
}

fn knows(path: &Path) -> bool {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).to_lowercase().contains(NAME)
}
