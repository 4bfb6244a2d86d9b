//! The page for people.

use serde_json::json;

use crate::support::{Erp, invoice, send};

async fn page(erp: &Erp) -> String {
    let response = erp.request(reqwest::Method::GET, "/").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_page_shows_accounts_documents_and_faults() {
    let erp = Erp::start().await;
    assert!(page(&erp).await.contains("No account yet"));
    erp.set(json!({"idempotency": "upsert", "throttle_per_second": 5000, "drop_answer_rate": 0.25})).await;
    erp.set(json!({"drop_answer_rate": 0.0, "fail_rate": 0.5, "seed": 1})).await;
    erp.set(json!({"fail_rate": 0.0})).await;
    let created = send(erp.post("invoices", &invoice("INV-<b>1"))).await;
    let page = page(&erp).await;
    for shown in
        ["acme", "unique external id", "5000 requests/s", created.id(), "119.00 EUR", "INV-&lt;b&gt;1"]
    {
        assert!(page.contains(shown), "{shown} is not in the page");
    }
    assert!(!page.contains("INV-<b>") && !page.contains("answers lost"));
}

#[tokio::test]
async fn the_page_lists_the_latest_fifty_documents_once_each() {
    let erp = Erp::start().await;
    for n in 0..60 {
        assert_eq!(
            send(erp.put("invoices", &format!("I{n:02}"), &invoice(&format!("I{n:02}")))).await.status,
            201
        );
    }
    assert_eq!(send(erp.put("invoices", "I59", &invoice("I59"))).await.status, 200);
    let page = page(&erp).await;
    assert_eq!(page.matches(">I59<").count(), 1);
    assert!(page.contains(">I11<") && !page.contains(">I10<"));
}
