//! The HTTP client: sends, waits no longer than it may, and says what it knows of the effect.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use bytes::Bytes;
use delivery::{Answer, ReadBack};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::{
    Endpoint, Posting, Standing, call::Wire, classify::Broken, definition::Transport, operation::Run,
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// How the client behaves.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// The longest wait for a connection. Shorter than any request's deadline, so that a target that is not there
    /// is told from one that does not answer.
    pub connect_timeout: Duration,
    /// Idle connections kept for each host.
    pub idle_per_host: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(1), idle_per_host: 256 }
    }
}

/// Sends postings and look-ups. Cheap to clone; connections are shared. It follows no redirect.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// A client that trusts the certificates that the system trusts.
    pub fn new(options: ClientOptions) -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        let tls = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(options.idle_per_host)
            .build(tls);
        Ok(Self { http })
    }

    /// Sends a posting. `attempt` is 1 for the first time; `standing` is what the last look has found of it at the target.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        posting: &Posting,
        (attempt, standing): (u32, Option<&Standing>),
        timeout: Duration,
    ) -> Answer {
        let run = Run { repeats: attempt > 1, ..self.run(endpoint, posting, timeout) };
        run.carry_out(standing).await
    }

    /// Looks a posting's document up by its reference. The standing says where the next [`Client::send`] goes on.
    pub async fn read_back(
        &self,
        endpoint: &Endpoint,
        posting: &Posting,
        timeout: Duration,
    ) -> (ReadBack, Option<Standing>) {
        self.run(endpoint, posting, timeout).look().await
    }

    fn run<'a>(&'a self, endpoint: &'a Endpoint, posting: &'a Posting, timeout: Duration) -> Run<'a> {
        Run { client: self, endpoint, posting, repeats: false, deadline: Instant::now() + timeout }
    }

    /// Status, headers and body of an answer that came in time; otherwise what became of the exchange.
    pub(crate) async fn exchange(
        &self,
        wire: Wire,
        timeout: Duration,
    ) -> Result<(u16, HeaderMap, Bytes), Broken> {
        let mut request = Request::new(Full::new(wire.body));
        *request.method_mut() = wire.method;
        *request.uri_mut() = wire.uri;
        *request.headers_mut() = wire.headers;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| failed(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER)
                .collect()
                .await
                .map_err(|error| Broken::Lost(Transport::Reset, format!("the answer broke off: {error}")))?;
            Ok((head.status.as_u16(), head.headers, body.to_bytes()))
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| {
            let what = format!("no answer within {:.0} ms", timeout.as_secs_f64() * 1_000.0);
            Err(Broken::Lost(Transport::Timeout, what))
        })
    }
}

/// Only an error while connecting is certain to have sent nothing.
fn failed(error: &legacy::Error) -> Broken {
    let cause = error.source().map_or_else(|| error.to_string(), |source| deepest(source).to_string());
    if error.is_connect() { Broken::Unreachable(cause) } else { Broken::Lost(Transport::Reset, cause) }
}

fn deepest<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
