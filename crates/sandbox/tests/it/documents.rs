//! The ERP itself: creating, updating, reading, and what it refuses.

use reqwest::Method;
use sandbox::Collection;
use serde_json::{Value, json};

use crate::support::{Erp, customer, invoice, send};

#[tokio::test]
async fn a_created_document_gets_a_number_and_can_be_read_back_as_it_was_sent() {
    let erp = Erp::start().await;
    let created = send(
        erp.post("invoices", &invoice("INV/ü 1"))
            .header("X-Counterfoil-Event-Id", "e1")
            .header("X-Counterfoil-Source-Version", "7"),
    )
    .await;
    assert_eq!(created.status, 201);
    assert!(created.id().starts_with("INV-20") && created.id().ends_with("-00001"), "{}", created.id());
    assert_eq!((&created.body["external_id"], &created.body["version"]), (&json!("INV/ü 1"), &json!(1)));
    assert_eq!(created.header("etag"), Some("\"1\""));

    let by_number = erp.get(created.header("location").unwrap()).await;
    let by_external_id = erp.get("/acme/api/v1/invoices/by-external-id/INV%2F%C3%BC%201").await;
    for read in [by_number, by_external_id] {
        assert_eq!(read.status, 200);
        assert_eq!(read.body["data"], invoice("INV/ü 1"));
        assert_eq!((&read.body["event_id"], &read.body["source_version"]), (&json!("e1"), &json!(7)));
        assert_eq!((read.id(), &read.body["copies"]), (created.id(), &json!(1)));
        assert_eq!(read.header("etag"), Some("\"1\""));
    }
}

#[tokio::test]
async fn every_collection_takes_documents() {
    let erp = Erp::start().await;
    for collection in Collection::ALL {
        let mut body = invoice("X-1");
        body["amount"] = json!("1.00");
        let created = send(erp.post(collection.name(), &body)).await;
        assert_eq!(created.status, 201, "{} {}", collection.name(), created.body);
    }
    assert_eq!(erp.summary().await.accounts["acme"].collections.len(), 14);
}

#[tokio::test]
async fn put_by_external_id_creates_then_updates_the_same_document() {
    let erp = Erp::start().await;
    let created = send(erp.put("customers", "C-1", &json!({"name": "A"}))).await;
    let updated = send(erp.put("customers", "C-1", &json!({"id": "C-1", "name": "B"}))).await;
    assert_eq!((created.status.as_u16(), updated.status.as_u16()), (201, 200));
    assert_eq!(created.id(), updated.id());
    assert_eq!(updated.body["version"], 2);
    let read = erp.get("/acme/api/v1/customers/by-external-id/C-1").await;
    assert_eq!(read.body["data"], json!({"id": "C-1", "name": "B"}));
}

#[tokio::test]
async fn conditional_puts_change_nothing_when_the_condition_fails() {
    let erp = Erp::start().await;
    let put = |header: &'static str, value: &'static str| {
        send(erp.put("customers", "C-1", &customer("C-1")).header(header, value))
    };
    assert_eq!(put("If-Match", "*").await.status, 412);
    assert_eq!(put("If-Match", "\"1\"").await.status, 412);
    assert_eq!(put("If-None-Match", "*").await.status, 201);
    assert_eq!(put("If-None-Match", "*").await.code(), "precondition_failed");
    assert_eq!(put("If-Match", "\"1\"").await.status, 200);
    assert_eq!(put("If-Match", "\"1\"").await.status, 412);
    assert_eq!(put("If-Match", "*").await.status, 200);
    assert_eq!(put("If-Match", "1").await.code(), "bad_header");
    assert_eq!(erp.summary().await.totals.effects, 3);
}

#[tokio::test]
async fn a_list_is_paged_in_order_of_creation() {
    let erp = Erp::start().await;
    for n in 1..=5 {
        assert_eq!(send(erp.post("customers", &customer(&format!("C-{n}")))).await.status, 201);
    }
    let ids = |page: &Value| -> Vec<String> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["external_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = erp.get("/acme/api/v1/customers?limit=3").await.body;
    assert_eq!(ids(&first), ["C-1", "C-2", "C-3"]);
    let next = first["next"].as_str().unwrap();
    let second = erp.get(&format!("/acme/api/v1/customers?limit=3&after={next}")).await.body;
    assert_eq!((ids(&second), &second["next"]), (vec!["C-4".to_owned(), "C-5".to_owned()], &Value::Null));
    assert_eq!(ids(&erp.get("/acme/api/v1/orders").await.body), Vec::<String>::new());
    assert_eq!(erp.get("/acme/api/v1/customers?after=nope").await.status, 404);
    assert_eq!(erp.get("/acme/api/v1/customers?limit=many").await.code(), "bad_query");
}

#[tokio::test]
async fn a_refusal_names_the_field_and_changes_nothing() {
    let erp = Erp::start().await;
    let mut no_lines = invoice("I-1");
    no_lines["lines"] = json!([]);
    let mut wrong_currency = invoice("I-1");
    wrong_currency["total"]["currency"] = json!("euro");
    let cases = [
        ("customers", json!({"name": "x"}), Some("id")),
        ("customers", json!([1]), None),
        ("invoices", json!({"id": "I-1", "lines": [1]}), Some("customer_id")),
        ("invoices", no_lines, Some("lines")),
        ("invoices", wrong_currency, Some("total.currency")),
        ("payments", json!({"id": "P-1"}), Some("amount")),
    ];
    for (collection, body, field) in &cases {
        let refused = send(erp.post(collection, body)).await;
        assert_eq!((refused.status.as_u16(), refused.code(), refused.field()), (400, "validation", *field));
        assert!(!refused.body["error"]["message"].as_str().unwrap().is_empty());
    }
    let other_id = send(erp.put("customers", "C-1", &customer("C-2"))).await;
    assert_eq!((other_id.status.as_u16(), other_id.field()), (400, Some("id")));
    let summary = erp.summary().await;
    assert_eq!((summary.totals.effects, summary.totals.requests), (0, 7));
    assert_eq!(erp.requests().await.refused, 7);
}

#[tokio::test]
async fn bad_requests_get_json_errors() {
    let erp = Erp::start().await;
    let not_json = erp.request(Method::POST, "/acme/api/v1/orders").body("{\"id\":");
    assert_eq!(send(not_json).await.code(), "validation");
    let not_utf8 = erp.request(Method::POST, "/acme/api/v1/orders").body(b"{\"id\":\"\xff\"}".to_vec());
    assert_eq!(send(not_utf8).await.code(), "validation");
    let long_key = "k".repeat(256);
    assert_eq!(send(erp.keyed(&long_key, "C-1")).await.code(), "bad_header");
    let version = erp.post("customers", &customer("C-1")).header("X-Counterfoil-Source-Version", "-1");
    assert_eq!(send(version).await.code(), "bad_header");
    assert_eq!(send(erp.post("ledgers", &customer("C-1"))).await.code(), "unknown_collection");
    assert_eq!(erp.get("/acme/api/v1/orders/by-external-id/none").await.code(), "not_found");
    assert_eq!(erp.get("/acme/api/v1/orders/SO-2026-00009").await.code(), "not_found");
    assert_eq!(erp.get("/nowhere").await.code(), "not_found");
    assert_eq!(send(erp.request(Method::DELETE, "/acme/api/v1/orders")).await.code(), "method_not_allowed");
    for name in ["admin", "Acme", "-a", "a.b", &"a".repeat(65)] {
        let refused =
            send(erp.request(Method::POST, &format!("/{name}/api/v1/orders")).json(&customer("C"))).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "bad_account"), "{name}");
    }
    assert_eq!(erp.summary().await.totals.effects, 0);
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused() {
    let erp = Erp::start().await;
    let body = |size: usize| format!("{{\"id\":\"C-1\",\"pad\":\"{}\"}}", "x".repeat(size - 21));
    let post = |size: usize| send(erp.request(Method::POST, "/acme/api/v1/customers").body(body(size)));
    assert_eq!(body(100).len(), 100);
    assert_eq!(post(1 << 20).await.status, 201);
    for size in [(1 << 20) + 1, 4 << 20] {
        let refused = post(size).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (413, "too_large"));
    }
    assert_eq!(erp.summary().await.totals.effects, 1);
}

#[tokio::test]
async fn a_token_is_demanded_where_one_is_set_and_never_shown() {
    let erp = Erp::with(json!({"token": "s3cret-token"})).await;
    let post = || erp.post("customers", &customer("C-1"));
    assert_eq!(send(post()).await.code(), "unauthorized");
    assert_eq!(send(post().bearer_auth("other")).await.status, 401);
    assert_eq!(send(post().header("Authorization", "s3cret-token")).await.status, 401);
    assert_eq!(erp.get("/acme/api/v1/customers").await.status, 401);
    assert_eq!(send(post().bearer_auth("s3cret-token")).await.status, 201);
    let shown = erp.get("/admin/accounts/acme").await.body;
    assert_eq!(shown["token_required"], true);
    assert!(!shown.to_string().contains("s3cret"));
    erp.set(json!({"token": ""})).await;
    assert_eq!(send(post()).await.status, 201);
}

#[tokio::test]
async fn strict_references_want_the_customer_first() {
    let erp = Erp::with(json!({"strict_references": true})).await;
    for collection in ["orders", "invoices"] {
        let refused = send(erp.post(collection, &invoice("X-1"))).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (422, "missing_reference"));
        assert_eq!(refused.field(), Some("customer_id"));
    }
    assert_eq!(send(erp.post("customers", &customer("C-1"))).await.status, 201);
    assert_eq!(send(erp.post("orders", &invoice("X-1"))).await.status, 201);
    // Keyed and refused for its reference: the same key works once the customer is there.
    let order =
        || erp.post("orders", &json!({"id": "X-2", "customer_id": "C-2"})).header("Idempotency-Key", "k");
    assert_eq!(send(order()).await.status, 422);
    assert_eq!(send(erp.post("customers", &customer("C-2"))).await.status, 201);
    assert_eq!(send(order()).await.status, 201);
}
