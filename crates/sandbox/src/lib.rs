//! A sandbox ERP: a small business system over HTTP that keeps its documents in memory, for the demo, for evaluation and
//! as the oracle in tests.
//!
//! It does three things and keeps them apart:
//! - the ERP, `/{account}/api/v1/{collection}`: documents with numbers of its own, and per account one of the three
//!   protections against repeats that real systems have ([`Idempotency`]);
//! - faults, told to it per account ([`Change`]): slow, throttled, failing, down, answers lost, applied late;
//! - the oracle, `/admin/…` ([`Summary`], [`EffectPage`]): every durable change is counted where it happens, by event id
//!   and by external id, whatever the protection did, so that a duplicate, a loss or a wrong order is seen.
//!
//! What is in memory only is gone when the process ends: in a fault test, kill what is being tested, not this.
//! The admin API has no authentication of its own: keep it on loopback.

mod account;
mod admin;
mod answer;
mod api;
mod body;
mod collection;
mod effects;
mod faults;
mod keys;
mod log;
mod page;
mod recent;
mod refusal;
mod report;
mod server;
mod settings;
mod shelf;
mod world;
mod write;

use std::{io, net::SocketAddr};

use axum::Router;

use refusal::Refusal;

pub use collection::Collection;
pub use log::{Fate, RequestPage, RequestRow};
pub use report::{AccountSummary, EffectPage, EffectRow, EntityPage, EntityRow, Requests, Summary, Totals};
pub use server::Handle;
pub use settings::{Change, Idempotency, Settings};
pub use world::Sandbox;

/// An admin request the sandbox refuses: a bad account name, a value out of its range.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    message: String,
}

impl Sandbox {
    /// The ERP alone, to be served apart from the admin API. A served router can lose answers only under
    /// [`Sandbox::start`]: elsewhere a lost answer shows as a 500 with the code `hung_up`.
    pub fn erp_router(&self) -> Router {
        complete(api::router(self.clone()))
    }

    /// The admin API and the page at `/`.
    pub fn admin_router(&self) -> Router {
        complete(admin::router(self.clone()).merge(page::router(self.clone())))
    }

    /// ERP, admin API and page in one.
    pub fn router(&self) -> Router {
        let admin = admin::router(self.clone()).merge(page::router(self.clone()));
        complete(api::router(self.clone()).merge(admin))
    }

    /// Serves ERP, admin API and page at `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start(&self, addr: SocketAddr) -> io::Result<Handle> {
        server::start(addr, self.router()).await
    }

    /// Serves the ERP alone at `addr`.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start_erp(&self, addr: SocketAddr) -> io::Result<Handle> {
        server::start(addr, self.erp_router()).await
    }

    /// Serves the admin API and the page alone at `addr`.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start_admin(&self, addr: SocketAddr) -> io::Result<Handle> {
        server::start(addr, self.admin_router()).await
    }
}

/// Gives what no route answers the form of every other error.
fn complete(router: Router) -> Router {
    router
        .fallback(|| async { Refusal::NotFound("resource") })
        .method_not_allowed_fallback(|| async { Refusal::MethodNotAllowed })
}
