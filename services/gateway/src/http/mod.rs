//! The doors: routes, and what is common to all requests.

mod auth;
mod body;
mod events;
mod request;
mod webhooks;

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::post,
};
use mapping::connectors::Connectors;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    intake::{Intake, RETRY_LATER},
    options::LimitOptions,
    problem::{Problem, codes},
    tenants::{Served, Tenants},
};

/// What the handlers share.
pub struct Doors {
    /// The path of every event.
    pub intake: Intake,
    /// The tenants, with their keys and webhook secrets.
    pub tenants: Tenants,
    /// The connectors' programs for webhooks.
    pub connectors: Arc<Connectors>,
    /// What clients are granted.
    pub limits: LimitOptions,
}

impl Doors {
    /// The tenants in force.
    ///
    /// # Errors
    /// [`codes::TENANTS_UNKNOWN`]: no key may be called unknown before the tenants are known.
    fn tenants(&self) -> Result<Arc<Served>, Problem> {
        self.tenants.get().ok_or_else(|| {
            let detail = "the gateway has not read yet which tenants there are; nothing was published";
            Problem::new(codes::TENANTS_UNKNOWN, detail).retry_after(RETRY_LATER)
        })
    }

    fn body_timeout(&self) -> Duration {
        self.limits.body_read_timeout
    }
}

/// The gateway's routes.
pub fn router(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/v1/events", post(events::accept))
        .route("/v1/webhooks/{tenant}/{connection}", post(webhooks::accept))
        .fallback(async || Problem::new(codes::NO_ROUTE, "see the documentation for the paths there are"))
        .method_not_allowed_fallback(async || Problem::new(codes::METHOD, "use POST"))
        .with_state(doors.clone())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(doors, request::observe))
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(message, "request handler panicked");
    Problem::new(codes::INTERNAL, "nothing is known to be published; send the request again").into_response()
}
