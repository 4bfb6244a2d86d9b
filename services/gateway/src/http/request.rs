//! Around every request: its id, its metrics, its problem document.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use uuid::Uuid;

use super::Doors;
use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken over from the client, in bytes.
const MAX_REQUEST_ID: usize = 64;

pub(super) async fn observe(State(doors): State<Arc<Doors>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let _in_flight = doors.intake.metrics.begin();
    let id = request_id(request.headers());
    let route = route(request.uri().path());
    let mut answer = next.run(request).await;
    if let Some(problem) = answer.extensions_mut().remove::<Problem>() {
        let code = problem.code();
        tracing::debug!(
            request_id = id,
            route,
            code = code.code,
            detail = problem.detail(),
            "request refused"
        );
        // Headers of the plain answer, such as Allow, stay.
        let (mut parts, body) = problem.render(&id).into_parts();
        for (name, value) in answer.headers() {
            parts.headers.entry(name).or_insert_with(|| value.clone());
        }
        parts.headers.remove(axum::http::header::CONTENT_LENGTH);
        answer = Response::from_parts(parts, body);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, value);
    }
    doors.intake.metrics.request(route, answer.status().as_u16(), start.elapsed().as_secs_f64());
    answer
}

/// The client's id where it is harmless, otherwise a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// The route's name, for labels: paths come from outside and are without number.
fn route(path: &str) -> &'static str {
    if path == "/v1/events" {
        "events"
    } else if path.starts_with("/v1/webhooks/") {
        "webhooks"
    } else {
        "other"
    }
}
