//! Our client against the embedded registry, over real sockets.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use contract::{
    Checked, Compatibility, Contracts, Decoder, RegistryClient, RegistryError, decode_event, object_subject,
    split_wire,
};
use event::{Envelope, EventId, ObjectKind};
use registry::EmbeddedRegistry;
use serde_json::{Value, json};

const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}"#;
const V2: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":"int","default":0}]}"#;
const BAD: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn start() -> (EmbeddedRegistry, RegistryClient) {
    let registry = EmbeddedRegistry::start(loopback()).await.unwrap();
    let client = RegistryClient::new(&registry.url()).unwrap();
    (registry, client)
}

#[tokio::test]
async fn registers_looks_up_and_refuses() {
    let (_registry, client) = start().await;
    client.ping().await.unwrap();
    assert_eq!(client.check("s-value", V1).await.unwrap(), Checked::NoSubject);
    assert_eq!(client.latest_id("s-value", V1).await.unwrap(), None);
    let id = client.register("s-value", V1).await.unwrap();
    assert_eq!(client.register("s-value", V1).await.unwrap(), id, "the same schema, the same id");
    let spaced = V1.replace(':', " : ");
    assert_eq!(
        client.register("s-value", &spaced).await.unwrap(),
        id,
        "white space does not make a new schema"
    );
    assert_eq!(
        client.register("t-value", V1).await.unwrap(),
        id,
        "an id belongs to a schema, not to a subject"
    );
    assert_eq!(client.latest_id("s-value", V1).await.unwrap(), Some(id));
    assert_eq!(client.latest_id("s-value", V2).await.unwrap(), None);
    assert_eq!(client.check("s-value", V2).await.unwrap(), Checked::Compatible);
    assert_ne!(client.register("s-value", V2).await.unwrap(), id);
    let Checked::Incompatible(messages) = client.check("s-value", BAD).await.unwrap() else {
        unreachable!("a string is no int")
    };
    assert!(messages[0].starts_with("a: string cannot be read as int"), "{messages:?}");
    let error = client.register("s-value", BAD).await.unwrap_err();
    assert!(
        matches!(&error, RegistryError::Incompatible { subject, .. } if subject == "s-value"),
        "{error:?}"
    );
    assert_eq!((error.code(), error.is_retryable()), ("REG-0003", false));
    let error = client.register("s-value", "{}").await.unwrap_err();
    assert_eq!(error.code(), "REG-0004");
}

#[tokio::test]
async fn levels_can_be_set() {
    let (_registry, client) = start().await;
    client.register("s-value", V2).await.unwrap();
    client.set_compatibility("s-value", Compatibility::FullTransitive).await.unwrap();
    let widened = V2.replace(r#""int""#, r#""long""#);
    assert!(matches!(client.check("s-value", &widened).await.unwrap(), Checked::Incompatible(_)));
    client.set_compatibility("s-value", Compatibility::Backward).await.unwrap();
    assert_eq!(client.check("s-value", &widened).await.unwrap(), Checked::Compatible);
    client.set_compatibility("s-value", Compatibility::None).await.unwrap();
    client.register("s-value", BAD).await.unwrap();
}

fn payment() -> (Envelope, Value) {
    let tenant: event::TenantId = "acme".parse().unwrap();
    let event_type = "payment.received".parse().unwrap();
    let envelope = Envelope {
        event_id: EventId::derive(&tenant, "bank", event_type, "P-1", 1),
        tenant,
        event_type,
        entity: "P-1".into(),
        source: "bank".into(),
        source_version: 1,
        occurred_at: 0,
        received_at: 1,
        correlation_id: None,
        causation_id: None,
        traceparent: None,
        schema_version: 1,
        extensions: [].into(),
    };
    let data = json!({"id": "P-1", "amount": {"amount": "1.50", "currency": "EUR"},
        "allocations": [], "external_ids": {}, "extensions": {}});
    (envelope, data)
}

#[tokio::test]
async fn an_event_goes_through_the_registry() {
    let (_registry, client) = start().await;
    for (subject, json) in Contracts::embedded().subjects("eu") {
        client.register(&subject, json).await.unwrap();
        client.set_compatibility(&subject, Compatibility::FullTransitive).await.unwrap();
    }
    let contract = Contracts::embedded().object(ObjectKind::Payment);
    let subject = object_subject("eu", ObjectKind::Payment);
    assert_eq!(subject, "cf.eu.finance.payment.v1-value");
    let id = client.latest_id(&subject, &contract.json).await.unwrap().unwrap();
    let (envelope, data) = payment();
    let value = contract.encode(id, &envelope, &data).unwrap();
    let decoder = Decoder::new(client);
    let (found, datum) = split_wire(&value).unwrap();
    assert!(decoder.cached(found).is_none());
    let schema = decoder.fetch(found).await.unwrap();
    let event = decode_event(&schema, datum).unwrap();
    assert_eq!((event.envelope, event.data), (envelope, data));
    assert!(decoder.cached(found).is_some());
}

/// F12: a registry that is down for a moment must not poison an id.
#[tokio::test]
async fn an_outage_is_retryable_and_leaves_nothing_behind() {
    let (registry, client) = start().await;
    let contract = Contracts::embedded().object(ObjectKind::Payment);
    let id = client.register("p-value", &contract.json).await.unwrap();
    let decoder = Decoder::new(client.clone());
    registry.set_available(false);
    for _ in 0..3 {
        let error = decoder.fetch(id).await.unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), ("REG-0002", true), "{error}");
        assert!(client.register("p-value", V1).await.unwrap_err().is_retryable());
        assert!(client.check("p-value", V1).await.unwrap_err().is_retryable());
        assert!(client.latest_id("p-value", V1).await.unwrap_err().is_retryable());
        assert!(client.set_compatibility("p-value", Compatibility::Full).await.unwrap_err().is_retryable());
    }
    registry.set_available(true);
    assert_eq!(decoder.fetch(id).await.unwrap().kind(), Some(ObjectKind::Payment));
    registry.set_available(false);
    decoder.fetch(id).await.unwrap();
    registry.shutdown().await;
    assert!(Decoder::new(client).fetch(id).await.unwrap_err().is_retryable(), "nobody listens");
}

#[tokio::test]
async fn an_unknown_id_is_permanent_but_not_remembered() {
    let (_registry, client) = start().await;
    let decoder = Decoder::new(client.clone());
    let error = decoder.fetch(1).await.unwrap_err();
    assert!(matches!(error, RegistryError::NotFound(1)), "{error:?}");
    assert_eq!((error.code(), error.is_retryable()), ("REG-0001", false));
    assert_eq!(client.register("s-value", V1).await.unwrap(), 1);
    assert_eq!(decoder.fetch(1).await.unwrap().kind(), None);
}

#[tokio::test]
async fn a_contract_that_we_cannot_read_is_unusable() {
    let (_registry, client) = start().await;
    let alien = r#"{"type":"record","name":"com.counterfoil.payment.v1.PaymentEvent","fields":[]}"#;
    let id = client.register("p-value", alien).await.unwrap();
    let error = Decoder::new(client).fetch(id).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("REG-0005", false), "{error:?}");
}

/// A wrong base path answers 404 as well, and says nothing about the id.
#[tokio::test]
async fn a_wrong_address_is_no_statement_about_an_id() {
    let (registry, _) = start().await;
    let lost = RegistryClient::new(&format!("{}/elsewhere", registry.url())).unwrap();
    assert!(Decoder::new(lost.clone()).fetch(1).await.unwrap_err().is_retryable());
    assert!(lost.check("s", V1).await.unwrap_err().is_retryable());
    for url in ["", "registry", "ftp://registry", "http://"] {
        assert_eq!(RegistryClient::new(url).unwrap_err().code(), "REG-0006", "{url}");
    }
}
