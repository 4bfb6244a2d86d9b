//! An HTTP/1.1 server with limits, that finishes what it began.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use crate::Shutdown;

/// How long to wait after a failed `accept`, for example when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server grants its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time; further ones wait in the listener's backlog.
    pub connections: usize,
    /// For a request's head to arrive; an idle connection is closed after it too.
    pub header_read_timeout: Duration,
    /// For requests in flight to finish once shutdown has begun.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            header_read_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

/// Serves `router` until `shutdown`, then stops accepting, lets requests in flight finish for `limits.drain` and closes
/// what is left. Returns the number of connections that had to be cut.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown, limits: Limits) -> usize {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let stop = shutdown.triggered();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => match accepted {
                Ok((stream, slot)) => {
                    connections.spawn(connection(stream, slot, router.clone(), shutdown.clone(), limits));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            // Ended connections are taken out as they end, or the set would grow for ever.
            Some(ended) = connections.join_next() => log_panic(ended),
        }
    }
    drop(listener);
    drain(connections, limits.drain).await
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

async fn connection(
    stream: TcpStream,
    slot: OwnedSemaphorePermit,
    router: Router,
    shutdown: Shutdown,
    limits: Limits,
) {
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(http);
    let ended = tokio::select! {
        ended = http.as_mut() => ended,
        () = shutdown.triggered() => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
    drop(slot);
}

async fn drain(mut connections: JoinSet<()>, deadline: Duration) -> usize {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    if tokio::time::timeout(deadline, all).await.is_err() {
        tracing::warn!(connections = connections.len(), "drain deadline passed, cutting connections");
    }
    let cut = connections.len();
    connections.shutdown().await;
    cut
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "request handler panicked");
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
