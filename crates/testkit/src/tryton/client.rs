//! Tryton's REST API and its ways of writing things.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

/// Calls one server with one key.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When the status is not 200 or the body is no JSON; the text shows both.
    pub fn json(&self) -> anyhow::Result<Value> {
        anyhow::ensure!(self.status == 200, "status {}: {}", self.status, self.body);
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {}", self.body))
    }
}

impl Client {
    /// For the server at `url` (no final slash), with the key of a user application.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(url: &str, key: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, url: url.to_owned(), key: key.to_owned() })
    }

    /// The same server with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// The records of `model` that match a domain (`[["code", "=", "C-1"]]`), with these fields.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn search(&self, model: &str, domain: &Value, fields: &[&str]) -> anyhow::Result<Vec<Value>> {
        let path = format!("{model}?d={}{}", base64url(domain), query(fields));
        let found = self.call("GET", &path, None).await?.json().with_context(|| format!("GET {model}"))?;
        found.as_array().cloned().with_context(|| format!("no list: {found}"))
    }

    /// The id of the only record that matches a domain.
    ///
    /// # Errors
    /// As [`search`](Self::search), and when there are none or several.
    pub async fn only(&self, model: &str, domain: Value) -> anyhow::Result<u64> {
        let found = self.search(model, &domain, &["id"]).await?;
        anyhow::ensure!(found.len() == 1, "{} records of {model} match {domain}", found.len());
        id(&found[0])
    }

    /// Creates a record and gives its id.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn create(&self, model: &str, record: &Value) -> anyhow::Result<u64> {
        let answer = self.call("POST", model, Some(record)).await?;
        id(&answer.json().with_context(|| format!("POST {model}"))?)
    }

    /// Reads fields of a record.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn read(&self, model: &str, id: u64, fields: &[&str]) -> anyhow::Result<Value> {
        let path = format!("{model}/{id}?{}", query(fields));
        self.call("GET", &path, None).await?.json().with_context(|| format!("GET {model}/{id}"))
    }

    /// Presses a button of a record (`post`, `quote`) and gives its state after that.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn press(&self, model: &str, id: u64, button: &str) -> anyhow::Result<String> {
        let path = format!("{model}/{id}/{button}?f=state");
        // without a body, 400 and a page of HTML
        let answer = self.call("POST", &path, Some(&json!({}))).await?.json();
        let record = answer.with_context(|| format!("POST {model}/{id}/{button}"))?;
        record["state"].as_str().map(str::to_owned).with_context(|| format!("no state: {record}"))
    }

    /// Any call below `/erp/rest/model/`, for company 1 and with warnings skipped.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        self.call_in(&json!({ "company": 1, "_skip_warnings": true }), method, path, body).await
    }

    /// Any call below `/erp/rest/model/` in a context of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call_in(
        &self,
        context: &Value,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}/erp/rest/model/{path}", self.url);
        let mut request = self.http.request(method.parse()?, url).bearer_auth(&self.key);
        request = request.header("x-tryton-context", base64url(context));
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await.with_context(|| format!("{method} {path}"))
    }

    pub(super) async fn rpc(&self, user: &str, password: &str, body: &Value) -> anyhow::Result<Answer> {
        let basic = STANDARD.encode(format!("{user}:{password}"));
        let request = self.http.post(format!("{}/erp/rpc/", self.url)).json(body);
        answer(request.header("authorization", format!("Basic {basic}"))).await.context("JSON-RPC")
    }
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let answer = request.send().await.context("no answer")?;
    let status = answer.status().as_u16();
    let text = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = answer.headers().iter().map(text).collect();
    let body = answer.text().await.context("an answer was cut short")?;
    Ok(Answer { status, headers, body })
}

fn id(record: &Value) -> anyhow::Result<u64> {
    record["id"].as_u64().with_context(|| format!("a record without an id: {record}"))
}

fn query(fields: &[&str]) -> String {
    fields.iter().map(|field| format!("&f={field}")).collect()
}

/// JSON as Tryton takes it in a query or a header. The padding is needed.
pub fn base64url(value: &Value) -> String {
    URL_SAFE.encode(value.to_string())
}

/// An amount.
pub fn decimal(amount: &str) -> Value {
    json!({ "__class__": "Decimal", "decimal": amount })
}

/// A day.
pub fn date(year: u16, month: u8, day: u8) -> Value {
    json!({ "__class__": "date", "year": year, "month": month, "day": day })
}
