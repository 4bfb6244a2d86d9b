//! The routes of the Confluent API.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::header::CONTENT_TYPE,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    error::{ApiError, MEDIA_TYPE},
    store::{Store, Version},
};

/// The largest request body, in bytes.
const MAX_BODY: usize = 1 << 20;

#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Mutex<Store>>,
    pub(crate) available: Arc<AtomicBool>,
    /// Requests answered with 503.
    pub(crate) refused: Arc<AtomicU64>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A JSON answer in the API's media type.
struct Reply<T>(T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let body = json!(self.0).to_string();
        ([(CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
    }
}

type Answer<T> = Result<Reply<T>, ApiError>;

pub(crate) fn router(state: Shared) -> Router {
    Router::new()
        .route("/", get(async || Reply(json!({}))))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(lookup))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/schemas/ids/{id}", get(schema))
        .route("/compatibility/subjects/{subject}/versions", post(check_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(check_one))
        .route("/config", get(default_level).put(set_default_level))
        .route("/config/{subject}", get(level).put(set_level))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(state.clone(), refuse_while_unavailable))
        .with_state(state)
}

async fn refuse_while_unavailable(State(state): State<Shared>, request: Request, next: Next) -> Response {
    if state.available.load(Ordering::SeqCst) {
        next.run(request).await
    } else {
        state.refused.fetch_add(1, Ordering::SeqCst);
        ApiError::Unavailable.into_response()
    }
}

/// The body of requests that carry a schema.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    schema: String,
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Value>,
}

impl Schema {
    fn read(body: &[u8]) -> Result<String, ApiError> {
        let Self { schema, schema_type, references } = read(body)?;
        if schema_type.is_some_and(|t| t != "AVRO") || !references.is_empty() {
            return Err(ApiError::InvalidSchema("only AVRO without references is known here".to_owned()));
        }
        Ok(schema)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|e| ApiError::NotJson(e.to_string()))
}

async fn subjects(State(state): State<Shared>) -> Reply<Value> {
    Reply(json!(state.lock().subjects()))
}

async fn register(State(state): State<Shared>, Path(subject): Path<String>, body: Bytes) -> Answer<Value> {
    let id = state.lock().register(&subject, &Schema::read(&body)?)?;
    Ok(Reply(json!({"id": id})))
}

async fn lookup(State(state): State<Shared>, Path(subject): Path<String>, body: Bytes) -> Answer<Version> {
    state.lock().lookup(&subject, &Schema::read(&body)?).map(Reply)
}

async fn versions(State(state): State<Shared>, Path(subject): Path<String>) -> Answer<Vec<usize>> {
    state.lock().versions(&subject).map(Reply)
}

async fn version(
    State(state): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
) -> Answer<Version> {
    state.lock().version(&subject, &version).map(Reply)
}

async fn schema(State(state): State<Shared>, Path(id): Path<String>) -> Answer<Value> {
    let id = id.parse().map_err(|_| ApiError::SchemaNotFound)?;
    Ok(Reply(json!({"schema": state.lock().schema(id)?})))
}

async fn check_all(
    State(state): State<Shared>,
    Path(subject): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Answer<Value> {
    let problems = state.lock().problems(&subject, None, &Schema::read(&body)?)?;
    Ok(verdict(&problems, &query))
}

async fn check_one(
    State(state): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Answer<Value> {
    let problems = state.lock().problems(&subject, Some(&version), &Schema::read(&body)?)?;
    Ok(verdict(&problems, &query))
}

fn verdict(problems: &[String], query: &HashMap<String, String>) -> Reply<Value> {
    let mut verdict = json!({"is_compatible": problems.is_empty()});
    if query.get("verbose").is_some_and(|v| v == "true") {
        verdict["messages"] = json!(problems);
    }
    Reply(verdict)
}

/// The body that sets a level.
#[derive(Deserialize)]
struct Level {
    compatibility: String,
}

async fn default_level(State(state): State<Shared>) -> Answer<Value> {
    get_level(&state, None, false)
}

async fn level(
    State(state): State<Shared>,
    Path(subject): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer<Value> {
    get_level(&state, Some(&subject), query.get("defaultToGlobal").is_some_and(|v| v == "true"))
}

fn get_level(state: &Shared, subject: Option<&str>, default: bool) -> Answer<Value> {
    let store = state.lock();
    let level = match subject {
        Some(subject) if default => store.level(subject),
        _ => store.own_level(subject)?,
    };
    Ok(Reply(json!({"compatibilityLevel": level.name()})))
}

async fn set_default_level(State(state): State<Shared>, body: Bytes) -> Answer<Value> {
    put_level(&state, None, &body)
}

async fn set_level(State(state): State<Shared>, Path(subject): Path<String>, body: Bytes) -> Answer<Value> {
    put_level(&state, Some(&subject), &body)
}

fn put_level(state: &Shared, subject: Option<&str>, body: &[u8]) -> Answer<Value> {
    let Level { compatibility } = read(body)?;
    let level = compatibility
        .parse()
        .map_err(|e: contract::UnknownCompatibility| ApiError::InvalidLevel(e.to_string()))?;
    state.lock().set_level(subject, level)?;
    Ok(Reply(json!({"compatibility": compatibility})))
}
