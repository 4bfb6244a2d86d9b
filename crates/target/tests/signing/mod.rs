//! A system of the test's own on loopback, which signs in as it is told, and what is sent to it.

#![allow(clippy::unwrap_used, dead_code)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};
use bytes::Bytes;
use delivery::{Answer, OnUnknown};
use event::{EventId, PostingKey, RouteId};
use secrecy::SecretString;
use target::{
    Access, Account, Authenticator, Client, ClientOptions, Connector, Egress, Endpoint, EndpointError,
    Secrets, TokenStore,
};
use uuid::Uuid;

/// A request as the system saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A field of the form that it brings.
    pub fn field(&self, name: &str) -> String {
        let pair = self.body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        percent_encoding::percent_decode_str(pair.unwrap_or_default()).decode_utf8().unwrap().into_owned()
    }
}

/// Status, headers and body.
pub type Reply = (u16, Vec<(&'static str, String)>, String);

pub fn reply(status: u16, body: impl Into<String>) -> Reply {
    (status, Vec::new(), body.into())
}

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Clone)]
pub struct System {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Script,
    delay: Duration,
}

impl System {
    /// Starts it on a free port. It ends with the test's runtime.
    pub async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::slow(Duration::ZERO, script).await
    }

    /// One that takes its time for requests that begin with `POST /token`.
    pub async fn slow(delay: Duration, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = tokio::net::TcpListener::bind(loopback).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let system = Self { url, seen: Arc::default(), script: Arc::new(script), delay };
        let router = Router::new().fallback(answer).with_state(system.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        system
    }

    /// The requests whose first line begins with `line`.
    pub fn seen(&self, line: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.line.starts_with(line)).cloned().collect()
    }
}

async fn answer(State(system): State<System>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let line = format!("{} {}", head.method, head.uri.path_and_query().unwrap());
    let seen = Seen { line, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() };
    if seen.line.starts_with("POST /token") {
        tokio::time::sleep(system.delay).await;
    }
    let (status, headers, body) = (system.script)(&seen);
    system.seen.lock().unwrap().push(seen);
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

/// A connector that writes documents, with `more` in its definition.
pub fn connector(more: &str) -> Connector {
    let yaml = format!(
        "connector: small\nrevision: 1\nclass: keyed\nkey: {{place: header, name: Idempotency-Key, window: 24h}}\n\
         errors: {{rules: []}}\nobjects:\n  invoice:\n    path: /docs\n    \
         keyed: {{request: \"POST {{{{path}}}}\", ok: [200]}}\n{more}"
    );
    Connector::parse("small", &yaml).unwrap_or_else(|error| {
        panic!("{error}: {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default())
    })
}

pub fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

pub fn client() -> Client {
    let options = ClientOptions { connect_timeout: Duration::from_millis(500), ..ClientOptions::default() };
    Client::new(options).unwrap().under(&Egress { private: true, networks: Vec::new() })
}

/// A connection to the system.
pub struct Rig {
    pub endpoint: Endpoint,
    pub client: Client,
}

/// What a connection gives.
#[derive(Default)]
pub struct Gives {
    pub values: Vec<(&'static str, String)>,
    pub secrets: Secrets,
    pub store: Option<Arc<dyn TokenStore>>,
    pub base_url: Option<String>,
}

impl Rig {
    pub fn new(more: &str, gives: &Gives) -> Self {
        Self::try_new(more, gives).unwrap()
    }

    pub fn try_new(more: &str, gives: &Gives) -> Result<Self, EndpointError> {
        let connector = connector(more);
        let values: BTreeMap<String, String> =
            gives.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let access = Access {
            of: ("acme", "erp"),
            base_url: gives.base_url.as_deref(),
            values: &values,
            secrets: &gives.secrets,
            store: gives.store.as_ref(),
        };
        let auth = Arc::new(Authenticator::new(&connector, &access)?);
        let account = Account {
            base_url: gives.base_url.as_deref(),
            class: None,
            on_unknown: OnUnknown::Park,
            auth: Some(&auth),
            values: &values,
        };
        let endpoint = Endpoint::new(&connector, "invoice", &account)?;
        Ok(Self { endpoint, client: client() })
    }

    pub async fn send(&self) -> Answer {
        self.send_within(Duration::from_secs(5)).await
    }

    pub async fn send_within(&self, timeout: Duration) -> Answer {
        let key = PostingKey { event: EventId(Uuid::from_u128(1)), route: RouteId(1), generation: 0 };
        let posting = self.endpoint.posting(key, "INV-1", 1, Bytes::from_static(b"{\"total\":1}")).unwrap();
        self.client.send(&self.endpoint, &posting, (1, None), timeout).await
    }

    pub async fn applied(&self) {
        let answer = self.send().await;
        assert!(matches!(answer, Answer::Applied { .. }), "{answer:?}");
    }
}

/// Code, and the wait that was asked for, of a posting that waits.
pub fn waits(answer: &Answer) -> (&str, Option<u64>) {
    let Answer::Again { reason, after_ms, .. } = answer else { panic!("{answer:?}") };
    (&reason.code, *after_ms)
}
