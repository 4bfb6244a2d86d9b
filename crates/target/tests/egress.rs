//! The egress guard on real connections: what is refused is refused before a byte leaves, however it is written.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use delivery::{Answer, OnUnknown, Scope};
use event::{EventId, PostingKey, RouteId};
use target::{Account, ClassChoice, Client, ClientOptions, Connector, Egress, Endpoint};
use tokio::net::TcpListener;
use uuid::Uuid;

/// Posts to `base`, and says what became of it.
async fn post(client: &Client, base: &str) -> Answer {
    let connector = Connector::embedded("sandbox").unwrap();
    let account = Account {
        base_url: Some(base),
        class: Some(ClassChoice::Keyed),
        on_unknown: OnUnknown::Park,
        auth: None,
        values: &BTreeMap::new(),
    };
    let endpoint = Endpoint::new(&connector, "payment", &account).unwrap();
    let key = PostingKey { event: EventId(Uuid::from_u128(1)), route: RouteId(1), generation: 0 };
    let posting = endpoint.posting(key, "PAY-1", 1, Bytes::from_static(b"{}")).unwrap();
    client.send(&endpoint, &posting, (1, None), Duration::from_secs(2)).await
}

fn assert_refused(answer: &Answer, base: &str) {
    let Answer::Again { reason, scope, .. } = answer else { panic!("{base}: {answer:?}") };
    assert_eq!((&*reason.code, *scope), ("SNK-0041", Scope::Connection), "{base}: {reason:?}");
    assert!(reason.message.contains("does not allow"), "{}", reason.message);
}

#[tokio::test]
async fn nothing_leaves_for_an_address_that_is_not_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client::new(ClientOptions::default()).unwrap();
    // By address, by name (seen only after it is resolved), and in the forms that only a resolver understands.
    for host in
        ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "0.0.0.0"]
    {
        let base = format!("http://{host}:{port}/acme");
        assert_refused(&post(&client, &base).await, &base);
    }
    assert_refused(&post(&client, "http://169.254.169.254/latest").await, "metadata");
    let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err(), "somebody connected: {accepted:?}");
}

#[tokio::test]
async fn an_open_connection_of_another_guard_is_not_used() {
    let sandbox = sandbox::Sandbox::new();
    let handle = sandbox.start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let base = format!("{}/acme", handle.url());
    let strict = Client::new(ClientOptions::default()).unwrap();
    let open = strict.under(&Egress { private: true, networks: Vec::new() });
    let listed = strict.under(&Egress { private: false, networks: vec!["127.0.0.0/8".parse().unwrap()] });
    let elsewhere = strict.under(&Egress { private: false, networks: vec!["10.0.0.0/8".parse().unwrap()] });
    for client in [&open, &listed] {
        // It was sent: whatever the target says of the body, it is no refusal of ours.
        let answer = post(client, &base).await;
        assert!(!format!("{answer:?}").contains("SNK-0041"), "{answer:?}");
        // There is an idle connection to the same place now, in another client's pool.
        assert_refused(&post(&strict, &base).await, &base);
        assert_refused(&post(&elsewhere, &base).await, &base);
    }
}
