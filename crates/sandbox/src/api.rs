//! The ERP over HTTP.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body as HttpBody,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    account::{Account, Admission, Body, Reply, Step},
    answer::{etag, json_response},
    body,
    collection::Collection,
    faults::Verdict,
    refusal::Refusal,
    server::hang_up,
    shelf::Shown,
    world::Sandbox,
    write::Write,
};

const MAX_PAGE: usize = 1_000;
const DEFAULT_PAGE: usize = 100;

pub(crate) fn router(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/{account}/api/v1/{collection}", post(create).get(list))
        .route("/{account}/api/v1/{collection}/by-external-id/{external_id}", put(upsert).get(find))
        .route("/{account}/api/v1/{collection}/bulk", post(create_several).put(upsert_several))
        .route("/{account}/api/v1/{collection}/{id}", get(fetch))
        .route_layer(from_fn_with_state(sandbox.clone(), tell_allowance))
        .with_state(sandbox)
}

/// Tells on every answer what is left of the account's limit, if it has one: requests, the whole, and seconds until then.
async fn tell_allowance(
    State(sandbox): State<Sandbox>,
    Path(Place { account }): Path<Place>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let account = sandbox.account(&account).ok();
    if let Some((limit, left)) = account.and_then(|account| account.allowance()) {
        let told = [("x-ratelimit-limit", limit), ("x-ratelimit-remaining", left), ("x-ratelimit-reset", 1)];
        let told = told.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value)));
        response.headers_mut().extend(told);
    }
    response
}

#[derive(Deserialize)]
struct Place {
    account: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Reply::from(&self).into_response()
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Answer { answer, replayed } => answer.into_response(replayed),
            Self::HangUp => hang_up(),
        }
    }
}

/// Lets a request in: its account, its collection, and the delay it is to take.
fn enter(
    sandbox: &Sandbox,
    account: &str,
    collection: &str,
    write: bool,
    headers: &HeaderMap,
) -> Result<(Arc<Account>, Collection, Duration), Reply> {
    let account = sandbox.account(account).map_err(|refusal| Reply::from(&refusal))?;
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let delay = match account.admit(write, bearer.and_then(|value| value.strip_prefix("Bearer "))) {
        Admission::Admitted(delay) => delay,
        Admission::Refused(refusal) => return Err((&refusal).into()),
        Admission::HangUp => return Err(Reply::HangUp),
    };
    match collection.parse() {
        Ok(collection) => Ok((account, collection, delay)),
        Err(()) => {
            let refusal = Refusal::UnknownCollection(collection.to_owned());
            Err(account.refuse(&refusal))
        }
    }
}

async fn create(
    State(sandbox): State<Sandbox>,
    Path((account, collection)): Path<(String, String)>,
    request: Request,
) -> Response {
    write(sandbox, account, collection, None, request).await
}

async fn upsert(
    State(sandbox): State<Sandbox>,
    Path((account, collection, external_id)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    write(sandbox, account, collection, Some(external_id), request).await
}

async fn create_several(
    State(sandbox): State<Sandbox>,
    Path((account, collection)): Path<(String, String)>,
    request: Request,
) -> Response {
    several(sandbox, account, collection, true, request).await
}

async fn upsert_several(
    State(sandbox): State<Sandbox>,
    Path((account, collection)): Path<(String, String)>,
    request: Request,
) -> Response {
    several(sandbox, account, collection, false, request).await
}

async fn several(
    sandbox: Sandbox,
    account: String,
    collection: String,
    create: bool,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let (account, collection, delay) = match enter(&sandbox, &account, &collection, true, &parts.headers) {
        Ok(entered) => entered,
        Err(reply) => return reply.into_response(),
    };
    let read = body::read(body).await;
    let items = read.and_then(|bytes| body::parse::<Body>(&bytes)?.writes(collection, create));
    let items = match items {
        Ok(items) => items,
        Err(refusal) => return account.refuse(&refusal).into_response(),
    };
    match account.begin_bulk() {
        Ok(verdict) => {
            let complete = move |account: &Account| account.complete_bulk(items, verdict);
            later(account, delay, verdict, complete).await.into_response()
        }
        Err(reply) => reply.into_response(),
    }
}

async fn write(
    sandbox: Sandbox,
    account: String,
    collection: String,
    external_id: Option<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let entered = enter(&sandbox, &account, &collection, true, &parts.headers);
    let (account, collection, delay) = match entered {
        Ok(entered) => entered,
        Err(reply) => return reply.into_response(),
    };
    let read = body::read(body).await;
    let write =
        read.and_then(|bytes| Write::read(collection, external_id.as_deref(), &parts.headers, &bytes));
    let write = match write {
        Ok(write) => write,
        Err(refusal) => return account.refuse(&refusal).into_response(),
    };
    match account.begin(write, delay) {
        Step::Done(reply) => reply.into_response(),
        Step::Later(delay, write, verdict) => {
            let complete = move |account: &Account| account.complete(*write, verdict);
            later(account, delay, verdict, complete).await.into_response()
        }
    }
}

/// Carries a delayed write out. In a task of its own: the client giving up must not stop it.
async fn later(
    account: Arc<Account>,
    delay: Duration,
    verdict: Verdict,
    complete: impl FnOnce(&Account) -> Reply + Send + 'static,
) -> Reply {
    let late = if let Verdict::ApplyLate(late) = verdict { late } else { Duration::ZERO };
    let task = tokio::spawn(async move {
        tokio::time::sleep(delay + late).await;
        complete(&account)
    });
    if !late.is_zero() {
        tokio::time::sleep(delay).await;
        return Reply::HangUp;
    }
    task.await.unwrap_or(Reply::HangUp)
}

async fn find(
    State(sandbox): State<Sandbox>,
    Path((account, collection, external_id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    read(sandbox, account, collection, headers, |account, collection| {
        let mut state = account.lock();
        let shelf = state.shelves.get(&collection);
        let found = shelf.and_then(|shelf| shelf.by_external_id(&external_id).map(|d| one(&shelf.show(d))));
        if state.settings.log_requests {
            state.log.look(collection, &external_id, found.is_some());
        }
        found
    })
    .await
}

async fn fetch(
    State(sandbox): State<Sandbox>,
    Path((account, collection, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    read(sandbox, account, collection, headers, |account, collection| {
        let state = account.lock();
        let shelf = state.shelves.get(&collection);
        shelf.and_then(|shelf| shelf.by_id(&id).map(|d| one(&shelf.show(d))))
    })
    .await
}

#[derive(Deserialize)]
struct Paging {
    limit: Option<usize>,
    after: Option<String>,
}

#[derive(Serialize)]
struct Listing<'a> {
    data: Vec<Shown<'a>>,
    /// The `after` of the next page.
    next: Option<&'a str>,
}

async fn list(
    State(sandbox): State<Sandbox>,
    Path((account, collection)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let paging: Paging = match query(&uri) {
        Ok(paging) => paging,
        Err(refusal) => return refusal.into_response(),
    };
    read(sandbox, account, collection, headers, |account, collection| {
        let state = account.lock();
        let limit = paging.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let Some(shelf) = state.shelves.get(&collection) else {
            return paging.after.is_none().then(|| json(&Listing { data: Vec::new(), next: None }));
        };
        let page = shelf.page(paging.after.as_deref(), limit)?;
        let next =
            page.last().map(|d| &*d.id).filter(|id| shelf.page(Some(id), 1).is_some_and(|p| !p.is_empty()));
        Some(json(&Listing { data: page.iter().map(|d| shelf.show(d)).collect(), next }))
    })
    .await
}

/// Answers a GET with what `look` finds, or 404.
async fn read(
    sandbox: Sandbox,
    account: String,
    collection: String,
    headers: HeaderMap,
    look: impl FnOnce(&Account, Collection) -> Option<Response>,
) -> Response {
    let (account, collection, delay) = match enter(&sandbox, &account, &collection, false, &headers) {
        Ok(entered) => entered,
        Err(reply) => return reply.into_response(),
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    look(&account, collection)
        .unwrap_or_else(|| account.refuse(&Refusal::NotFound("document")).into_response())
}

fn one(document: &Shown<'_>) -> Response {
    let mut response = json(document);
    response.headers_mut().insert(header::ETAG, etag(document.version));
    response
}

/// The query's parameters. Not axum's extractor, whose refusal is not JSON.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let refused = |_| Refusal::BadQuery(uri.query().unwrap_or_default().to_owned());
    Query::try_from_uri(uri).map(|Query(parameters)| parameters).map_err(refused)
}

pub(crate) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => json_response(StatusCode::OK, HttpBody::from(bytes)),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
