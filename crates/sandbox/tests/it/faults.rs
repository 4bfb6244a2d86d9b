//! Each fault, and that it is what it says.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Erp, customer, send, send_into_the_void};

#[tokio::test]
async fn latency_and_jitter_delay_reads_and_writes() {
    let erp = Erp::with(json!({"latency_ms": 60, "jitter_ms": 20})).await;
    let start = Instant::now();
    assert_eq!(send(erp.post("customers", &customer("C-1"))).await.status, 201);
    assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(erp.get("/acme/api/v1/customers").await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_gives_up_does_not_stop_its_request() {
    let erp = Erp::with(json!({"latency_ms": 1000})).await;
    let impatient = tokio::spawn(erp.keyed("k1", "C-1").send());
    erp.until("the request has arrived", |s| s.totals.pending == 1).await;
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    erp.set(json!({"latency_ms": 0})).await;
    assert_eq!(erp.until("applied", |s| s.totals.effects == 1).await.totals.pending, 0);
    assert_eq!(send(erp.keyed("k1", "C-1")).await.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn the_throttle_answers_429_with_retry_after() {
    let erp = Erp::with(json!({"throttle_per_second": 3})).await;
    let mut throttled = None;
    for n in 0..50 {
        let answer = send(erp.post("customers", &customer(&format!("C-{n}")))).await;
        if answer.status != 201 {
            throttled = Some(answer);
            break;
        }
    }
    let throttled = throttled.expect("50 requests in a row were let through");
    assert_eq!((throttled.status.as_u16(), throttled.code()), (429, "throttled"));
    assert_eq!(throttled.header("retry-after"), Some("1"));
    let told = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    assert_eq!(told.map(|name| throttled.header(name)), [Some("3"), Some("0"), Some("1")]);
    let (summary, requests) = (erp.summary().await, erp.requests().await);
    assert_eq!((requests.throttled, requests.writes), (1, summary.totals.effects + 1));
    assert!(summary.totals.effects >= 3);
    erp.set(json!({"throttle_per_second": 0})).await;
    let free = send(erp.post("customers", &customer("X"))).await;
    assert_eq!((free.status.as_u16(), free.header("x-ratelimit-remaining")), (201, None));
}

#[tokio::test]
async fn failing_writes_are_not_applied_and_reads_go_on() {
    let erp = Erp::with(json!({"fail_next": 2})).await;
    for _ in 0..2 {
        let failed = send(erp.post("customers", &customer("C-1"))).await;
        assert_eq!((failed.status.as_u16(), failed.code()), (503, "unavailable"));
        assert_eq!(erp.get("/acme/api/v1/customers").await.status, 200);
    }
    assert_eq!(send(erp.post("customers", &customer("C-1"))).await.status, 201);
    assert_eq!((erp.summary().await.totals.effects, erp.requests().await.failed), (1, 2));
}

#[tokio::test]
async fn rates_hit_their_share_and_the_seed_repeats_them() {
    let erp = Erp::start().await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        erp.set(json!({"fail_rate": 0.3, "seed": 42})).await;
        let mut run = Vec::new();
        for n in 0..200 {
            run.push(send(erp.post("customers", &customer(&format!("C-{n}")))).await.status.as_u16());
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    let failed = runs[0].iter().filter(|status| **status == 503).count();
    assert!((40..=80).contains(&failed), "{failed} of 200");
}

#[tokio::test]
async fn a_dropped_answer_is_applied_and_really_lost() {
    let erp = Erp::with(json!({"drop_answer_next": 2})).await;
    send_into_the_void(erp.put("customers", "C-1", &customer("C-1"))).await;
    assert_eq!(erp.summary().await.totals.effects, 1);

    let mut socket = TcpStream::connect(erp.handle.addr).await.unwrap();
    let head = "PUT /acme/api/v1/customers/by-external-id/C-1 HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n{\"id\":\"C-1\"}";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty(), "{ended:?} {:?}", String::from_utf8_lossy(&answer));

    assert_eq!(send(erp.put("customers", "C-1", &customer("C-1"))).await.body["version"], 3);
    assert_eq!(erp.requests().await.answers_dropped, 2);
}

#[tokio::test]
async fn every_answer_is_lost_at_rate_one() {
    let erp = Erp::with(json!({"drop_answer_rate": 1.0})).await;
    for n in 0..5 {
        send_into_the_void(erp.post("customers", &customer(&format!("C-{n}")))).await;
    }
    assert_eq!((erp.summary().await.totals.effects, erp.requests().await.answers_dropped), (5, 5));
}

#[tokio::test]
async fn a_down_account_hangs_up_and_others_go_on() {
    let erp = Erp::with(json!({"down": true})).await;
    send_into_the_void(erp.post("customers", &customer("C-1"))).await;
    send_into_the_void(erp.request(reqwest::Method::GET, "/acme/api/v1/customers")).await;
    let other = erp.request(reqwest::Method::POST, "/globex/api/v1/customers").json(&customer("C-1"));
    assert_eq!(send(other).await.status, 201);
    assert_eq!(erp.requests().await.hung_up, 2);
    erp.set(json!({"down": false})).await;
    assert_eq!(send(erp.post("customers", &customer("C-1"))).await.status, 201);
    assert_eq!(erp.summary().await.accounts["acme"].totals.effects, 1);
}

#[tokio::test]
async fn settings_out_of_range_or_unknown_are_refused_and_change_nothing() {
    let erp = Erp::with(json!({"latency_ms": 1})).await;
    let before = erp.get("/admin/accounts/acme").await.body;
    for settings in [
        json!({"fail_rate": 1.1}),
        json!({"drop_answer_rate": -0.1}),
        json!({"latency_ms": 86_400_000}),
        json!({"key_window_ms": 0}),
        json!({"latency": 1}),
        json!({"idempotency": "always"}),
        json!([]),
    ] {
        let put = erp.request(reqwest::Method::PUT, "/admin/accounts/acme").json(&settings);
        assert_eq!(send(put).await.status, 400, "{settings}");
    }
    assert_eq!(erp.get("/admin/accounts/acme").await.body, before);
    let put = erp.request(reqwest::Method::PUT, "/admin/accounts/Bad").json(&json!({}));
    assert_eq!(send(put).await.code(), "bad_account");
}

#[tokio::test]
async fn settings_not_named_stay_and_counters_run_down() {
    let erp = Erp::with(json!({"idempotency": "neither", "latency_ms": 5, "fail_next": 3})).await;
    erp.set(json!({"latency_ms": 0})).await;
    assert_eq!(send(erp.post("customers", &customer("C-1"))).await.status, 503);
    let shown = erp.get("/admin/accounts/acme").await.body;
    assert_eq!((&shown["idempotency"], &shown["latency_ms"]), (&json!("neither"), &json!(0)));
    assert_eq!(shown["fail_next"], 2);
}
