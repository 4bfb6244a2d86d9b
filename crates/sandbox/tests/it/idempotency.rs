//! The three protections against repeats.

use serde_json::json;

use crate::support::{Erp, customer, send, send_into_the_void};

#[tokio::test]
async fn a_repeated_key_gets_the_stored_answer() {
    let erp = Erp::with(json!({"idempotency": "key"})).await;
    let first = send(erp.keyed("k1", "C-1")).await;
    let second = send(erp.keyed("k1", "C-1")).await;
    assert_eq!((first.status.as_u16(), first.header("idempotent-replayed")), (201, None));
    assert_eq!((second.status.as_u16(), second.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("location"), second.header("location"));
    assert_eq!((erp.summary().await.totals.effects, erp.requests().await.replayed), (1, 1));
}

#[tokio::test]
async fn a_key_of_another_request_is_refused() {
    let erp = Erp::start().await;
    assert_eq!(send(erp.keyed("k1", "C-1")).await.status, 201);
    let other_body = send(erp.keyed("k1", "C-2")).await;
    assert_eq!((other_body.status.as_u16(), other_body.code()), (422, "key_reused"));
    let other_path = erp.post("suppliers", &json!({"id": "C-1"})).header("Idempotency-Key", "k1");
    assert_eq!(send(other_path).await.code(), "key_reused");
    let other_method = erp.put("customers", "C-1", &json!({"id": "C-1"})).header("Idempotency-Key", "k1");
    assert_eq!(send(other_method).await.code(), "key_reused");
    assert_eq!(erp.summary().await.totals.effects, 1);
}

#[tokio::test]
async fn a_key_in_flight_is_a_conflict_until_it_is_answered() {
    let erp = Erp::with(json!({"latency_ms": 1500})).await;
    let first = tokio::spawn(send(erp.keyed("k1", "C-1")));
    erp.until("the first is in flight", |s| s.totals.pending == 1).await;
    erp.set(json!({"latency_ms": 0})).await;
    let meanwhile = send(erp.keyed("k1", "C-1")).await;
    assert_eq!((meanwhile.status.as_u16(), meanwhile.code()), (409, "in_flight"));
    assert_eq!(first.await.unwrap().status, 201);
    assert_eq!(send(erp.keyed("k1", "C-1")).await.header("idempotent-replayed"), Some("true"));
    assert_eq!(erp.summary().await.totals.effects, 1);
}

#[tokio::test]
async fn simultaneous_requests_with_one_key_have_one_effect() {
    let erp = Erp::start().await;
    let all: Vec<_> = (0..32).map(|_| tokio::spawn(send(erp.keyed("k1", "C-1")))).collect();
    let mut created = 0;
    for answer in all {
        let answer = answer.await.unwrap();
        assert!(matches!(answer.status.as_u16(), 201 | 409), "{answer:?}");
        created += usize::from(answer.status == 201 && answer.header("idempotent-replayed").is_none());
    }
    assert_eq!((created, erp.summary().await.totals.effects), (1, 1));
}

#[tokio::test]
async fn a_key_is_forgotten_after_its_window() {
    let erp = Erp::with(json!({"key_window_ms": 150})).await;
    let first = std::time::Instant::now();
    assert_eq!(send(erp.keyed("k1", "C-1")).await.status, 201);
    while send(erp.keyed("k1", "C-1")).await.header("idempotent-replayed").is_some() {
        assert!(first.elapsed().as_secs() < 10, "never forgotten");
    }
    assert!(first.elapsed().as_millis() >= 150, "forgotten after {:?}", first.elapsed());
    let summary = erp.summary().await;
    assert_eq!((summary.totals.documents, summary.totals.duplicate_documents), (2, 1));
}

#[tokio::test]
async fn without_a_key_every_post_creates() {
    let erp = Erp::with(json!({"idempotency": "key"})).await;
    for _ in 0..2 {
        assert_eq!(send(erp.post("customers", &customer("C-1"))).await.status, 201);
    }
    assert_eq!(erp.summary().await.totals.documents, 2);
}

#[tokio::test]
async fn keyed_puts_are_replayed_too() {
    let erp = Erp::start().await;
    let put = || erp.put("customers", "C-1", &customer("C-1")).header("Idempotency-Key", "k1");
    assert_eq!(send(put()).await.body["version"], 1);
    assert_eq!(send(put()).await.body["version"], 1);
    assert_eq!(erp.summary().await.totals.effects, 1);
}

#[tokio::test]
async fn upsert_mode_refuses_a_second_post_and_ignores_keys() {
    let erp = Erp::with(json!({"idempotency": "upsert"})).await;
    let first = send(erp.keyed("k1", "C-1")).await;
    let second = send(erp.keyed("k1", "C-1")).await;
    assert_eq!((second.status.as_u16(), second.code(), second.field()), (409, "duplicate", Some("id")));
    assert!(second.body["error"]["message"].as_str().unwrap().contains(first.id()));
    assert_eq!(send(erp.put("customers", "C-1", &customer("C-1"))).await.status, 200);
    let summary = erp.summary().await;
    assert_eq!((summary.totals.created, summary.totals.updated, summary.totals.duplicates), (1, 1, 0));
}

#[tokio::test]
async fn neither_mode_creates_every_time() {
    let erp = Erp::with(json!({"idempotency": "neither"})).await;
    let first = send(erp.keyed("k1", "C-1")).await;
    let second = send(erp.keyed("k1", "C-1")).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
    assert_ne!(first.id(), second.id());
    let found = erp.get("/acme/api/v1/customers/by-external-id/C-1").await;
    assert_eq!((found.id(), &found.body["copies"]), (second.id(), &json!(2)));
}

#[tokio::test]
async fn a_failure_is_stored_for_its_key_only_when_told() {
    let erp = Erp::with(json!({"fail_next": 1})).await;
    assert_eq!(send(erp.keyed("k1", "C-1")).await.status, 503);
    assert_eq!(send(erp.keyed("k1", "C-1")).await.status, 201);
    erp.set(json!({"fail_next": 1, "store_failures": true})).await;
    assert_eq!(send(erp.keyed("k2", "C-2")).await.status, 503);
    let repeated = send(erp.keyed("k2", "C-2")).await;
    assert_eq!((repeated.status.as_u16(), repeated.header("idempotent-replayed")), (503, Some("true")));
    assert_eq!(repeated.code(), "unavailable");
    assert_eq!(send(erp.keyed("k3", "C-2")).await.status, 201);
    assert_eq!(erp.summary().await.totals.effects, 2);
}

#[tokio::test]
async fn a_lost_answer_is_replayed_to_the_retry() {
    let erp = Erp::with(json!({"drop_answer_next": 1})).await;
    send_into_the_void(erp.keyed("k1", "C-1")).await;
    let retry = send(erp.keyed("k1", "C-1")).await;
    assert_eq!((retry.status.as_u16(), retry.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(erp.summary().await.totals.effects, 1);
}
