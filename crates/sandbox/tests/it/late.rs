//! Application after the connection is gone.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Erp, customer, send, send_into_the_void};

#[tokio::test]
async fn a_late_write_is_applied_after_its_connection_was_closed() {
    let erp = Erp::with(json!({"drop_answer_next": 1, "apply_late_ms": 1000})).await;
    let start = Instant::now();
    send_into_the_void(erp.keyed("k1", "C-1")).await;
    let closed = erp.summary().await;
    assert_eq!((closed.totals.effects, closed.totals.pending), (0, 1));
    let conflict = send(erp.keyed("k1", "C-1")).await;
    assert_eq!((conflict.status.as_u16(), conflict.code()), (409, "in_flight"));
    let applied = erp.until("applied late", |s| s.totals.pending == 0).await;
    assert!(start.elapsed() >= Duration::from_millis(1000), "{:?}", start.elapsed());
    assert_eq!((applied.totals.effects, erp.requests().await.answers_dropped), (1, 1));
    assert_eq!(send(erp.keyed("k1", "C-1")).await.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn late_application_touches_no_answered_write() {
    let erp = Erp::with(json!({"apply_late_ms": 60_000})).await;
    assert_eq!(send(erp.post("customers", &customer("C-1"))).await.status, 201);
    assert_eq!((erp.summary().await.totals.effects, erp.summary().await.totals.pending), (1, 0));
}

#[tokio::test]
async fn a_late_write_that_lands_on_a_newer_one_is_seen_as_out_of_order() {
    let erp = Erp::with(json!({"idempotency": "upsert", "drop_answer_next": 1, "apply_late_ms": 1000})).await;
    let put = |version: u32| {
        erp.put("customers", "C-1", &customer("C-1")).header("X-Counterfoil-Source-Version", version)
    };
    send_into_the_void(put(1)).await;
    assert_eq!(send(put(2)).await.status, 201);
    let summary = erp.until("applied late", |s| s.totals.pending == 0).await;
    assert_eq!((summary.totals.effects, summary.totals.out_of_order), (2, 1));
}

#[tokio::test]
async fn a_late_conditional_write_is_judged_when_it_is_applied() {
    let erp = Erp::with(json!({"idempotency": "upsert", "drop_answer_next": 1, "apply_late_ms": 1000})).await;
    let put = || erp.put("customers", "C-1", &customer("C-1")).header("If-None-Match", "*");
    send_into_the_void(put()).await;
    assert_eq!(send(put()).await.status, 201);
    let summary = erp.until("judged late", |s| s.totals.pending == 0).await;
    assert_eq!(summary.totals.effects, 1);
}

#[tokio::test]
async fn what_was_pending_when_an_account_was_reset_does_not_come_back() {
    let erp = Erp::with(json!({"drop_answer_next": 1, "apply_late_ms": 100})).await;
    send_into_the_void(erp.keyed("k1", "C-1")).await;
    assert_eq!(send(erp.request(reqwest::Method::DELETE, "/admin/accounts/acme")).await.status, 204);
    assert_eq!(send(erp.keyed("k1", "C-1")).await.status, 201);
    let late = Instant::now() + Duration::from_millis(200);
    while Instant::now() < late {
        assert_eq!(erp.summary().await.totals.effects, 1);
    }
}
