//! Signing in end to end: a connection's values and secrets, a token that ends while events come, and a sink that starts anew.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::StatusCode,
};
use common::{World, eventually};
use contract::OutcomeStatus;
use sandbox::Change;
use sink::{Options, Service};

/// A system that gives each refresh token once, and takes documents under the last access token alone.
#[derive(Default)]
struct System {
    given: u32,
    /// Requests left that the access token holds for.
    left: u32,
    spent: bool,
    turned_away: u32,
    documents: BTreeSet<String>,
}

type Shared = Arc<Mutex<System>>;

async fn start() -> (Shared, String) {
    let system = Shared::default();
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&system));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (system, url)
}

async fn answer(State(system): State<Shared>, request: Request) -> (StatusCode, String) {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let header = |name: &str| head.headers.get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
    let mut system = system.lock().unwrap();
    if head.uri.path() == "/oauth/token" {
        let valid =
            if system.given == 0 { "first-refresh".to_owned() } else { format!("refresh-{}", system.given) };
        if !body.contains(&format!("refresh_token={valid}&")) || !body.contains("client_secret=app-secret") {
            system.spent = true;
            return (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#.to_owned());
        }
        (system.given, system.left) = (system.given + 1, 7);
        let (n, host) = (system.given, header("host"));
        let answer = format!(
            r#"{{"access_token":"access-{n}","refresh_token":"refresh-{n}","expires_in":3600,"api":"http://{host}/eu"}}"#
        );
        return (StatusCode::OK, answer);
    }
    let right = header("authorization") == format!("Bearer access-{}", system.given) && system.left > 0;
    if !right || header("x-org") != "org-7" {
        system.turned_away += 1;
        return (StatusCode::UNAUTHORIZED, "{}".to_owned());
    }
    system.left -= 1;
    system.documents.insert(head.uri.path().to_owned());
    (StatusCode::OK, r#"{"id":"1"}"#.to_owned())
}

const CONNECTOR: &str = r#"
connector: books
revision: 1
class: keyed
connection:
  login: {type: url}
  org: {help: the organisation}
  client_secret: {type: secret}
  refresh_token: {type: secret}
base_url: "{{auth.captured.api}}"
headers: {X-Org: "{{conn.org}}"}
auth:
  kind: oauth2_code
  client: {id: app, secret: "{{conn.client_secret}}", in: body}
  refresh_token: "{{conn.refresh_token}}"
  token: {url: "{{conn.login}}/oauth/token", capture: {api: $.api}}
key: {place: header, name: Idempotency-Key, window: 24h}
errors: {rules: []}
objects:
  payment:
    path: /payments
    keyed: {request: "PUT {{path}}/{{ref}}", ok: [200], id: $.id}
"#;

/// The tenant's connection leads to the system at `url`, by the connector above.
fn configure(world: &World, url: &str) -> Options {
    let folder = world.dir.path();
    fs::create_dir_all(folder.join("connectors")).unwrap();
    fs::write(folder.join("connectors/books.yaml"), CONNECTOR).unwrap();
    for (name, secret) in [("client", "app-secret"), ("refresh", "first-refresh")] {
        fs::write(folder.join(name), secret).unwrap();
    }
    let (client, refresh) = (folder.join("client"), folder.join("refresh"));
    let connection = format!(
        "connection: erp\nconnector: books\nvalues: {{login: '{url}', org: org-7}}\nsecrets: {{client_secret: 'file:{}', \
         refresh_token: 'file:{}'}}\nlimits: {{concurrency: 8}}\negress: {{allow_private: true}}\ntimeout: 2s\n",
        client.display(),
        refresh.display(),
    );
    fs::write(folder.join("tenants/acme/connections/erp.yaml"), connection).unwrap();
    Options { connectors: Some(folder.join("connectors")), ..world.options() }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_while_events_come_and_a_new_sink_goes_on() {
    let world = World::start("keyed").await;
    let (system, url) = start().await;
    let options = configure(&world, &url);
    let sink = world.sink_with(options.clone()).await;
    for i in 0..30 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    let outcomes = world.settled(30).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed), "{outcomes:?}");
    sink.stop().await;
    let sink = world.sink_with(options).await;
    for i in 30..40 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    let outcomes = world.settled(40).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed), "{outcomes:?}");
    sink.stop().await;
    let system = system.lock().unwrap();
    assert_eq!(system.documents.len(), 40);
    assert!(system.documents.contains("/eu/payments/PAY-0"), "{:?}", system.documents);
    assert!(!system.spent, "a refresh token was used twice");
    assert!(system.given >= 6 && system.turned_away > 0, "{} tokens", system.given);
}

/// A tenant whose ERP asks for a token, and whose CRM for none.
fn with_a_token(world: &World) -> std::path::PathBuf {
    let tenant = world.dir.path().join("tenants/acme");
    let secret = world.dir.path().join("acme.token");
    fs::write(&secret, "the-first").unwrap();
    let connection = |name: &str, account: &str, secrets: &str| {
        let text = format!(
            "connection: {name}\nconnector: sandbox\nbase_url: \"{}/{account}\"\nclass: keyed\n{secrets}\
             egress: {{allow_private: true}}\nlimits: {{concurrency: 8}}\ntimeout: 1s\n",
            world.erp.url()
        );
        fs::write(tenant.join(format!("connections/{name}.yaml")), text).unwrap();
    };
    connection("erp", "acme", &format!("secrets: {{token: \"file:{}\"}}\n", secret.display()));
    connection("crm", "crm", "");
    for (name, on, to) in [("payments", "payment.received", "erp"), ("updates", "payment.updated", "crm")] {
        let text = format!("route: {name}\non: [{on}]\nto: {to}\n");
        fs::write(tenant.join(format!("routes/{name}.yaml")), text).unwrap();
    }
    secret
}

/// Requests that the ERP has turned away.
async fn turned_away(world: &World) -> u64 {
    let url = format!("{}/admin/accounts/acme/requests/count", world.erp.url());
    let requests: sandbox::Requests = reqwest::get(url).await.unwrap().json().await.unwrap();
    requests.refused
}

/// The events are not to blame: they wait, however often the target says so, and hold nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_secret_makes_events_wait_and_no_dead_letters() {
    const BEFORE: usize = 5;
    const WAIT: usize = 60;
    const PROBES: u64 = 6;
    let world = World::start("keyed").await;
    let token = |token: &str| Change { token: Some(token.into()), ..Change::default() };
    world.change(token("the-first"));
    let secret = with_a_token(&world);
    let sink = world.sink().await;
    for i in 0..BEFORE {
        world.pay(&format!("BEFORE-{i}"), 1).await;
    }
    world.settled(BEFORE).await;
    assert_eq!((turned_away(&world).await, sink.metric("turned_away_total").await), (0, 0.0));

    world.change(token("the-second"));
    for i in 0..WAIT {
        world.pay(&format!("WAITS-{i}"), 1).await;
        world.pay(&format!("GOES-{i}"), 2).await;
    }
    let outcomes = world.settled(BEFORE + WAIT).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && !o.entity.starts_with("WAITS")));
    // Each probe waits twice as long as the one before: more of them would show no more, and take a minute.
    eventually("it is turned away again and again", async || turned_away(&world).await >= PROBES).await;
    assert_eq!(world.outcomes().await.len(), BEFORE + WAIT, "nothing that waits has an outcome");
    assert_eq!(world.dead_letters().await.len(), 0);
    assert!(turned_away(&world).await < WAIT as u64, "one at a time probes it, not every event");
    // What `CounterfoilTurnedAway` looks at; and so many are under way, of which none ends.
    let series = "turned_away_total{code=\"SNK-0006\",connection=\"erp\",tenant=\"acme\"}";
    eventually("each time is counted", async || sink.metric(series).await >= PROBES as f64).await;
    let under_way = "load_count{what=\"postings\"}";
    eventually("they wait", async || sink.metric(under_way).await == WAIT as f64).await;
    eventually("only the others ended", async || {
        sink.metric("postings_total").await == (BEFORE + WAIT) as f64
    })
    .await;

    fs::write(&secret, "the-second").unwrap();
    let outcomes = world.settled(BEFORE + 2 * WAIT).await;
    sink.stop().await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed), "{outcomes:?}");
    assert_eq!(world.dead_letters().await.len(), 0);
    assert_eq!((world.totals().effects as usize, world.totals().duplicates), (BEFORE + 2 * WAIT, 0));
}

#[tokio::test]
async fn a_connection_that_lacks_what_its_connector_needs_does_not_start() {
    let world = World::start("keyed").await;
    let options = configure(&world, "http://127.0.0.1:9");
    let file = world.dir.path().join("tenants/acme/connections/erp.yaml");
    let whole = fs::read_to_string(&file).unwrap();
    for (from, to, code) in [
        (", org: org-7", "", "CFG-0115"),
        ("client_secret: ", "client_secrets: ", "CFG-0116"),
        (", org: org-7", ", org: org-7, more: x", "CFG-0117"),
    ] {
        fs::write(&file, whole.replace(from, to)).unwrap();
        let error = Service::build(options.clone()).await.map(drop).unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        let set = tenancy::TenantSet::load(&options.tenants, &tenancy::Offline).unwrap();
        let problems = sink::examine(&set, "tenants", options.connectors.as_deref()).problems;
        assert!(
            problems.iter().any(|p| p.code == code && p.file == "tenants/acme/connections/erp.yaml"),
            "{problems:?}"
        );
    }
    fs::write(&file, whole).unwrap();
    let set = tenancy::TenantSet::load(&options.tenants, &tenancy::Offline).unwrap();
    let examined = sink::examine(&set, "tenants", options.connectors.as_deref());
    assert!(examined.problems.is_empty() && !examined.guarantees.is_empty(), "{:?}", examined.problems);
}
