//! A schema registry inside the process, for the demo and for evaluation only.
//!
//! It speaks the part of the Confluent API that Counterfoil's clients use: subjects, versions, schemas by id, lookup,
//! compatibility and its levels, for Avro without references. It keeps everything in memory and forgets it when the
//! process ends, knows no users and no TLS. With records that must stay readable, run a real registry.

mod api;
mod error;
mod store;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use store::Store;

/// A running registry. Dropping it stops it at once.
#[derive(Debug)]
pub struct EmbeddedRegistry {
    address: SocketAddr,
    state: api::Shared,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl EmbeddedRegistry {
    /// Starts an empty registry; port 0 takes a free one.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = api::Shared {
            store: Arc::new(Mutex::new(Store::default())),
            available: Arc::new(AtomicBool::new(true)),
            refused: Arc::default(),
        };
        let router = api::router(state.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            // A dropped sender stops it too.
            let serve =
                axum::serve(listener, router).with_graceful_shutdown(async move { drop(stopped.await) });
            if let Err(error) = serve.await {
                tracing::error!(%error, "embedded registry stopped");
            }
        });
        Ok(Self { address, state, stop: Some(stop), server })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to give to clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes it answer 503 to everything, and back. For tests of what depends on a registry.
    pub fn set_available(&self, available: bool) {
        self.state.available.store(available, Ordering::SeqCst);
    }

    /// How many requests it has answered with 503.
    pub fn refused(&self) -> u64 {
        self.state.refused.load(Ordering::SeqCst)
    }

    /// Stops it: answers what it was asked, then ends.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        if let Err(error) = (&mut self.server).await {
            tracing::error!(%error, "embedded registry did not stop cleanly");
        }
    }
}

impl Drop for EmbeddedRegistry {
    fn drop(&mut self) {
        self.server.abort();
    }
}
