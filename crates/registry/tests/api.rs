//! The raw API: codes, shapes and the media type that clients of others rely on.
#![allow(clippy::unwrap_used)]

use registry::EmbeddedRegistry;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}"#;

struct Api {
    registry: EmbeddedRegistry,
    http: Client,
}

impl Api {
    async fn start() -> Self {
        let registry = EmbeddedRegistry::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self { registry, http: Client::builder().no_proxy().build().unwrap() }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.registry.url()));
        let answer = request.body(body.to_string()).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/vnd.schemaregistry.v1+json");
        (answer.status(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.call(Method::GET, path, json!({})).await;
        (status.as_u16(), body)
    }

    /// Status and `error_code` of a refusal.
    async fn refused(&self, method: Method, path: &str, body: Value) -> (u16, u64) {
        let (status, body) = self.call(method, path, body).await;
        assert!(!body["message"].as_str().unwrap().is_empty());
        (status.as_u16(), body["error_code"].as_u64().unwrap())
    }
}

#[tokio::test]
async fn versions_and_schemas() {
    let api = Api::start().await;
    let body = json!({"schema": SCHEMA, "schemaType": "AVRO"});
    assert_eq!(api.get("/subjects").await, (200, json!([])));
    assert_eq!(api.call(Method::POST, "/subjects/a%2Fb/versions", body.clone()).await.1, json!({"id": 1}));
    assert_eq!(api.get("/subjects").await, (200, json!(["a/b"])));
    assert_eq!(api.get("/subjects/a%2Fb/versions").await, (200, json!([1])));
    let version = json!({"subject": "a/b", "version": 1, "id": 1, "schema": SCHEMA});
    for path in ["1", "latest", "-1"] {
        assert_eq!(api.get(&format!("/subjects/a%2Fb/versions/{path}")).await, (200, version.clone()));
    }
    assert_eq!(api.call(Method::POST, "/subjects/a%2Fb", body).await.1, version);
    assert_eq!(api.get("/schemas/ids/1?deleted=true").await, (200, json!({"schema": SCHEMA})));
}

#[tokio::test]
async fn refusals_have_the_codes_of_the_api() {
    let api = Api::start().await;
    let good = json!({"schema": SCHEMA});
    let none = json!({});
    assert_eq!(api.refused(Method::GET, "/subjects/s/versions", none.clone()).await, (404, 40401));
    assert_eq!(api.refused(Method::POST, "/subjects/s", good.clone()).await, (404, 40401));
    api.call(Method::POST, "/subjects/s/versions", good.clone()).await;
    let cases = [
        (Method::GET, "/subjects/s/versions/2", none.clone(), (404, 40402)),
        (Method::GET, "/subjects/s/versions/0", none.clone(), (422, 42202)),
        (Method::GET, "/subjects/s/versions/newest", none.clone(), (422, 42202)),
        (Method::GET, "/schemas/ids/2", none.clone(), (404, 40403)),
        (Method::GET, "/schemas/ids/x", none.clone(), (404, 40403)),
        (Method::POST, "/subjects/s", json!({"schema": r#""string""#}), (404, 40403)),
        (Method::POST, "/subjects/s/versions", json!({"schema": "{"}), (422, 42201)),
        (Method::POST, "/subjects/s/versions", json!({"schema": SCHEMA, "schemaType": "JSON"}), (422, 42201)),
        (Method::POST, "/subjects/s/versions", none.clone(), (400, 400)),
        (Method::POST, "/subjects/s/versions", json!({"schema": r#""int""#}), (409, 409)),
        (Method::POST, "/compatibility/subjects/t/versions/latest", good, (404, 40401)),
        (Method::GET, "/config/s", none, (404, 40408)),
        (Method::PUT, "/config/s", json!({"compatibility": "STRICT"}), (422, 42203)),
    ];
    for (method, path, body, codes) in cases {
        assert_eq!(api.refused(method, path, body).await, codes, "{path}");
    }
}

#[tokio::test]
async fn levels() {
    let api = Api::start().await;
    assert_eq!(api.get("/config").await, (200, json!({"compatibilityLevel": "BACKWARD"})));
    assert_eq!(
        api.get("/config/s?defaultToGlobal=true").await,
        (200, json!({"compatibilityLevel": "BACKWARD"}))
    );
    let set = |level: &str| json!({"compatibility": level});
    assert_eq!(api.call(Method::PUT, "/config/s", set("FULL")).await.1, set("FULL"));
    assert_eq!(api.get("/config/s").await, (200, json!({"compatibilityLevel": "FULL"})));
    assert_eq!(api.call(Method::PUT, "/config", set("NONE")).await.1, set("NONE"));
    assert_eq!(api.get("/config/t?defaultToGlobal=true").await, (200, json!({"compatibilityLevel": "NONE"})));
}

#[tokio::test]
async fn compatibility_checks() {
    let api = Api::start().await;
    let with = |extra: &str| json!({"schema": format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":"string"}}{extra}]}}"#)});
    api.call(Method::POST, "/subjects/s/versions", with("")).await;
    let path = "/compatibility/subjects/s/versions/latest";
    let required = with(r#",{"name":"b","type":"int"}"#);
    assert_eq!(api.call(Method::POST, path, required.clone()).await.1, json!({"is_compatible": false}));
    let verbose = api.call(Method::POST, &format!("{path}?verbose=true"), required).await.1;
    assert_eq!(
        verbose["messages"][0],
        "b: has no default and may be absent (the new schema cannot read data of version 1)"
    );
    let optional = with(r#",{"name":"b","type":"int","default":1}"#);
    assert_eq!(api.call(Method::POST, path, optional).await.1, json!({"is_compatible": true}));
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let api = Api::start().await;
    let url = format!("{}/subjects/s/versions", api.registry.url());
    let answer = api.http.post(url).body(vec![b' '; (1 << 20) + 1]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
