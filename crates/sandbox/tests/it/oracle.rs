//! What the oracle reports over the admin API.

use std::net::SocketAddr;

use reqwest::Method;
use sandbox::{Collection, Idempotency, Sandbox};
use serde_json::json;

use crate::support::{Erp, customer, send};

async fn apply(erp: &Erp, event: &str, external_id: &str, version: u64) {
    let post = erp
        .post("customers", &customer(external_id))
        .header("X-Counterfoil-Event-Id", event)
        .header("X-Counterfoil-Source-Version", version)
        .header("Idempotency-Key", format!("{event}-{version}-{external_id}"));
    assert_eq!(send(post).await.status, 201);
}

#[tokio::test]
async fn effects_are_counted_by_event_and_by_external_id() {
    let erp = Erp::with(json!({"idempotency": "neither"})).await;
    apply(&erp, "e1", "C-1", 2).await;
    apply(&erp, "e1", "C-1", 2).await;
    apply(&erp, "e2", "C-1", 1).await;
    apply(&erp, "e3", "C-2", 1).await;

    let summary = erp.summary().await;
    let totals = &summary.accounts["acme"].totals;
    assert_eq!(totals, &summary.totals);
    assert_eq!(summary.accounts["acme"].idempotency, Idempotency::Neither);
    assert_eq!((totals.documents, totals.effects, totals.requests), (4, 4, 4));
    // e1's repeat is both kinds and counts once; e2's document shares the external id.
    assert_eq!((totals.duplicates, totals.duplicate_effects, totals.duplicate_documents), (2, 1, 2));
    assert_eq!(totals.out_of_order, 1);

    let rows = erp.effects("").await.effects;
    assert_eq!(
        rows.iter().map(|row| row.event_id.as_deref().unwrap()).collect::<Vec<_>>(),
        ["e1", "e2", "e3"]
    );
    assert_eq!((rows[0].effects, rows[0].document_ids.len()), (2, 2));
    assert_eq!((rows[0].collection, rows[0].external_id.as_str()), (Collection::Customers, "C-1"));
    assert_eq!(rows[0].source_versions, [2, 2]);

    let entities = erp.entities("").await.entities;
    assert_eq!((entities[0].created, entities[0].updated, entities[0].out_of_order), (3, 0, 1));
    assert_eq!(entities[0].source_versions, [2, 2, 1]);
    assert_eq!(entities[0].idempotency_keys, ["e1-2-C-1", "e2-1-C-1"]);
}

#[tokio::test]
async fn effects_are_paged() {
    let erp = Erp::start().await;
    for n in 0..5 {
        apply(&erp, &format!("e{n}"), &format!("C-{n}"), 1).await;
    }
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = erp.effects(&format!("?limit=2&after={after}")).await;
        assert!(page.effects.len() <= 2);
        seen.extend(page.effects.into_iter().map(|row| row.event_id.unwrap()));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, ["e0", "e1", "e2", "e3", "e4"]);
    assert_eq!(erp.get("/admin/accounts/acme/effects?after=x").await.code(), "bad_query");
}

#[tokio::test]
async fn requests_are_counted_whatever_became_of_them() {
    let erp = Erp::with(json!({"token": "t", "fail_next": 1})).await;
    let post = |id: &str| erp.post("customers", &customer(id)).bearer_auth("t");
    send(erp.post("customers", &customer("C-1"))).await;
    send(post("C-1")).await;
    send(post("C-1")).await;
    send(post("")).await;
    send(erp.request(Method::GET, "/acme/api/v1/customers").bearer_auth("t")).await;
    let requests = erp.requests().await;
    assert_eq!((requests.requests, requests.writes, requests.reads), (5, 4, 1));
    assert_eq!((requests.refused, requests.failed), (2, 1));
}

#[tokio::test]
async fn accounts_are_apart_and_a_reset_forgets_one() {
    let erp = Erp::with(json!({"idempotency": "upsert"})).await;
    apply(&erp, "e1", "C-1", 1).await;
    let other = erp.request(Method::POST, "/globex/api/v1/customers").json(&customer("C-1"));
    assert_eq!(send(other).await.status, 201);
    let summary = erp.summary().await;
    assert_eq!((summary.totals.effects, summary.totals.duplicates), (2, 0));
    assert_eq!(summary.accounts["globex"].idempotency, Idempotency::Key);

    assert_eq!(send(erp.request(Method::DELETE, "/admin/accounts/acme")).await.status, 204);
    for path in ["", "/effects", "/entities", "/requests/count"] {
        assert_eq!(erp.get(&format!("/admin/accounts/acme{path}")).await.code(), "not_found");
    }
    assert_eq!(send(erp.request(Method::DELETE, "/admin/accounts/acme")).await.status, 404);
    let left = erp.summary().await;
    assert_eq!((left.totals.effects, left.accounts.len()), (1, 1));
    apply(&erp, "e1", "C-1", 1).await;
    assert_eq!(erp.summary().await.accounts["acme"].totals.duplicates, 0);
}

#[tokio::test]
async fn erp_and_admin_can_listen_apart() {
    let sandbox = Sandbox::new();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (erp, admin) = (sandbox.start_erp(any).await.unwrap(), sandbox.start_admin(any).await.unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |base: String| client.post(format!("{base}/acme/api/v1/customers")).json(&customer("C-1"));
    assert_eq!(send(post(erp.url())).await.status, 201);
    assert_eq!(send(post(admin.url())).await.status, 404);
    assert_eq!(send(client.get(format!("{}/admin/summary", erp.url()))).await.status, 404);
    assert_eq!(send(client.get(format!("{}/admin/summary", admin.url()))).await.body["effects"], 1);
    let (addr, _) = (erp.addr, erp.shutdown().await);
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    admin.shutdown().await;
}

#[tokio::test]
async fn requests_are_kept_with_their_fate_if_that_is_asked_for() {
    let erp = Erp::start().await;
    apply(&erp, "before", "C-0", 1).await;
    erp.set(json!({"log_requests": true})).await;
    apply(&erp, "e1", "C-1", 1).await;
    apply(&erp, "e1", "C-1", 1).await;
    erp.set(json!({"fail_next": 1, "fail_status": 500})).await;
    assert_eq!(send(erp.keyed("k2", "C-2")).await.code(), "internal");
    erp.set(json!({"drop_answer_next": 1})).await;
    crate::support::send_into_the_void(erp.keyed("k3", "C-3")).await;
    for (id, status) in [("C-3", 200), ("C-4", 404)] {
        let path = format!("/acme/api/v1/customers/by-external-id/{id}");
        assert_eq!(erp.get(&path).await.status, status);
    }

    let page: sandbox::RequestPage = serde_json::from_value(
        erp.request(Method::GET, "/admin/accounts/acme/requests").send().await.unwrap().json().await.unwrap(),
    )
    .unwrap();
    let fates: Vec<_> = page.requests.iter().map(|row| (row.external_id.as_str(), row.fate)).collect();
    use sandbox::Fate::{Absent, Applied, AppliedUnanswered, Found, Refused, Replayed};
    let expected = [
        ("C-1", Applied),
        ("C-1", Replayed),
        ("C-2", Refused),
        ("C-3", AppliedUnanswered),
        ("C-3", Found),
        ("C-4", Absent),
    ];
    assert_eq!(fates, expected);
    let first = &page.requests[0];
    assert_eq!((first.event_id.as_deref(), first.source_version), (Some("e1"), Some(1)));
    assert_eq!(first.data.as_ref().unwrap().get(), customer("C-1").to_string());
    assert!(page.requests.iter().all(|row| row.ended_at >= Some(row.at)) && page.missed == 0);
}

#[tokio::test]
async fn a_late_application_is_logged_when_it_comes() {
    let erp = Erp::with(json!({"log_requests": true, "drop_answer_next": 1, "apply_late_ms": 60})).await;
    crate::support::send_into_the_void(erp.keyed("k1", "C-1")).await;
    erp.until("applied", |summary| summary.totals.effects == 1).await;
    let page = erp.get("/admin/accounts/acme/requests").await.body;
    let row = &page["requests"][0];
    assert_eq!(row["fate"], "applied_unanswered");
    assert!(row["ended_at"].as_i64().unwrap() - row["at"].as_i64().unwrap() >= 60_000, "{row}");
}
