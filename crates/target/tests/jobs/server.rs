//! A small system that takes writes as jobs, writes when it comes to them, and fails as it is told.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

/// What the next request of a kind runs into.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// Nothing is done, and the connection is cut.
    Cut,
    /// What was asked for is done, and the connection is cut.
    DoneAndCut,
    /// There never is an answer.
    Silent,
    /// Nothing is done.
    Says(u16, Value),
    /// Nothing is done but to ask for a wait, in seconds.
    Wait(u16, &'static str),
    /// It is done at once, and no job.
    AtOnce,
    /// It is taken as a job, and nobody is told which.
    Nameless,
}

#[derive(Clone, Debug)]
struct Job {
    reference: String,
    document: Value,
    state: &'static str,
    result: Option<(u16, Value)>,
}

#[derive(Default)]
pub struct World {
    pub documents: HashMap<String, Value>,
    /// How often something was written.
    pub writes: u32,
    jobs: Vec<Job>,
    /// Questions after which a job ends by itself; none: never.
    pub ends_after: Option<u32>,
    /// How jobs end that fail: the answer to the question for their result.
    pub fails: Option<(u16, Value)>,
    /// What a job says of itself that has ended well.
    pub done: Option<&'static str>,
    /// What the result of one says.
    pub tells: Option<(u16, Value)>,
    keys: HashMap<String, usize>,
    pub requests: Vec<String>,
    pub troubles: HashMap<&'static str, VecDeque<Trouble>>,
    /// The only proof that is accepted by now.
    pub proof: Option<&'static str>,
    /// The only one once a job was taken.
    pub proof_then: Option<&'static str>,
}

pub type Shared = Arc<Mutex<World>>;

/// Starts the system on a free port of loopback. It ends with the test's runtime.
pub async fn start() -> (Shared, String) {
    let world = Shared::default();
    world.lock().unwrap().ends_after = Some(1);
    let router = Router::new()
        .route("/docs/{reference}", get(look).put(submit).patch(submit))
        .route("/docs/{id}/post", post(finish))
        .route("/jobs/{job}", get(state))
        .route("/jobs/{job}/task", get(task))
        .route("/jobs/{job}/task/{task}/result", get(result))
        .with_state(Arc::clone(&world));
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = tokio::net::TcpListener::bind(loopback).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (world, url)
}

impl World {
    pub fn troubles(&mut self, kind: &'static str, trouble: Trouble) {
        self.troubles.entry(kind).or_default().push_back(trouble);
    }

    /// All jobs come to their end now.
    pub fn end_all(&mut self) {
        (0..self.jobs.len()).for_each(|job| self.end(job));
    }

    fn end(&mut self, at: usize) {
        if self.jobs[at].state != "running" {
            return;
        }
        if let Some(fails) = self.fails.clone() {
            (self.jobs[at].state, self.jobs[at].result) = ("failed", Some(fails));
            return;
        }
        let Job { reference, document, .. } = self.jobs[at].clone();
        let id = self.write(&reference, document);
        self.jobs[at].state = self.done.unwrap_or("done");
        self.jobs[at].result = Some(self.tells.clone().unwrap_or((200, json!({"id": id}))));
    }

    fn write(&mut self, reference: &str, mut document: Value) -> String {
        self.writes += 1;
        let id = format!("D-{reference}");
        document["id"] = json!(id);
        document["state"] = json!("draft");
        self.documents.insert(reference.to_owned(), document);
        id
    }

    /// Notes a request; what it runs into instead of an answer, and whether it is done all the same.
    fn meets(&mut self, kind: &'static str, headers: &HeaderMap) -> Result<Option<Trouble>, Trouble> {
        let key = headers.get("x-key").map_or("", |_| " with key");
        self.requests.push(format!("{kind}{key}"));
        let proof = headers.get("authorization").map(|proof| proof.to_str().unwrap().to_owned());
        if self.proof.is_some_and(|wanted| proof.as_deref() != Some(wanted)) {
            return Err(Trouble::Says(401, json!({"error": {"code": "signed_out", "message": "who?"}})));
        }
        match self.troubles.get_mut(kind).and_then(VecDeque::pop_front) {
            Some(late @ (Trouble::DoneAndCut | Trouble::AtOnce | Trouble::Nameless)) => Ok(Some(late)),
            Some(trouble) => Err(trouble),
            None => Ok(None),
        }
    }
}

async fn fail(trouble: Trouble) -> Response {
    match trouble {
        Trouble::Silent => std::future::pending().await,
        Trouble::Says(status, Value::String(text)) => {
            (StatusCode::from_u16(status).unwrap(), text).into_response()
        }
        Trouble::Says(status, body) => (StatusCode::from_u16(status).unwrap(), Json(body)).into_response(),
        Trouble::Wait(status, seconds) => {
            let body = Json(json!({"state": "running"}));
            (StatusCode::from_u16(status).unwrap(), [("Retry-After", seconds)], body).into_response()
        }
        _ => cut(),
    }
}

/// An answer that breaks off in its body.
fn cut() -> Response {
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

fn taken(job: usize, status: StatusCode, body: Value) -> Response {
    // An address that leads elsewhere: only its last segment counts.
    let address = format!("https://elsewhere.example/async/v1/jobs/{job}?trace=a/b");
    (status, [("Location", address)], Json(body)).into_response()
}

async fn submit(
    State(world): State<Shared>,
    Path(reference): Path<String>,
    headers: HeaderMap,
    Json(document): Json<Value>,
) -> Response {
    let met = world.lock().unwrap().meets("submit", &headers);
    let late = match met {
        Ok(late) => late,
        Err(trouble) => return fail(trouble).await,
    };
    let mut world = world.lock().unwrap();
    let key = headers.get("x-key").map(|key| key.to_str().unwrap().to_owned());
    if let Some(earlier) = key.as_ref().and_then(|key| world.keys.get(key)) {
        let body = json!({"error": {"code": "known_key", "message": "the key has a job"}});
        return taken(*earlier, StatusCode::BAD_REQUEST, body);
    }
    if matches!(late, Some(Trouble::AtOnce)) {
        let id = world.write(&reference, document);
        return Json(json!({"id": id})).into_response();
    }
    let reference = reference.trim_start_matches("D-").to_owned();
    let job = world.jobs.len();
    world.jobs.push(Job { reference, document, state: "running", result: None });
    if let Some(key) = key {
        world.keys.insert(key, job);
    }
    world.proof = world.proof_then.or(world.proof);
    match late {
        Some(Trouble::DoneAndCut) => cut(),
        Some(Trouble::Nameless) => StatusCode::ACCEPTED.into_response(),
        _ => taken(job, StatusCode::ACCEPTED, json!({})),
    }
}

async fn state(State(world): State<Shared>, Path(job): Path<usize>, headers: HeaderMap) -> Response {
    let met = world.lock().unwrap().meets("state", &headers);
    if let Err(trouble) = met {
        return fail(trouble).await;
    }
    let mut world = world.lock().unwrap();
    let asked = world.requests.iter().filter(|one| *one == "state").count() as u32;
    if world.ends_after.is_some_and(|after| asked >= after) {
        world.end(job);
    }
    Json(json!({"state": world.jobs[job].state})).into_response()
}

async fn task(State(world): State<Shared>, Path(job): Path<usize>, headers: HeaderMap) -> Response {
    let met = world.lock().unwrap().meets("task", &headers);
    if let Err(trouble) = met {
        return fail(trouble).await;
    }
    Json(json!({"items": [{"href": format!("/async/v1/jobs/{job}/task/t{job}")}]})).into_response()
}

async fn result(
    State(world): State<Shared>,
    Path((job, task)): Path<(usize, String)>,
    headers: HeaderMap,
) -> Response {
    assert_eq!(task, format!("t{job}"));
    let met = world.lock().unwrap().meets("result", &headers);
    if let Err(trouble) = met {
        return fail(trouble).await;
    }
    let (status, body) = world.lock().unwrap().jobs[job].result.clone().unwrap();
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

async fn look(State(world): State<Shared>, Path(reference): Path<String>, headers: HeaderMap) -> Response {
    let met = world.lock().unwrap().meets("look", &headers);
    if let Err(trouble) = met {
        return fail(trouble).await;
    }
    match world.lock().unwrap().documents.get(&reference) {
        Some(document) => Json(document.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn finish(State(world): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let met = world.lock().unwrap().meets("post", &headers);
    if let Err(trouble) = met {
        return fail(trouble).await;
    }
    let mut world = world.lock().unwrap();
    world.documents.get_mut(id.trim_start_matches("D-")).unwrap()["state"] = json!("posted");
    Json(json!({})).into_response()
}
