//! A running sandbox and a client for it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, StatusCode};
use sandbox::{EffectPage, EntityPage, Handle, Requests, Sandbox, Summary};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub struct Erp {
    pub handle: Handle,
    pub client: reqwest::Client,
}

/// What a test looks at in an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub fn field(&self) -> Option<&str> {
        self.body["error"]["field"].as_str()
    }

    pub fn id(&self) -> &str {
        self.body["id"].as_str().expect("a document number")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Erp {
    pub async fn start() -> Self {
        let handle = Sandbox::new().start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        // No environment proxy between the test and loopback.
        Self { handle, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// With one account, `acme`, set up so.
    pub async fn with(settings: Value) -> Self {
        let erp = Self::start().await;
        erp.set(settings).await;
        erp
    }

    pub async fn set(&self, settings: Value) {
        let answer = send(self.request(Method::PUT, "/admin/accounts/acme").json(&settings)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.handle.url()))
    }

    /// A POST to a collection of `acme`.
    pub fn post(&self, collection: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, &format!("/acme/api/v1/{collection}")).json(body)
    }

    /// A PUT by external id.
    pub fn put(&self, collection: &str, external_id: &str, body: &Value) -> RequestBuilder {
        self.request(Method::PUT, &format!("/acme/api/v1/{collection}/by-external-id/{external_id}"))
            .json(body)
    }

    /// A customer POSTed under a key.
    pub fn keyed(&self, key: &str, external_id: &str) -> RequestBuilder {
        self.post("customers", &json!({"id": external_id})).header("Idempotency-Key", key)
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    async fn parsed<T: DeserializeOwned>(&self, path: &str) -> T {
        self.request(Method::GET, path).send().await.unwrap().json().await.unwrap()
    }

    pub async fn summary(&self) -> Summary {
        self.parsed("/admin/summary").await
    }

    pub async fn requests(&self) -> Requests {
        self.parsed("/admin/accounts/acme/requests/count").await
    }

    pub async fn effects(&self, query: &str) -> EffectPage {
        self.parsed(&format!("/admin/accounts/acme/effects{query}")).await
    }

    pub async fn entities(&self, query: &str) -> EntityPage {
        self.parsed(&format!("/admin/accounts/acme/entities{query}")).await
    }

    /// Waits until the oracle shows what is asked for.
    pub async fn until(&self, what: &str, reached: impl Fn(&Summary) -> bool) -> Summary {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let summary = self.summary().await;
            if reached(&summary) {
                return summary;
            }
            assert!(Instant::now() < deadline, "never came: {what}; {summary:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
    Answer { status, headers, body }
}

/// Sends a request whose connection must be closed without an answer.
pub async fn send_into_the_void(request: RequestBuilder) {
    let error = request.send().await.expect_err("an answer came");
    assert!(error.is_request() && !error.is_connect() && !error.is_timeout(), "{error:?}");
}

pub fn invoice(id: &str) -> Value {
    json!({"id": id, "customer_id": "C-1", "lines": [{"sku": "A"}], "total": {"amount": "119.00", "currency": "EUR"}})
}

pub fn customer(id: &str) -> Value {
    json!({"id": id, "name": format!("Customer {id}")})
}
