//! A small service with `$batch`, as OData has it. It reads what it gets by its own means, strictly: CRLF, Content-IDs, no signature
//! within a part.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

/// What becomes of the next batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    #[default]
    None,
    /// The answer ends within its last part.
    Truncated,
    /// The answer's type names a boundary that it does not have.
    WrongBoundary,
    /// The connection is cut before the answer.
    Lost,
    /// It is refused as a whole, and nothing is carried out.
    Refused,
}

#[derive(Default)]
pub struct World {
    /// Documents by name, with the number of times that each was written.
    pub documents: BTreeMap<String, (Value, usize)>,
    /// Parts of each batch.
    pub batches: Vec<usize>,
    pub trouble: Trouble,
}

pub type Shared = Arc<Mutex<World>>;

/// Starts it on a free port of loopback. It ends with the test's runtime.
pub async fn start() -> (Shared, String) {
    let world = Shared::default();
    let router = Router::new()
        .route("/odata/$batch", post(batch))
        .route("/odata/{note}", get(look))
        .with_state(Arc::clone(&world));
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = tokio::net::TcpListener::bind(loopback).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (world, url)
}

async fn look(State(world): State<Shared>, Path(note): Path<String>) -> Response {
    let name = note.trim_start_matches("notes('").trim_end_matches("')");
    match world.lock().unwrap().documents.get(name) {
        Some((document, _)) => document.to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A request in a part.
struct Asked {
    content_id: String,
    name: String,
    body: Value,
}

async fn batch(State(world): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let mut world = world.lock().unwrap();
    assert_eq!(headers["authorization"], "Bearer s3cret", "the batch is signed");
    let trouble = std::mem::take(&mut world.trouble);
    if trouble == Trouble::Refused {
        return (StatusCode::BAD_REQUEST, json!({"error": {"code": "x", "message": "no"}}).to_string())
            .into_response();
    }
    let goes_on = headers.get("prefer").is_some_and(|prefer| prefer == "odata.continue-on-error");
    let parts = split(&body, &boundary(headers[CONTENT_TYPE].to_str().unwrap()));
    let (mut number, mut answers, mut failed) = (0, Vec::new(), false);
    for part in parts {
        let (head, inner) = part.split_once("\r\n\r\n").unwrap();
        let answer = match head.strip_prefix("Content-Type: multipart/mixed;") {
            Some(kind) => {
                let set: Vec<Asked> = split(inner, &boundary(kind)).into_iter().map(asked).collect();
                number += set.len();
                world.change_set(&set)
            }
            None => {
                number += 1;
                let asked = asked(part);
                let done = world.write(&asked);
                answer(&done, Some(&asked.content_id))
            }
        };
        failed = answer.contains("HTTP/1.1 400");
        answers.push(answer);
        if failed && !goes_on {
            break;
        }
    }
    world.batches.push(number);
    respond(trouble, &answers, failed && !goes_on)
}

/// The answer to all, with the status of the part that stopped it, as some services have it.
fn respond(trouble: Trouble, answers: &[String], stopped: bool) -> Response {
    let mut text: String = answers.iter().map(|answer| format!("--answers\r\n{answer}\r\n")).collect();
    text.push_str("--answers--\r\n");
    match trouble {
        Trouble::Lost => return Body::new(Cut).into_response(),
        Trouble::Truncated => text.truncate(text.rfind("HTTP/1.1 ").unwrap() + 12),
        _ => {}
    }
    let boundary = if trouble == Trouble::WrongBoundary { "others" } else { "answers" };
    let status = if stopped { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, [(CONTENT_TYPE, format!("multipart/mixed; boundary={boundary}"))], text).into_response()
}

impl World {
    /// Status and body of the answer; a document that says `bad` is refused.
    fn write(&mut self, asked: &Asked) -> (u16, String) {
        if let Some(message) = asked.body["bad"].as_str() {
            return (400, json!({"error": {"code": "0x1", "message": message}}).to_string());
        }
        let entry = self.documents.entry(asked.name.clone()).or_default();
        *entry = (asked.body.clone(), entry.1 + 1);
        (204, asked.name.clone())
    }

    /// All, answered in the opposite order, or none, with one answer.
    fn change_set(&mut self, set: &[Asked]) -> String {
        if let Some(bad) = set.iter().find(|asked| asked.body["bad"].is_string()) {
            return answer(&self.write(bad), None);
        }
        let done: Vec<String> = set
            .iter()
            .map(|asked| format!("--set\r\n{}\r\n", answer(&self.write(asked), Some(&asked.content_id))))
            .collect();
        let done: String = done.into_iter().rev().collect();
        format!("Content-Type: multipart/mixed; boundary=set\r\n\r\n{done}--set--\r\n")
    }
}

fn answer((status, text): &(u16, String), content_id: Option<&str>) -> String {
    let id = content_id.map(|id| format!("Content-ID: {id}\r\n")).unwrap_or_default();
    let rest = match status {
        204 => format!("OData-EntityId: http://erp.example/odata/notes({text}-id)\r\n\r\n"),
        _ => format!("Content-Type: application/json\r\n\r\n{text}"),
    };
    format!(
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{id}\r\nHTTP/1.1 {status} X\r\n{rest}"
    )
}

fn boundary(kind: &str) -> String {
    kind.split_once("boundary=").unwrap().1.to_owned()
}

fn split<'a>(text: &'a str, boundary: &str) -> Vec<&'a str> {
    let (parts, end) = text.split_once(&format!("--{boundary}--\r\n")).unwrap();
    assert_eq!(end.trim(), "", "nothing stands behind the end");
    let delimiter = format!("--{boundary}\r\n");
    let mut parts = parts.split(delimiter.as_str());
    assert_eq!(parts.next(), Some(""), "nothing stands before the first part");
    parts.map(|part| part.strip_suffix("\r\n").unwrap()).collect()
}

/// A request, taken out of its part.
fn asked(part: &str) -> Asked {
    let (head, request) = part.split_once("\r\n\r\n").unwrap();
    let content_id = head.split_once("\r\nContent-ID: ").unwrap().1.to_owned();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("authorization"), "a part carries no signature: {head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    let line = head.lines().next().unwrap();
    let name =
        line.strip_prefix("PATCH http://127.0.0.1:").and_then(|line| line.strip_suffix("%27) HTTP/1.1"));
    let name = name.unwrap_or_else(|| panic!("{line}")).split_once("/odata/notes(%27").unwrap().1.to_owned();
    Asked { content_id, name, body: serde_json::from_str(body).unwrap() }
}

/// A body that breaks off.
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
