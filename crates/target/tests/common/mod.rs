//! A small system that creates without asking, posts in a second step, and fails as it is told.

#![allow(clippy::unwrap_used, dead_code)] // each test takes what it needs

mod lines;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};

/// What the next request of a kind runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is applied, and the connection is cut.
    AppliedAndLost,
    /// 503, nothing is applied.
    Busy,
    /// 422, nothing is applied.
    Refused,
    /// Somebody else changes the document just before.
    Overtaken,
}

#[derive(Default)]
pub struct World {
    pub documents: Vec<Value>,
    pub parties: Vec<Value>,
    pub requests: Vec<String>,
    pub create: VecDeque<Trouble>,
    pub post: VecDeque<Trouble>,
    pub update: VecDeque<Trouble>,
    /// Lines of documents, and what the next requests for some run into.
    pub lines: Vec<Value>,
    pub line: VecDeque<Option<Trouble>>,
}

pub type Shared = Arc<Mutex<World>>;

/// Starts the system on a free port of loopback. It ends with the test's runtime.
pub async fn start() -> (Shared, String) {
    let world = Shared::default();
    let router = Router::new()
        .route("/docs", get(search).post(create))
        .route("/docs/{id}", put(update))
        .route("/docs/{id}/post", post(finish))
        .route("/parties", get(parties))
        .merge(lines::router())
        .with_state(Arc::clone(&world));
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = tokio::net::TcpListener::bind(loopback).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (world, url)
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": {"code": "busy", "message": "later"}})))
        .into_response()
}

fn refused(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({"error": {"code": code, "message": "no"}}))).into_response()
}

/// An answer that breaks off in its body.
pub fn lost() -> Response {
    struct Cut;
    impl http_body::Body for Cut {
        type Data = bytes::Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
            Poll::Ready(Some(Err(std::io::Error::other("cut"))))
        }
    }
    axum::body::Body::new(Cut).into_response()
}

async fn search(State(world): State<Shared>, Query(query): Query<Vec<(String, String)>>) -> Json<Value> {
    let mut world = world.lock().unwrap();
    world.requests.push("search".to_owned());
    let wanted = &query.iter().find(|(name, _)| name == "ref").unwrap().1;
    let found: Vec<&Value> = world.documents.iter().filter(|d| d["ref"] == **wanted).collect();
    Json(json!({"records": found}))
}

async fn parties(State(world): State<Shared>, Query(query): Query<Vec<(String, String)>>) -> Json<Value> {
    let mut world = world.lock().unwrap();
    world.requests.push("party".to_owned());
    let wanted = &query.iter().find(|(name, _)| name == "code").unwrap().1;
    let found: Vec<&Value> = world.parties.iter().filter(|d| d["code"] == **wanted).collect();
    Json(json!({"records": found}))
}

async fn create(State(world): State<Shared>, Json(body): Json<Value>) -> Response {
    let mut world = world.lock().unwrap();
    world.requests.push("create".to_owned());
    let trouble = world.create.pop_front();
    match trouble {
        Some(Trouble::Busy) => return busy(),
        Some(Trouble::Refused) => return refused(StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        _ => {}
    }
    let id = world.documents.len() + 1;
    let mut document = body;
    document["id"] = json!(id);
    document["state"] = json!("draft");
    document["version"] = json!(1);
    world.documents.push(document);
    match trouble {
        Some(Trouble::AppliedAndLost) => lost(),
        _ => (StatusCode::CREATED, Json(json!({"id": id}))).into_response(),
    }
}

async fn finish(State(world): State<Shared>, Path(id): Path<usize>) -> Response {
    let mut world = world.lock().unwrap();
    world.requests.push("post".to_owned());
    let trouble = world.post.pop_front();
    match trouble {
        Some(Trouble::Busy) => return busy(),
        Some(Trouble::Refused) => return refused(StatusCode::UNPROCESSABLE_ENTITY, "closed_period"),
        _ => {}
    }
    if world.documents[id - 1]["state"] == "posted" {
        return refused(StatusCode::BAD_REQUEST, "already_posted");
    }
    world.documents[id - 1]["state"] = json!("posted");
    match trouble {
        Some(Trouble::AppliedAndLost) => lost(),
        _ => Json(json!({})).into_response(),
    }
}

async fn update(
    State(world): State<Shared>,
    Path(id): Path<usize>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let mut world = world.lock().unwrap();
    world.requests.push("update".to_owned());
    if world.update.pop_front() == Some(Trouble::Overtaken) {
        let document = &mut world.documents[id - 1];
        document["note"] = json!("by hand");
        document["version"] = json!(document["version"].as_u64().unwrap() + 1);
    }
    let document = &mut world.documents[id - 1];
    let expected = headers.get("if-match").map(|v| v.to_str().unwrap().to_owned());
    if expected.is_some_and(|expected| document["version"] != expected.parse::<u64>().unwrap_or(0)) {
        return refused(StatusCode::PRECONDITION_FAILED, "stale");
    }
    for (name, value) in body.as_object().unwrap() {
        document[name] = value.clone();
    }
    document["version"] = json!(document["version"].as_u64().unwrap() + 1);
    Json(json!({})).into_response()
}
