#![allow(clippy::unwrap_used)]

use axum::{Router, routing::get};
use serde_json::{Value, json};
use telemetry::Metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

use super::*;
use crate::{Admin, Readiness, spawn};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

async fn bind() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// One request on a connection of its own; the whole answer.
async fn fetch(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_request_in_flight_is_answered_after_shutdown_and_no_new_one_is_taken() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (entered, release) = (entered.clone(), release.clone());
        get(move || async move {
            entered.notify_one();
            release.notified().await;
            "done"
        })
    };
    let (listener, address) = bind().await;
    let shutdown = Shutdown::new();
    let router = Router::new().route("/", slow);
    let server = spawn("server", serve(listener, router, shutdown.clone(), Limits::default()));

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    entered.notified().await;
    shutdown.trigger();
    // The listener is closed before the request is released.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    release.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    assert_eq!(server.await.unwrap(), 0);
}

#[tokio::test]
async fn the_drain_deadline_cuts_what_does_not_end() {
    let entered = Arc::new(Notify::new());
    let stuck = {
        let entered = entered.clone();
        get(move || async move {
            entered.notify_one();
            std::future::pending::<()>().await;
        })
    };
    let (listener, address) = bind().await;
    let shutdown = Shutdown::new();
    let limits = Limits { drain: Duration::from_millis(20), ..Limits::default() };
    let server = spawn("server", serve(listener, Router::new().route("/", stuck), shutdown.clone(), limits));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    entered.notified().await;
    shutdown.trigger();
    assert_eq!(server.await.unwrap(), 1);
}

#[tokio::test]
async fn slow_heads_are_cut_and_the_connection_limit_holds() {
    let (listener, address) = bind().await;
    let shutdown = Shutdown::new();
    let limits = Limits {
        connections: 1,
        header_read_timeout: Duration::from_millis(50),
        drain: Duration::from_millis(50),
    };
    let router = Router::new().route("/", get(async || "ok"));
    let server = spawn("server", serve(listener, router, shutdown.clone(), limits));

    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    // The second connection gets its turn only when the first has been cut for its slow head.
    assert!(fetch(address, "/").await.ends_with("ok"));
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    shutdown.trigger();
    server.await.unwrap();
}

#[tokio::test]
async fn admin_says_which_check_fails_and_serves_metrics() {
    let metrics = Metrics::new("test").unwrap();
    let readiness = Readiness::new();
    let kafka = readiness.check("kafka");
    readiness.check("registry").pass();
    let admin = Admin::start("127.0.0.1:0".parse().unwrap(), metrics, readiness.clone()).await.unwrap();
    let address = admin.local_addr();
    assert!(fetch(address, "/health/live").await.starts_with("HTTP/1.1 200"));

    kafka.fail("no broker answers");
    let answer = fetch(address, "/health/ready").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let checks = json!({"kafka": {"ok": false, "reason": "no broker answers"}, "registry": {"ok": true}});
    assert_eq!(body, json!({"status": "not ready", "checks": checks}));

    kafka.pass();
    assert!(fetch(address, "/health/ready").await.starts_with("HTTP/1.1 200"));
    readiness.drain();
    assert!(fetch(address, "/health/ready").await.starts_with("HTTP/1.1 503"));
    assert!(fetch(address, "/metrics").await.contains("process_"));
    admin.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}
