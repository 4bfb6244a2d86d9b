//! `/health/live`, `/health/ready` and `/metrics`, on a listener of their own.

use std::{io, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use telemetry::Metrics;
use tokio::net::TcpListener;

use crate::{Limits, Readiness, Shutdown, Task, serve};

/// The running admin server. It outlives the drain, so that `/health/ready` can say so; stop it last.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    shutdown: Shutdown,
    server: Task<usize>,
}

impl Admin {
    /// Binds `address` (port 0 picks one) and serves from now on.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr, metrics: Metrics, readiness: Readiness) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shutdown = Shutdown::new();
        let limits = Limits { connections: 64, drain: Duration::from_secs(1), ..Limits::default() };
        let server =
            crate::spawn("admin", serve(listener, router(metrics, readiness), shutdown.clone(), limits));
        tracing::info!(%address, "admin server listens");
        Ok(Self { address, shutdown, server })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server.
    pub async fn stop(self) {
        self.shutdown.trigger();
        if let Err(error) = self.server.await {
            tracing::warn!(%error, "admin server ended badly");
        }
    }
}

fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/health/live", get(async || Json(json!({"status": "live"}))))
        .route("/health/ready", get(ready).with_state(readiness))
        .route("/metrics", get(text).with_state(metrics))
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let report = readiness.report();
    let ready = report.values().all(Option::is_none);
    let (status, word) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let checks: serde_json::Map<_, _> = report
        .into_iter()
        .map(|(name, reason)| {
            let body = match reason {
                None => json!({"ok": true}),
                Some(reason) => json!({"ok": false, "reason": reason}),
            };
            (name.to_owned(), body)
        })
        .collect();
    (status, Json(json!({"status": word, "checks": checks}))).into_response()
}

async fn text(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
