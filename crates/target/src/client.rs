//! The HTTP client: sends, waits no longer than it may, and says what it knows of the effect.

use std::{
    collections::HashMap,
    error::Error as _,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use delivery::{Answer, ReadBack};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use crate::{
    Endpoint, Posting, Standing,
    call::Wire,
    classify::Broken,
    definition::Transport,
    egress::{Egress, Guarded, refusal},
    feed::{Page, Walk, WalkError},
    operation::Run,
    signals::Told,
    together::apart,
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
    /// Who hears what answers tell beside what they answer.
    pub(crate) told: Option<Told>,
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
        Ok(Self { http: family.member(&Egress::default()), family, told: None })
    }

    /// The client whose connections may lead to where `egress` says. Keep it: it is looked up.
    #[must_use]
    pub fn under(&self, egress: &Egress) -> Self {
        Self { http: self.family.member(egress), family: Arc::clone(&self.family), told: self.told.clone() }
    }

    /// The client whose requests let `told` know what their answers tell of the limits of the account.
    #[must_use]
    pub fn telling(self, told: &Told) -> Self {
        Self { told: Some(told.clone()), ..self }
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

    /// Sends several postings in one request, and answers for each, in their order. They share [`Endpoint::share`]'s kind.
    pub async fn send_together(
        &self,
        endpoint: &Endpoint,
        postings: &[&Posting],
        timeout: Duration,
    ) -> Vec<Answer> {
        let nobody = Posting::asking();
        match &endpoint.bulk {
            Some(bulk) => self.run(endpoint, &nobody, timeout).carry_out_together(bulk, postings).await,
            None => postings.iter().map(|_| apart()).collect(),
        }
    }

    /// Looks a posting's document up by its reference. The standing says where the next [`Client::send`] goes on.
    pub async fn read_back(
        &self,
        endpoint: &Endpoint,
        posting: &Posting,
        timeout: Duration,
    ) -> (ReadBack, Option<Standing>) {
        self.run(endpoint, posting, timeout).read_back().await
    }

    /// Asks for what is left of a limit; `which` counts the questions of [`Endpoint::probes`]. What the answer says goes to whoever
    /// the client is [telling](Client::telling).
    ///
    /// # Errors
    /// Why nothing is known: nothing else depends on it.
    pub async fn probe(
        &self,
        endpoint: &Endpoint,
        which: usize,
        timeout: Duration,
    ) -> Result<(), delivery::Reason> {
        let Some(probe) = endpoint.probe(which) else { return Ok(()) };
        self.run(endpoint, &Posting::asking(), timeout).probe(probe).await
    }

    /// The next page of a walk through what has changed at the system ([`Endpoint::walk`]); none at the end.
    ///
    /// # Errors
    /// Why it cannot be read. The walk is over then; asking changes nothing, so another one can begin.
    pub async fn page(
        &self,
        endpoint: &Endpoint,
        walk: &mut Walk,
        timeout: Duration,
    ) -> Result<Option<Page>, WalkError> {
        let (Some(feed), Some(ask)) = (&endpoint.feed, walk.ask()) else { return Ok(None) };
        let posting = Posting::asking();
        let reply = self.run(endpoint, &posting, timeout).ask(feed, walk.since_us, ask).await?;
        if let Some(before) = walk.again() {
            let again = self.run(endpoint, &posting, timeout).ask(feed, walk.since_us, before).await?;
            walk.compare(&again)?;
        }
        walk.take(feed, reply).map(Some)
    }

    fn run<'a>(&'a self, endpoint: &'a Endpoint, posting: &'a Posting, timeout: Duration) -> Run<'a> {
        let deadline = Instant::now() + timeout;
        Run {
            client: self,
            endpoint,
            posting,
            repeats: false,
            deadline,
            session: parking_lot::Mutex::default(),
            retry_after: parking_lot::Mutex::default(),
        }
    }

    /// Status, headers and body of an answer that came in time; otherwise what became of the exchange.
    pub(crate) async fn exchange(
        &self,
        wire: Wire,
        timeout: Duration,
    ) -> Result<(u16, HeaderMap, Bytes), Broken> {
        self.exchange_within(wire, timeout, MAX_ANSWER).await
    }

    /// The same, with a limit on the answer's size of its own.
    pub(crate) async fn exchange_within(
        &self,
        wire: Wire,
        timeout: Duration,
        max_answer: usize,
    ) -> Result<(u16, HeaderMap, Bytes), Broken> {
        let mut request = Request::new(Full::new(wire.body));
        *request.method_mut() = wire.method;
        *request.uri_mut() = wire.uri;
        *request.headers_mut() = wire.headers;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| failed(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, max_answer)
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
fn failed(error: &legacy::Error) -> Broken {
    if let Some(refused) = refusal(error) {
        return Broken::Forbidden(refused.to_string());
    }
    let cause = error.source().map_or_else(|| error.to_string(), |source| deepest(source).to_string());
    if error.is_connect() { Broken::Unreachable(cause) } else { Broken::Lost(Transport::Reset, cause) }
}

fn deepest<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
