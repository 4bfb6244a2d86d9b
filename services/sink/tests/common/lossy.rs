//! A proxy that passes requests on and loses answers.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
};

const LARGEST: usize = 1 << 20;

/// Done to the system just before a write is passed on for the first time: it is told the write's address and body.
pub type Meddler = fn(reqwest::Client, String, Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Stands in front of a system. The answer to the first sending of each write is lost after the system has carried it out: the
/// connection breaks off. A repeat of the same bytes, and every look, passes.
pub struct Lossy {
    pub url: String,
    passage: Arc<Passage>,
}

struct Passage {
    system: String,
    client: reqwest::Client,
    meddler: Option<Meddler>,
    seen: Mutex<BTreeSet<(String, Bytes)>>,
    meddled: Mutex<BTreeSet<String>>,
    lost: AtomicUsize,
    conflicts: AtomicUsize,
}

impl Lossy {
    /// Starts on a free port of loopback, in front of `system`; ends with the test's runtime.
    pub async fn before(system: &str) -> Self {
        Self::with(system, None).await
    }

    /// The same, with somebody who comes just before each address is written to for the first time.
    pub async fn with(system: &str, meddler: Option<Meddler>) -> Self {
        let passage = Arc::new(Passage {
            system: system.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            meddler,
            seen: Mutex::default(),
            meddled: Mutex::default(),
            lost: AtomicUsize::new(0),
            conflicts: AtomicUsize::new(0),
        });
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = tokio::net::TcpListener::bind(loopback).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(pass).with_state(Arc::clone(&passage));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, passage }
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.passage.lost.load(Ordering::Relaxed)
    }

    /// How many writes the system refused with 409.
    pub fn conflicts(&self) -> usize {
        self.passage.conflicts.load(Ordering::Relaxed)
    }
}

async fn pass(State(passage): State<Arc<Passage>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await.unwrap();
    let url = format!("{}{}", passage.system, parts.uri);
    let writes = parts.method != "GET";
    if let Some(meddler) = passage.meddler
        && writes
        && passage.meddled.lock().unwrap().insert(parts.uri.to_string())
    {
        meddler(passage.client.clone(), url.clone(), body.clone()).await;
    }
    let mut headers = parts.headers;
    headers.remove("host");
    let sent = passage.client.request(parts.method.clone(), url).headers(headers).body(body.clone()).send();
    let answer = sent.await.unwrap();
    let status = answer.status();
    let kind = answer.headers().get("content-type").cloned();
    let said = answer.bytes().await.unwrap();
    let first = || passage.seen.lock().unwrap().insert((parts.uri.to_string(), body.clone()));
    if status == 409 {
        passage.conflicts.fetch_add(1, Ordering::Relaxed);
    }
    if writes && status.is_success() && first() {
        passage.lost.fetch_add(1, Ordering::Relaxed);
        return Body::new(Cut).into_response();
    }
    let mut response = (status, said).into_response();
    if let Some(kind) = kind {
        response.headers_mut().insert("content-type", kind);
    }
    response
}

/// A body that breaks off.
struct Cut;

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("cut"))))
    }
}
