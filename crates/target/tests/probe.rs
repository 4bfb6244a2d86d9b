//! A system that is asked for what is left of its limits.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use delivery::{ErrorClass, Left, LeftOf, OnUnknown, Reason};
use target::{
    Access, Account, Authenticator, Client, ClientOptions, Connector, Egress, Endpoint, News, Secrets, Told,
};

const SIGNALS: &str = "
signals:
  - {limit: quota, kind: probe, request: GET /limits, every: 5m, path: $.daily.left, max: $.daily.max, per: 24h, reserve: 10%}
  - {limit: rate, kind: remaining_header, header: X-Left, per: 1s}
";

/// The next answer, and what was asked with.
#[derive(Default)]
struct World {
    status: u16,
    body: &'static str,
    tokens: Vec<String>,
    slow: bool,
}

type Shared = Arc<Mutex<World>>;

async fn limits(State(world): State<Shared>, headers: HeaderMap) -> Response {
    let (status, body, slow) = {
        let mut world = world.lock().unwrap();
        world.tokens.push(headers["authorization"].to_str().unwrap().to_owned());
        (StatusCode::from_u16(world.status).unwrap(), world.body, world.slow)
    };
    if slow {
        std::future::pending::<()>().await;
    }
    (status, [("x-left", "3"), ("retry-after", "7")], body).into_response()
}

async fn start() -> (Shared, String) {
    let world = Shared::default();
    let router = Router::new().route("/limits", get(limits)).with_state(Arc::clone(&world));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (world, url)
}

fn connector(signals: &str) -> Connector {
    let sandbox = include_str!("../../../connectors/sandbox.yaml");
    Connector::parse("sandbox", &format!("{sandbox}{signals}")).unwrap()
}

fn endpoint(signals: &str, url: &str) -> Result<Endpoint, String> {
    let (connector, values) = (connector(signals), BTreeMap::new());
    let secrets = Secrets::default().with("token", &["a-token".into()]);
    let access =
        Access { of: ("acme", "erp"), base_url: Some(url), values: &values, secrets: &secrets, store: None };
    let auth = Arc::new(Authenticator::new(&connector, &access).unwrap());
    let account = Account {
        base_url: Some(url),
        class: None,
        on_unknown: OnUnknown::Park,
        auth: Some(&auth),
        values: &values,
    };
    Endpoint::new(&connector, "payment", &account).map_err(|error| error.to_string())
}

async fn ask(client: &Client, endpoint: &Endpoint, timeout: u64) -> (Result<(), Reason>, News) {
    let told = Told::default();
    let asked = client.clone().telling(&told).probe(endpoint, 0, Duration::from_millis(timeout)).await;
    (asked, told.take())
}

#[tokio::test]
async fn what_is_left_is_asked_for_with_the_connections_token() {
    let (world, url) = start().await;
    let client =
        Client::new(ClientOptions::default()).unwrap().under(&Egress { private: true, ..Egress::default() });
    let endpoint = endpoint(SIGNALS, &url).unwrap();
    assert_eq!(endpoint.probes().collect::<Vec<_>>(), [300_000], "the other signal asks nothing");
    let set = |status: u16, body: &'static str| {
        (world.lock().unwrap().status, world.lock().unwrap().body) = (status, body)
    };

    set(200, r#"{"daily": {"left": 400, "max": 5000}}"#);
    let (asked, news) = ask(&client, &endpoint, 2_000).await;
    asked.unwrap();
    let of = |per_ms| LeftOf::Requests { per_ms };
    let day = Left { of: of(86_400_000), remaining: 400, max: Some(5_000), reserve: 500, reset_ms: None };
    assert!(news.left.contains(&day), "{news:?}");
    assert!(
        news.left.iter().any(|left| left.of == of(1_000)),
        "what its headers tell counts as well: {news:?}"
    );
    assert_eq!(news.requests, 1);
    assert_eq!(world.lock().unwrap().tokens, ["Bearer a-token"]);

    for (status, body, class, what) in [
        (200, r#"{"daily": {}}"#, ErrorClass::Unsupported, "does not say where"),
        (200, "<html>", ErrorClass::Unsupported, "does not say where"),
        (
            403,
            r#"{"error": {"message": "administrators only"}}"#,
            ErrorClass::AuthDenied,
            "administrators only",
        ),
        (404, r#"{"daily": {"left": 1}}"#, ErrorClass::NotFound, ""),
    ] {
        set(status, body);
        let (asked, news) = ask(&client, &endpoint, 2_000).await;
        let reason = asked.unwrap_err();
        assert_eq!(reason.class, class, "{status} {body}: {reason:?}");
        assert!(reason.message.contains(what), "{reason:?}");
        assert!(!news.left.iter().any(|left| left.of == of(86_400_000)), "{news:?}");
    }
    set(429, "{}");
    let (asked, news) = ask(&client, &endpoint, 2_000).await;
    assert_eq!((asked.unwrap_err().class, news.rest_ms), (ErrorClass::Throttled, Some(7_000)));
    world.lock().unwrap().slow = true;
    let (asked, _) = ask(&client, &endpoint, 100).await;
    assert!(asked.unwrap_err().message.contains("no answer within"), "it waits no longer than it may");
}

#[tokio::test]
async fn a_question_is_guarded_like_every_request_and_names_no_posting() {
    let (world, url) = start().await;
    let strict = Client::new(ClientOptions::default()).unwrap();
    let (asked, news) = ask(&strict, &endpoint(SIGNALS, &url).unwrap(), 2_000).await;
    assert_eq!(&*asked.unwrap_err().code, "SNK-0041");
    assert!(news.left.is_empty() && world.lock().unwrap().tokens.is_empty(), "nothing left");
    let naming = SIGNALS.replace("GET /limits", "'GET /limits/{{ref}}'");
    let error = endpoint(&naming, &url).unwrap_err();
    assert!(error.contains("can name what the connection and signing in give only"), "{error}");
}
