//! The lines of the small system's documents: resources of their own, of which nothing is unique.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};

use super::{Shared, Trouble, World, busy, lost, refused};

pub fn router() -> Router<Shared> {
    Router::new()
        .route("/docs/{id}/lines", get(list).post(add))
        .route("/docs/{id}/lines/many", post(put_many))
        .route("/lines/{id}", put(change).delete(remove))
}

async fn list(State(world): State<Shared>, Path(document): Path<u64>) -> Json<Value> {
    let mut world = world.lock().unwrap();
    world.requests.push("lines".to_owned());
    let lines: Vec<&Value> = world.lines.iter().filter(|line| line["document"] == document).collect();
    Json(json!({"lines": lines, "next": null}))
}

/// Makes a line, whatever is there already.
async fn add(State(world): State<Shared>, Path(document): Path<u64>, Json(line): Json<Value>) -> Response {
    let mut world = world.lock().unwrap();
    world.requests.push(format!("line {}", line["no"]));
    let trouble = world.line.pop_front().flatten();
    match trouble {
        Some(Trouble::Busy) => return busy(),
        Some(Trouble::Refused) => return refused(StatusCode::UNPROCESSABLE_ENTITY, "no_such_item"),
        _ => {}
    }
    make(&mut world, document, &line);
    match trouble {
        Some(Trouble::AppliedAndLost) => lost(),
        _ => (StatusCode::CREATED, Json(json!({}))).into_response(),
    }
}

/// Makes lines or writes over them, by their number: all of them or none. The answer says of each what became of it.
async fn put_many(
    State(world): State<Shared>,
    Path(document): Path<u64>,
    Json(body): Json<Value>,
) -> Response {
    let mut world = world.lock().unwrap();
    let lines = body["lines"].as_array().unwrap();
    let numbers: Vec<String> = lines.iter().map(|line| line["no"].to_string()).collect();
    world.requests.push(format!("lines {}", numbers.join(" ")));
    let trouble = world.line.pop_front().flatten();
    match trouble {
        Some(Trouble::Busy) => return busy(),
        // The second is bad, so the first is undone.
        Some(Trouble::Refused) => {
            let code = |at: usize| if at == 1 { "no_such_item" } else { "undone" };
            let answers: Vec<Value> =
                (0..lines.len()).map(|at| json!({"success": false, "error": {"code": code(at)}})).collect();
            return Json(answers).into_response();
        }
        _ => {}
    }
    for line in lines {
        world.lines.retain(|old| old["document"] != document || old["no"] != line["no"]);
        make(&mut world, document, line);
    }
    match trouble {
        Some(Trouble::AppliedAndLost) => lost(),
        _ => Json(vec![json!({"success": true}); lines.len()]).into_response(),
    }
}

async fn change(State(world): State<Shared>, Path(id): Path<u64>, Json(line): Json<Value>) -> Json<Value> {
    let mut world = world.lock().unwrap();
    world.requests.push(format!("change {id}"));
    if let Some(old) = world.lines.iter_mut().find(|line| line["id"] == id) {
        old["item"] = line["item"].clone();
    }
    Json(json!({}))
}

async fn remove(State(world): State<Shared>, Path(id): Path<u64>) -> StatusCode {
    let mut world = world.lock().unwrap();
    world.requests.push(format!("remove {id}"));
    world.lines.retain(|line| line["id"] != id);
    StatusCode::NO_CONTENT
}

fn make(world: &mut World, document: u64, line: &Value) {
    let mut line = line.clone();
    let next = world.lines.iter().filter_map(|line| line["id"].as_u64()).max().unwrap_or(0) + 1;
    line["id"] = json!(next);
    line["document"] = json!(document);
    world.lines.push(line);
}
