//! The kit's schema registry.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use testkit::registry::Apicurio;

async fn get(url: String) -> Value {
    reqwest::get(url).await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

#[tokio::test]
async fn it_answers_and_a_restart_keeps_schemas_and_ids() {
    let registry = Apicurio::start().unwrap();
    let url = registry.url().to_owned();
    assert_eq!(get(format!("{url}/subjects")).await, json!([]));

    let schema = json!({"schema": r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#});
    let register = reqwest::Client::new().post(format!("{url}/subjects/kept-value/versions")).json(&schema);
    let registered: Value = register.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();

    registry.stop().unwrap();
    assert!(reqwest::get(format!("{url}/subjects")).await.is_err());
    registry.restart().unwrap();
    assert_eq!(get(format!("{url}/subjects")).await, json!(["kept-value"]));
    assert_eq!(get(format!("{url}/subjects/kept-value/versions/1")).await["id"], registered["id"]);
}

#[tokio::test]
async fn the_shared_registry_answers() {
    let registry = Apicurio::shared().unwrap();
    assert!(get(format!("{}/subjects", registry.url())).await.is_array());
}
