//! The HTTP client: sends, waits no longer than it may, and says what it knows of the effect.

use std::{
    collections::HashMap,
    error::Error as _,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use delivery::{Answer, ReadBack};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use crate::{
    classify::{forbidden, lost, unreachable},
    egress::{Egress, Guarded, refusal},
    endpoint::{Endpoint, Posting},
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

type Http = legacy::Client<HttpsConnector<Guarded>, Full<Bytes>>;

/// Sends postings and look-ups. Cheap to clone; connections are shared. It follows no redirect, and opens connections to
/// public addresses only, unless [`Client::under`] says otherwise.
#[derive(Clone)]
pub struct Client {
    http: Http,
    family: Arc<Family>,
}

/// A client for each way of guarding, so that no request goes out on a connection that its own guard would not open.
struct Family {
    options: ClientOptions,
    tls: rustls::ClientConfig,
    members: Mutex<HashMap<Egress, Http>>,
}

impl Client {
    /// A client that trusts the certificates that the system trusts.
    pub fn new(options: ClientOptions) -> std::io::Result<Self> {
        let tls = rustls::ClientConfig::builder().with_native_roots()?.with_no_client_auth();
        let family = Arc::new(Family { options, tls, members: Mutex::default() });
        Ok(Self { http: family.member(&Egress::default()), family })
    }

    /// The client whose connections may lead to where `egress` says. Keep it: it is looked up.
    #[must_use]
    pub fn under(&self, egress: &Egress) -> Self {
        Self { http: self.family.member(egress), family: Arc::clone(&self.family) }
    }

    /// Sends a posting once.
    pub async fn send(&self, endpoint: &Endpoint, posting: &Posting, timeout: Duration) -> Answer {
        let (method, uri, headers, body) = endpoint.request(posting);
        match self.exchange(method, uri, headers, body, timeout).await {
            Ok((status, headers, body)) => endpoint.answered(status, &headers, &body),
            Err(answer) => answer,
        }
    }

    /// Looks a posting's document up by its reference.
    pub async fn read_back(&self, endpoint: &Endpoint, posting: &Posting, timeout: Duration) -> ReadBack {
        let Some((method, uri, headers)) = endpoint.lookup(posting) else {
            return ReadBack::Failed(unreachable("the target cannot be read"));
        };
        match self.exchange(method, uri, headers, Bytes::new(), timeout).await {
            Ok((status, headers, body)) => endpoint.seen(posting, status, &headers, &body),
            Err(answer) => ReadBack::Failed(answer),
        }
    }

    /// Status, headers and body of an answer that came in time; otherwise what that means.
    async fn exchange(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(u16, HeaderMap, Bytes), Answer> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| failed(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER)
                .collect()
                .await
                .map_err(|error| lost(&format!("the answer broke off: {error}")))?;
            Ok((head.status.as_u16(), head.headers, body.to_bytes()))
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(lost(&format!("no answer within {} ms", timeout.as_millis()))),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.family.options).finish_non_exhaustive()
    }
}

impl Family {
    fn member(&self, egress: &Egress) -> Http {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.entry(egress.clone()).or_insert_with(|| self.open(egress)).clone()
    }

    fn open(&self, egress: &Egress) -> Http {
        let tcp = Guarded::new(egress.clone(), |tcp| {
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_connect_timeout(Some(self.options.connect_timeout));
        });
        let tls = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(self.options.idle_per_host)
            .build(tls)
    }
}

/// Only an error while connecting is certain to have sent nothing.
fn failed(error: &legacy::Error) -> Answer {
    if let Some(refused) = refusal(error) {
        return forbidden(&refused.to_string());
    }
    let cause = error.source().map_or_else(|| error.to_string(), |source| deepest(source).to_string());
    if error.is_connect() { unreachable(&cause) } else { lost(&cause) }
}

fn deepest<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
