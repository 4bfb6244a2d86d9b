//! `POST /v1/webhooks/{tenant}/{connection}`: verified, mapped, then the path of every event.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use mapping::{
    Signature,
    signature::{self, Verify},
};
use serde_json::{Value, json};
use tenancy::{Connection, Tenant, TenantSet, Webhook};

use super::{Doors, body};
use crate::{
    incoming::{Draft, salvage},
    intake::{AllAccepted, Read},
    problem::{Problem, codes},
    tenants::Served,
    webhook::{self, SignatureError, decoy},
};

/// A webhook's door: whose it is and how it is verified.
struct Door<'a> {
    tenant: &'a Arc<Tenant>,
    connection: &'a Connection,
    webhook: &'a Webhook,
}

pub(super) async fn accept(
    State(doors): State<Arc<Doors>>,
    Path((tenant, connection)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(body, doors.limits.body_bytes, doors.body_timeout()).await?;
    let now = doors.intake.clock.now_micros() / 1_000_000;
    let tenants = doors.tenants()?;
    let Some(door) = find(&tenants.set, &tenant, &connection) else {
        // The same work as for a webhook that exists, so that time does not tell which do.
        decoy(&bytes);
        return Err(Problem::new(codes::NO_WEBHOOK, "no such tenant, connection, or webhook"));
    };
    let how = doors.connectors.signature(&door.webhook.scheme).map(Arc::as_ref);
    let arrived = Arrived { uri: &uri, headers: &headers, body: &bytes, now };
    let result = take((&doors, &tenants), &door, how, &arrived).await;
    let word = match &result {
        Ok(answer) if answer.status() == StatusCode::OK => "ignored",
        Ok(_) => "accepted",
        Err(problem) => problem.code().code,
    };
    doors.intake.metrics.webhook(&door.tenant.id, &door.connection.name, word);
    if let Err(problem) = &result {
        let fields = problem.field_errors().first().map(|e| format!("{}: {}", e.path, e.message));
        tracing::warn!(
            tenant = %door.tenant.id, connection = door.connection.name, code = word, detail = problem.detail(), fields,
            "webhook refused"
        );
    }
    if how.is_some_and(|how| how.answer == signature::Answer::Empty) { Ok(emptied(result)) } else { result }
}

/// The same with nothing in it, and 200 for all that was accepted: for senders that count anything else as a failure.
fn emptied(result: Result<Response, Problem>) -> Response {
    match result {
        Ok(_) => StatusCode::OK.into_response(),
        Err(problem) => {
            let mut answer = problem.render("").map(|_| Body::empty());
            answer.headers_mut().remove(header::CONTENT_TYPE);
            answer
        }
    }
}

fn find<'a>(tenants: &'a TenantSet, tenant: &str, connection: &str) -> Option<Door<'a>> {
    let tenant = tenants.tenant(&tenant.parse().ok()?)?;
    let connection = tenant.connections.get(connection)?.as_ref();
    Some(Door { tenant, connection, webhook: connection.webhook.as_ref()? })
}

/// A webhook as it came.
struct Arrived<'a> {
    uri: &'a Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
    now: i64,
}

async fn take(
    (doors, tenants): (&Doors, &Served),
    door: &Door<'_>,
    how: Option<&Signature>,
    arrived: &Arrived<'_>,
) -> Result<Response, Problem> {
    let Webhook { scheme, secrets, source, url, .. } = door.webhook;
    let how = how.ok_or_else(|| {
        Problem::new(codes::NO_WEBHOOK, format!("how `{scheme}` signs its webhooks is not known"))
    })?;
    let Arrived { uri, headers, body, now } = *arrived;
    let sent = webhook::Sent { headers, body, method: "POST", url: url.as_deref().unwrap_or_default(), uri };
    webhook::verify(how, secrets, &sent, now).map_err(refused)?;
    let events = events_of(doors, door, how, arrived)?;
    if events.is_empty() {
        return Ok((StatusCode::OK, Json(json!({ "ignored": true }))).into_response());
    }
    doors.intake.admit(tenants, door.tenant, events.len())?;
    let read = |event| {
        Draft::read(event, Some(source)).map_or_else(|wrong| Read::Wrong(wrong, salvage(event)), Read::Draft)
    };
    let ready = doors.intake.prepare(tenants, &door.tenant.id, events.iter().map(read))?;
    let accepted = doors.intake.publish(&door.tenant.id, ready).await?;
    Ok((StatusCode::ACCEPTED, Json(AllAccepted { accepted })).into_response())
}

fn refused(error: SignatureError) -> Problem {
    let code = match error {
        SignatureError::Age(_) => codes::SIGNATURE_AGE,
        SignatureError::Form | SignatureError::Mismatch => codes::SIGNATURE,
    };
    Problem::new(code, error.to_string())
}

/// The canonical events that the connector's program makes of the webhook; none if it is of no interest.
fn events_of(
    doors: &Doors,
    door: &Door<'_>,
    how: &Signature,
    arrived: &Arrived<'_>,
) -> Result<Vec<Value>, Problem> {
    let body: Value = serde_json::from_slice(arrived.body)
        .map_err(|error| Problem::new(codes::MALFORMED, format!("the body is not JSON: {error}")))?;
    let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), Value::String(value.to_str().ok()?.to_owned())))
    };
    let mut headers: serde_json::Map<_, _> = arrived.headers.iter().filter_map(text).collect();
    // A secret that is sent as it is must not get into an event.
    if let (Verify::SharedSecret, Some(secret)) = (how.verify, &how.header) {
        headers.remove(&secret.to_ascii_lowercase());
    }
    let input = json!({ "headers": headers, "body": body, "source": door.webhook.source });
    let program = doors.connectors.webhook(&door.connection.connector).ok_or_else(|| {
        Problem::new(
            codes::MAPPING,
            format!("the connector `{}` maps no webhooks", door.connection.connector),
        )
    })?;
    program.run(input).map_err(|error| Problem::new(codes::MAPPING, crate::objects::chain(&error)))
}
