//! The target: a minimal HTTP server that answers `201 {"id": …}` to every write after a while. What it counts it counts
//! cheaply, and looks at once it is asked: it must not be what limits the programs.

use std::{
    cell::RefCell,
    collections::HashMap,
    convert::Infallible,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, task::LocalSet};

use crate::{
    figures::{TRIM, trimmed_rate},
    options::TargetArgs,
};

/// The path of [`Seen`].
pub const REPORT: &str = "/report";
/// What the target prints: its address, and later that all events have come.
pub const LISTENING: &str = "target at ";
pub const COMPLETE: &str = "target complete";
/// Names the event of a write.
pub const EVENT_ID: &str = "x-counterfoil-event-id";
/// Says where among the events of its document a write stands.
pub const VERSION: &str = "x-counterfoil-source-version";

/// What came.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Seen {
    pub writes: usize,
    /// Different events among them.
    pub events: usize,
    /// Writes of a document that came after one of a higher version.
    pub out_of_order: usize,
    /// Writes in a second in the steady state.
    pub rate: Option<f64>,
}

struct Write {
    micros: u64,
    event: u64,
    document: u64,
    version: u64,
}

struct State {
    started: Instant,
    latency: Duration,
    expected: usize,
    hasher: BuildHasherDefault<DefaultHasher>,
    writes: RefCell<Vec<Write>>,
}

/// Serves until it is killed.
pub async fn serve(args: TargetArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let state = Rc::new(State {
        started: Instant::now(),
        latency: Duration::from_millis(args.latency_ms),
        expected: args.events,
        hasher: BuildHasherDefault::default(),
        writes: RefCell::new(Vec::with_capacity(args.events + args.events / 4)),
    });
    println!("{LISTENING}{}", listener.local_addr()?);
    let accept = async move {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let state = Rc::clone(&state);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| answer(Rc::clone(&state), request));
                // A client that goes away ends its connection as it likes.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    };
    LocalSet::new().run_until(accept).await
}

async fn answer(state: Rc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    if head.method == Method::GET {
        return Ok(match head.uri.path() {
            REPORT => json(StatusCode::OK, serde_json::to_vec(&state.seen()).unwrap_or_default()),
            // A look-up: nothing is kept here.
            _ => json(StatusCode::NOT_FOUND, br#"{"error":{"code":"not_found"}}"#.to_vec()),
        });
    }
    state.count(head.uri.path(), &head.headers);
    while let Some(Ok(_)) = body.frame().await {}
    if !state.latency.is_zero() {
        tokio::time::sleep(state.latency).await;
    }
    let id = head.uri.path().rsplit('/').next().unwrap_or_default();
    Ok(json(StatusCode::CREATED, format!(r#"{{"id":"{id}"}}"#).into_bytes()))
}

impl State {
    fn count(&self, path: &str, headers: &HeaderMap) {
        let value = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
        let version = value(VERSION).and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
        let mut writes = self.writes.borrow_mut();
        writes.push(Write {
            micros: self.started.elapsed().as_micros() as u64,
            event: self.hasher.hash_one(value(EVENT_ID)),
            document: self.hasher.hash_one(path),
            version: version.unwrap_or_default(),
        });
        if writes.len() == self.expected {
            println!("{COMPLETE}");
        }
    }

    fn seen(&self) -> Seen {
        let writes = self.writes.borrow();
        let mut events: Vec<u64> = writes.iter().map(|w| w.event).collect();
        events.sort_unstable();
        events.dedup();
        let mut newest = HashMap::new();
        let mut out_of_order = 0;
        for write in writes.iter() {
            let newest = newest.entry(write.document).or_insert(write.version);
            out_of_order += usize::from(write.version < *newest);
            *newest = write.version.max(*newest);
        }
        let instants: Vec<u64> = writes.iter().map(|w| w.micros).collect();
        Seen { writes: writes.len(), events: events.len(), out_of_order, rate: trimmed_rate(&instants, TRIM) }
    }
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
