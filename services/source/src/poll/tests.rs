//! Rounds against a small system and a gateway that do as they are told.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::{get, post},
};
use target::{Account, ClientOptions, Connector, Egress};
use telemetry::Metrics;

use super::*;

mod paging;

const CONNECTOR: &str = r#"
connector: small
revision: 1
class: neither
errors: {rules: [{when: {status: 503}, class: transient, outcome: not_applied}]}
objects:
  order:
    path: /docs
    changes:
      kind: modified_since
      request: {send: "GET {{path}}", query: {since: "{{payload.since}}", after: "{{payload.after}}", page: "{{payload.page}}"}}
      items: $.docs
      id: $.id
      modified: $.at
      format: epoch_ms
      overlap: 10s
      page: 2
    create: {request: "POST {{path}}", ok: [201]}
"#;
const PROGRAM: &str = r#"
assert!(.body.bad != true, "it is bad")
{ "type": "order.updated", "source": .source, "source_version": .modified, "data": { "id": (string(.with.prefix) ?? "") + (string(.headers.topic) ?? "") + to_string!(.body.id) } }
"#;

#[derive(Default)]
struct World {
    /// Moment and id of every document, in no order.
    docs: Vec<(i64, i64)>,
    bad: Option<i64>,
    /// Whether the answers come in the wrong order.
    unordered: bool,
    /// What the gateway answers, if not 202.
    refuses: Option<u16>,
    told: Vec<Value>,
    asked: usize,
    /// What all documents say.
    text: String,
}

type Shared = Arc<Mutex<World>>;

async fn docs(State(world): State<Shared>, Query(query): Query<BTreeMap<String, i64>>) -> Json<Value> {
    let mut world = world.lock().unwrap();
    world.asked += 1;
    let mut found: Vec<_> =
        world.docs.iter().copied().filter(|doc| *doc > (query["since"], query["after"])).collect();
    found.sort_unstable();
    found.truncate(query["page"] as usize);
    if world.unordered {
        found.reverse();
    }
    let doc =
        |(at, id): (i64, i64)| json!({"id": id, "at": at, "bad": world.bad == Some(id), "text": world.text});
    Json(json!({"docs": found.into_iter().map(doc).collect::<Vec<_>>()}))
}

async fn events(State(world): State<Shared>, Json(events): Json<Vec<Value>>) -> StatusCode {
    let mut world = world.lock().unwrap();
    match world.refuses {
        Some(status) => StatusCode::from_u16(status).unwrap(),
        None => {
            world.told.extend(events);
            StatusCode::ACCEPTED
        }
    }
}

struct Rig {
    world: Shared,
    url: String,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn start(docs_there: &[(i64, i64)]) -> Self {
        let world = Shared::default();
        world.lock().unwrap().docs = docs_there.to_vec();
        let router = Router::new().route("/docs", get(docs)).route("/v1/events", post(events));
        let router = router.with_state(Arc::clone(&world));
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = tokio::net::TcpListener::bind(loopback).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { world, url, folder: tempfile::tempdir().unwrap() }
    }

    /// A poll as of a process that has just started.
    fn poll(&self) -> Poll {
        poll(&self.url, self.folder.path(), CONNECTOR, PROGRAM)
    }

    fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }

    /// The ids that were told since the last call, in order.
    fn told(&self) -> Vec<String> {
        let told = std::mem::take(&mut self.world.lock().unwrap().told);
        told.iter().map(|event| event["data"]["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// A poll of the object `order`, with its place in `folder`, as of a process that has just started.
fn poll(url: &str, folder: &std::path::Path, connector: &str, program: &str) -> Poll {
    let connector = Connector::parse("small", connector).unwrap();
    let values = BTreeMap::new();
    let account = Account {
        base_url: Some(url),
        class: None,
        on_unknown: delivery::OnUnknown::Park,
        auth: None,
        values: &values,
    };
    let endpoint = Endpoint::new(&connector, "order", &account).unwrap();
    let metrics = Metrics::new("source").unwrap();
    Poll {
        name: "acme/small/order".into(),
        source: "small".into(),
        api_key: Arc::new("a-key-of-acme".into()),
        every: Duration::from_secs(1),
        timeout: Duration::from_secs(30),
        client: Client::new(ClientOptions::default())
            .unwrap()
            .under(&Egress { private: true, ..Egress::default() }),
        overlap_us: endpoint.overlap_us().unwrap(),
        endpoint,
        program: Program::compile("order.vrl", program).unwrap(),
        gateway: Gateway::new(url).unwrap(),
        cursor: Cursor::open(folder.join("order.json")).unwrap(),
        recent: BTreeMap::new(),
        counters: crate::service::counters(&metrics).unwrap(),
    }
}

fn at(modified_us: i64, id: i64) -> Place {
    Place { modified_us, id: id.into() }
}

#[tokio::test]
async fn every_page_is_told_once_even_where_many_bear_one_moment() {
    let rig = Rig::start(&[(50_000, 4), (20_000, 1), (50_000, 2), (50_000, 3), (50_000, 5)]).await;
    let mut poll = rig.poll();
    poll.round().await.unwrap();
    assert_eq!(rig.told(), ["1", "2", "3", "4", "5"]);
    assert_eq!(poll.cursor.place(), Some(&at(50_000_000, 5)));
    poll.round().await.unwrap();
    assert_eq!(rig.told(), [""; 0], "nothing has changed");
    rig.change(|world| world.docs[1].0 = 60_000);
    poll.round().await.unwrap();
    assert_eq!(rig.told(), ["1"]);
}

#[tokio::test]
async fn what_is_committed_late_is_told_and_a_new_process_goes_on() {
    let rig = Rig::start(&[(50_000, 1)]).await;
    let mut poll = rig.poll();
    poll.round().await.unwrap();
    assert_eq!(rig.told(), ["1"]);
    // it bears an earlier moment, within the overlap, and a lower id
    rig.change(|world| world.docs.push((45_000, 0)));
    poll.round().await.unwrap();
    assert_eq!(rig.told(), ["0"]);
    assert_eq!(poll.cursor.place(), Some(&at(50_000_000, 1)), "never back");

    // what lies within the overlap is told again by a new process, with the same version: the same event
    rig.change(|world| world.docs.push((20_000, 9)));
    let mut poll = rig.poll();
    poll.round().await.unwrap();
    assert_eq!(rig.told(), ["0", "1"], "and not what is older than the overlap");
}

#[tokio::test]
async fn what_changes_twice_within_a_moment_is_told_twice() {
    let rig = Rig::start(&[(50_000, 1)]).await;
    let mut poll = rig.poll();
    poll.round().await.unwrap();
    assert_eq!(rig.told(), ["1"]);
    rig.change(|world| world.text = "another one".into());
    for told in [1, 0] {
        poll.round().await.unwrap();
        assert_eq!(rig.told().len(), told);
    }
}

#[tokio::test]
async fn the_program_gets_what_is_true_of_every_record_and_headers_of_a_webhook() {
    let rig = Rig::start(&[(50_000, 1)]).await;
    let with = "connection: {prefix: {help: before each id, default: erp-}}\nerrors:";
    let connector = CONNECTOR.replace("errors:", with).replace(
        "page: 2",
        "page: 2\n      webhook: {topic: orders}\n      with: {prefix: \"{{conn.prefix}}\"}",
    );
    poll(&rig.url, rig.folder.path(), &connector, PROGRAM).round().await.unwrap();
    assert_eq!(rig.told(), ["erp-orders1"]);
}

#[tokio::test]
async fn nothing_moves_on_that_is_not_acknowledged() {
    let rig = Rig::start(&[(50_000, 1), (50_000, 2), (50_000, 3)]).await;
    let mut poll = rig.poll();
    for (status, code) in [(503, "SRC-0006"), (401, "SRC-0006"), (422, "SRC-0005")] {
        rig.change(|world| world.refuses = Some(status));
        assert_eq!(poll.round().await.unwrap_err().code(), code);
        assert_eq!(poll.cursor.place(), None);
    }
    rig.change(|world| (world.refuses, world.bad) = (None, Some(3)));
    let error = anyhow::Error::new(poll.round().await.unwrap_err());
    assert!(format!("{error:#}").contains("record 3: no event can be made of it"), "{error:#}");
    assert_eq!(rig.told(), ["1", "2"], "the page before it");
    assert_eq!(poll.cursor.place(), Some(&at(50_000_000, 2)));
    rig.change(|world| world.bad = None);
    poll.round().await.unwrap();
    assert_eq!(rig.told(), ["3"]);
}

#[tokio::test]
async fn an_answer_in_another_order_is_none() {
    let rig = Rig::start(&[(50_000, 1), (50_000, 2)]).await;
    rig.change(|world| world.unordered = true);
    let mut poll = rig.poll();
    let error = poll.round().await.unwrap_err();
    assert_eq!(error.code(), "SRC-0002");
    let error = format!("{:#}", anyhow::Error::new(error));
    assert!(error.contains("record 2 stands before 1"), "{error}");
    assert_eq!((rig.told().len(), poll.cursor.place()), (0, None));
}

#[tokio::test]
async fn a_poll_goes_on_until_it_is_told_to_stop() {
    let rig = Rig::start(&[(50_000, 1)]).await;
    rig.change(|world| world.refuses = Some(503));
    let mut poll = rig.poll();
    poll.every = Duration::from_millis(10);
    let (shutdown, stuck) = (Shutdown::new(), poll.counters.stuck.clone());
    let task = tokio::spawn(poll.run(shutdown.clone()));
    let stuck = || stuck.with_label_values(&["acme/small/order"]).get();
    while stuck() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rig.change(|world| world.refuses = None);
    while stuck() == 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(rig.told(), ["1"]);
    shutdown.trigger();
    tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
    assert!(rig.world.lock().unwrap().asked >= 2);
}
