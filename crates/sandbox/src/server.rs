//! Serving, with connections that can be closed instead of answered.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::answer::json_response;

const MAX_CONNECTIONS: usize = 10_000;
/// Counts for idle connections too: long, so that a client's pool never meets a closing connection by accident.
const HEADER_TIMEOUT: Duration = Duration::from_secs(300);
const DRAIN: Duration = Duration::from_secs(2);

/// Marks a response that must not be sent.
#[derive(Clone)]
struct HungUp;

/// Ends a connection: hyper drops it when its service fails, without a byte of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
struct Severed;

/// The response of a handler that wants its connection closed without an answer.
pub(crate) fn hang_up() -> Response<Body> {
    let body = json!({"error": {"code": "hung_up", "message": Severed.to_string(), "field": null}});
    let mut response = json_response(StatusCode::INTERNAL_SERVER_ERROR, body.to_string());
    response.extensions_mut().insert(HungUp);
    response
}

/// A running listener. Dropping the handle stops it too, without waiting.
pub struct Handle {
    /// The address listened on.
    pub addr: SocketAddr,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Handle {
    /// `http://ADDR`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops accepting, lets requests being worked on finish for up to 2 s, then closes what is left.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "listener ended in a panic");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) async fn start(addr: SocketAddr, router: Router) -> io::Result<Handle> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(accept(listener, router, stop.clone()));
    Ok(Handle { addr, stop, task: Some(task) })
}

async fn accept(listener: TcpListener, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = next(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    serve(stream, router, stop).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: waiting lets connections end.
                tracing::warn!(%error, "connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!(left = connections.len(), "connections closed while busy");
    }
}

async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

async fn serve(stream: TcpStream, router: Router, stop: CancellationToken) {
    let service =
        service_fn(move |request: hyper::Request<Incoming>| answer(router.clone(), request.map(Body::new)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "connection ended");
    }
}

async fn answer(mut router: Router, request: Request) -> Result<Response<Body>, Severed> {
    let response = match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never as Infallible {},
    };
    if response.extensions().get::<HungUp>().is_some() { Err(Severed) } else { Ok(response) }
}
