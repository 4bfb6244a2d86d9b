//! A system that lists its documents in every way there is, and a gateway.

use std::{collections::BTreeSet, fmt::Write as _};

use axum::{
    extract::Path as UrlPath,
    http::{HeaderMap, HeaderValue},
    response::IntoResponse,
};

use super::super::*;

const PROGRAM: &str = r#"
record = .body
if exists(.body.node) { record = .body.node }
{ "type": "order.updated", "source": .source, "source_version": .modified, "data": { "id": to_string!(record.id) } }
"#;

/// Every kind but the keyset of numbers, and the order in which its system lists.
pub(super) const KINDS: [(&str, &str); 10] = [
    (
        "keyset",
        r#"request: {send: "GET /list/keyset", query: {since: "{{payload.since}}", after: "{{payload.after}}", page: "{{payload.page}}"}}
      items: $.items"#,
    ),
    (
        "body_link",
        r#"request: {send: "GET /list/body_link", query: {since: "{{payload.since}}", page: "{{payload.page}}"}}
      paging: {kind: body_link, next: "$['@odata.nextLink']"}
      order: modified
      items: $.value"#,
    ),
    (
        "relative_link",
        r#"request: {send: "GET /list/relative_link", query: {since: "{{payload.since}}", page: "{{payload.page}}"}}
      paging: {kind: body_link, next: $.links}
      items: $.items"#,
    ),
    (
        "link_header",
        r#"request: {send: "GET /list/link_header", query: {since: "{{payload.since}}", page: "{{payload.page}}"}}
      paging: {kind: link_header}
      order: modified"#,
    ),
    (
        "cursor",
        r#"request: {send: "GET /list/cursor", query: {since: "{{payload.since}}", page: "{{payload.page}}"}}
      paging: {kind: cursor, next: $.paging.next.after, query: after}
      items: $.items"#,
    ),
    (
        "last",
        r#"request: {send: "GET /list/last", query: {page: "{{payload.page}}"}}
      paging: {kind: cursor, last: $.id, more: $.has_more, query: starting_after}
      items: $.data"#,
    ),
    (
        "graphql",
        r#"request: {send: "POST /list/graphql", body: {query: "query($after: String) {…}", variables: {since: "{{payload.since}}", page: "{{payload.page}}"}}}
      paging: {kind: cursor, next: $.data.orders.pageInfo.endCursor, more: $.data.orders.pageInfo.hasNextPage, body: $.variables.after}
      order: modified
      items: $.data.orders.edges"#,
    ),
    (
        "offset",
        r#"request: {send: "GET /list/offset", query: {since: "{{payload.since}}", offset: "{{payload.offset}}", page: "{{payload.page}}"}}
      paging: {kind: offset}
      order: modified
      items: $.items"#,
    ),
    // Counts from 1, gives six records of a list and refuses to go behind them, and leaves out a list that is empty.
    (
        "window",
        r#"request: {send: "GET /list/window", query: {since: "{{payload.since}}", position: "{{payload.offset}}", page: "{{payload.page}}"}}
      paging: {kind: offset, first: 1, most: 6}
      order: modified
      items: $.found.items
      empty: $.found"#,
    ),
    (
        "number",
        r#"request: {send: "GET /list/number", query: {since: "{{payload.since}}", number: "{{payload.number}}", page: "{{payload.page}}"}}
      paging: {kind: page_number, first: 0}
      order: modified
      items: $.items"#,
    ),
];

/// The definition of a kind.
fn connector(kind: &str) -> String {
    let (_, changes) = KINDS.iter().find(|(name, _)| *name == kind).unwrap();
    let node = if kind == "graphql" { ".node" } else { "" };
    format!(
        "connector: small\nrevision: 1\nclass: neither\nheaders: {{X-Company: \"7\"}}\n\
         errors: {{rules: [{{when: {{status: 503}}, class: transient, outcome: not_applied}}]}}\n\
         objects:\n  order:\n    path: /docs\n    changes:\n      kind: modified_since\n      {changes}\n      id: ${node}.id\n      ids: text\n      \
         modified: ${node}.at\n      format: epoch_ms\n      overlap: 10s\n      page: 3\n      max_pages: 40\n    \
         create: {{request: \"POST {{{{path}}}}\", ok: [201]}}\n"
    )
}

#[derive(Default)]
pub(super) struct World {
    /// Moments, in milliseconds, by id.
    pub(super) docs: BTreeMap<String, i64>,
    /// What happens before a request for the list is answered, by its number.
    pub(super) then: BTreeMap<usize, Event>,
    pub(super) asked: usize,
    /// Where the next link leads in the place of where it should.
    pub(super) leads: Option<String>,
    /// Whether the link or token to the next page is always the same, or always a new one to no end.
    pub(super) endless: Option<Endless>,
    /// How many requests the gateway takes before it refuses all others.
    pub(super) takes: Option<usize>,
    told: Vec<String>,
    url: String,
}

pub(super) enum Event {
    Touch(&'static str, i64),
    Remove(&'static str),
    Fail,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Endless {
    Same,
    New,
}

type Shared = Arc<Mutex<World>>;

/// What a request asks for, wherever it says so.
fn asks(query: BTreeMap<String, String>, body: &str) -> BTreeMap<String, String> {
    let mut asked = query;
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    for (name, value) in json["variables"].as_object().into_iter().flatten() {
        asked.insert(name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    asked
}

impl World {
    fn touch(&mut self, id: &str, at: i64) {
        self.docs.insert(id.to_owned(), at);
    }

    /// The documents of a page, and whether there are more: those from `from` on, in the system's order.
    fn page(&self, kind: &str, asked: &BTreeMap<String, String>) -> (usize, Vec<Value>, bool) {
        let number = |name: &str| asked.get(name).map_or(0, |text| text.parse::<usize>().unwrap());
        let (since, size) = (number("since") as i64, number("page"));
        let mut docs: Vec<_> = self.docs.iter().filter(|(_, at)| **at >= since).collect();
        match kind {
            "relative_link" | "cursor" | "last" => docs.sort(),
            _ => docs.sort_by_key(|(id, at)| (**at, (*id).clone())),
        }
        let from = match kind {
            "keyset" => {
                let after = (since, asked["after"].clone());
                docs.iter().position(|(id, at)| (**at, (*id).clone()) > after).unwrap_or(docs.len())
            }
            "last" => {
                asked.get("starting_after").map_or(0, |last| docs.partition_point(|(id, _)| *id <= last))
            }
            "number" => number("number") * size,
            "offset" => number("offset"),
            "window" => number("position") - 1,
            _ => number("after"),
        };
        let from = from.min(docs.len());
        let more = docs.len() > from + size || self.endless.is_some();
        let doc = |(id, at): (&String, &i64)| json!({"id": id, "at": at});
        (from, docs.into_iter().skip(from).take(size).map(doc).collect(), more)
    }

    /// What leads to the next page, if there is one.
    fn next(&self, from: usize, docs: usize) -> usize {
        match self.endless {
            None => from + docs,
            Some(Endless::Same) => 0,
            Some(Endless::New) => 1_000 + self.asked,
        }
    }
}

async fn list(
    State(world): State<Shared>,
    UrlPath(kind): UrlPath<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: String,
) -> axum::response::Response {
    if headers.get("x-company").is_none() {
        return StatusCode::FORBIDDEN.into_response(); // what every request carries, one of a link too
    }
    let mut world = world.lock().unwrap();
    let number = world.asked;
    world.asked += 1;
    match world.then.remove(&number) {
        Some(Event::Touch(id, at)) => world.touch(id, at),
        Some(Event::Remove(id)) => {
            world.docs.remove(id);
        }
        Some(Event::Fail) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        None => {}
    }
    let asked = asks(query, &body);
    let (from, docs, more) = world.page(&kind, &asked);
    if kind == "window" && from + asked["page"].parse::<usize>().unwrap() > 6 {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let next = world.next(from, docs.len());
    let same = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let path = format!("/list/{kind}?since={}&page={}&after={next}", same("since"), same("page"));
    let link = world.leads.clone().unwrap_or_else(|| format!("{}{path}", world.url));
    match (kind.as_str(), more) {
        ("body_link", true) => Json(json!({"value": docs, "@odata.nextLink": link})).into_response(),
        ("body_link", false) => Json(json!({"value": docs})).into_response(),
        ("relative_link", true) => {
            let links = json!([{"rel": "self", "href": "/"}, {"rel": "next", "href": path}]);
            Json(json!({"items": docs, "links": links})).into_response()
        }
        ("link_header", true) => {
            let mut headers = HeaderMap::new();
            let value = format!("</list>; rel=\"first\", <{link}>; rel=\"next\"");
            headers.insert("link", HeaderValue::from_str(&value).unwrap());
            (headers, Json(docs)).into_response()
        }
        ("link_header", false) => Json(docs).into_response(),
        ("cursor", true) => {
            Json(json!({"items": docs, "paging": {"next": {"after": next.to_string()}}})).into_response()
        }
        ("last", more) => Json(json!({"data": docs, "has_more": more})).into_response(),
        ("graphql", more) => {
            let edges: Vec<Value> = docs.into_iter().map(|doc| json!({"node": doc})).collect();
            let info = json!({"hasNextPage": more, "endCursor": next.to_string()});
            Json(json!({"data": {"orders": {"edges": edges, "pageInfo": info}}})).into_response()
        }
        ("window", _) if docs.is_empty() => Json(json!({"found": {}})).into_response(),
        ("window", _) => Json(json!({"found": {"items": docs}})).into_response(),
        _ => Json(json!({"items": docs})).into_response(),
    }
}

async fn events(State(world): State<Shared>, Json(events): Json<Vec<Value>>) -> StatusCode {
    let mut world = world.lock().unwrap();
    match &mut world.takes {
        Some(0) => return StatusCode::SERVICE_UNAVAILABLE,
        Some(left) => *left -= 1,
        None => {}
    }
    let ids = events.iter().map(|event| {
        let mut told = event["data"]["id"].as_str().unwrap().to_owned();
        write!(told, "@{}", event["source_version"].as_i64().unwrap() / 1_000).unwrap();
        told
    });
    let ids: Vec<String> = ids.collect();
    world.told.extend(ids);
    StatusCode::ACCEPTED
}

pub(super) struct Scene {
    pub(super) kind: &'static str,
    pub(super) world: Shared,
    pub(super) folder: tempfile::TempDir,
    pub(super) connector: String,
}

impl Scene {
    /// A system with ten documents, a minute after one another; the ids have another order than the moments.
    pub(super) async fn start(kind: &'static str) -> Self {
        let world = Shared::default();
        let router = Router::new()
            .route("/list/{kind}", get(list).post(list))
            .route("/v1/events", post(events))
            .with_state(Arc::clone(&world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let docs =
            (1..=10).map(|n: i64| (format!("{}-{n}", b"jihgfedcba"[n as usize - 1] as char), n * 60_000));
        world.lock().unwrap().docs = docs.collect();
        world.lock().unwrap().url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { kind, world, folder: tempfile::tempdir().unwrap(), connector: connector(kind) }
    }

    /// A poll as of a process that has just started.
    pub(super) fn poll(&self) -> Poll {
        let url = self.world.lock().unwrap().url.clone();
        poll(&url, self.folder.path(), &self.connector, PROGRAM)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }

    /// What happens before the request with this number is answered.
    pub(super) fn before(&self, request: usize, event: Event) {
        self.world.lock().unwrap().then.insert(request, event);
    }

    pub(super) fn touch(&self, id: &str, at: i64) {
        self.change(|world| world.touch(id, at));
    }

    /// What was told since the last call.
    pub(super) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.world.lock().unwrap().told)
    }

    /// Every document as it is now.
    pub(super) fn all(&self) -> BTreeSet<String> {
        self.world.lock().unwrap().docs.iter().map(|(id, at)| format!("{id}@{at}")).collect()
    }

    pub(super) fn in_order(&self) -> bool {
        !matches!(self.kind, "relative_link" | "cursor" | "last")
    }
}

pub(super) fn set(told: &[String]) -> BTreeSet<String> {
    told.iter().cloned().collect()
}
