//! `POST /v1/events`.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use super::{Doors, auth, body};
use crate::{
    incoming::{Draft, Incoming, MediaType, is_traceparent},
    intake::{AllAccepted, Read},
    problem::{Problem, codes},
};

/// Key, media type and length are looked at before the body is.
pub(super) async fn accept(
    State(doors): State<Arc<Doors>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let tenants = doors.tenants()?;
    let tenant = auth::tenant(&tenants.set, &headers)?;
    let media = MediaType::of(&headers)?;
    let bytes = body::read(body, doors.limits.body_bytes, doors.body_timeout()).await?;
    let incoming = Incoming::parse(media, &headers, &bytes)?;
    let count = incoming.events.len();
    if count > doors.limits.batch_events {
        let detail =
            format!("{count} events in one request, at most {} are taken", doors.limits.batch_events);
        return Err(Problem::new(codes::BATCH_TOO_LARGE, detail));
    }
    doors.intake.admit(&tenants, tenant, count)?;
    // The trace of the call is the events', unless they bring their own.
    let trace = headers.get("traceparent").and_then(|v| v.to_str().ok()).filter(|text| is_traceparent(text));
    let read = |index| match incoming.draft(index) {
        Ok(draft) => Read::Draft(Draft { traceparent: draft.traceparent.or(trace), ..draft }),
        Err(wrong) => Read::Wrong(wrong, incoming.salvage(index)),
    };
    let ready = doors.intake.prepare(&tenants, &tenant.id, (0..count).map(read))?;
    drop(incoming);
    let accepted = doors.intake.publish(&tenant.id, ready).await?;
    Ok((StatusCode::ACCEPTED, Json(AllAccepted { accepted })).into_response())
}
