//! The admin API: settings and faults of an account in, the oracle's findings out.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use crate::{
    api::{json, query},
    body,
    refusal::Refusal,
    report::{EffectPage, EntityPage},
    settings::Change,
    world::Sandbox,
};

const MAX_PAGE: usize = 10_000;
const DEFAULT_PAGE: usize = 1_000;

pub(crate) fn router(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/admin/summary", get(summary))
        .route("/admin/accounts/{account}", get(show).put(change).delete(reset))
        .route("/admin/accounts/{account}/effects", get(effects))
        .route("/admin/accounts/{account}/entities", get(entities))
        .route("/admin/accounts/{account}/requests", get(log))
        .route("/admin/accounts/{account}/requests/count", get(requests))
        .with_state(sandbox)
}

#[derive(Deserialize)]
struct Paging {
    after: Option<usize>,
    limit: Option<usize>,
}

impl Paging {
    fn after(&self) -> usize {
        self.after.unwrap_or(0)
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE)
    }
}

async fn summary(State(sandbox): State<Sandbox>) -> Response {
    json(&sandbox.summary())
}

async fn show(State(sandbox): State<Sandbox>, Path(account): Path<String>) -> Result<Response, Refusal> {
    let account = sandbox.existing(&account)?;
    let settings = account.lock().settings.clone();
    Ok(json(&settings))
}

async fn change(
    State(sandbox): State<Sandbox>,
    Path(account): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let change: Change = body::parse(&body::read(body).await?)?;
    change.check()?;
    Ok(json(&sandbox.account(&account)?.change(change)?))
}

async fn reset(State(sandbox): State<Sandbox>, Path(account): Path<String>) -> Result<StatusCode, Refusal> {
    sandbox.reset(&account)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn effects(
    State(sandbox): State<Sandbox>,
    Path(account): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let paging: Paging = query(&uri)?;
    let effects = sandbox.existing(&account)?.lock().effects.rows(paging.after(), paging.limit());
    let next = effects.last().map(|row| row.position).filter(|_| effects.len() == paging.limit());
    Ok(json(&EffectPage { effects, next }))
}

async fn entities(
    State(sandbox): State<Sandbox>,
    Path(account): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let paging: Paging = query(&uri)?;
    let entities = sandbox.existing(&account)?.lock().effects.entities(paging.after(), paging.limit());
    let next = entities.last().map(|row| row.position).filter(|_| entities.len() == paging.limit());
    Ok(json(&EntityPage { entities, next }))
}

async fn log(
    State(sandbox): State<Sandbox>,
    Path(account): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let paging: Paging = query(&uri)?;
    let page = sandbox.existing(&account)?.lock().log.page(paging.after(), paging.limit());
    Ok(json(&page))
}

async fn requests(State(sandbox): State<Sandbox>, Path(account): Path<String>) -> Result<Response, Refusal> {
    let requests = sandbox.existing(&account)?.lock().requests;
    Ok(json(&requests).into_response())
}
