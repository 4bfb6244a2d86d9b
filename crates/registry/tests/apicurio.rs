//! Our client against a registry that nobody here wrote: Apicurio, over its Confluent API.
#![allow(clippy::unwrap_used)]

use contract::{Checked, Compatibility, Contracts, Decoder, RegistryClient, RegistryError};
use event::ObjectKind;
use testkit::registry::Apicurio;

/// A name of this run's own: the registry is shared, and one given by REGISTRY_URL remembers earlier runs.
fn unique(name: &str) -> String {
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("{name}-{}-{nanos}", std::process::id())
}

async fn client() -> RegistryClient {
    let apicurio = tokio::task::spawn_blocking(Apicurio::shared).await.unwrap();
    let apicurio = apicurio.unwrap_or_else(|error| unreachable!("{error:#}"));
    RegistryClient::new(apicurio.url()).unwrap()
}

#[tokio::test]
async fn every_contract_registers_once_and_is_found_again() {
    let client = client().await;
    client.ping().await.unwrap();
    for (subject, json) in Contracts::embedded().subjects(&unique("t")) {
        assert_eq!(client.latest_id(&subject, json).await.unwrap(), None);
        let id = client.register(&subject, json).await.unwrap();
        client.set_compatibility(&subject, Compatibility::FullTransitive).await.unwrap();
        assert_eq!(client.register(&subject, json).await.unwrap(), id, "{subject}");
        assert_eq!(client.latest_id(&subject, json).await.unwrap(), Some(id), "{subject}");
        assert_eq!(client.check(&subject, json).await.unwrap(), Checked::Compatible, "{subject}");
    }
}

#[tokio::test]
async fn an_incompatible_schema_is_refused_at_our_level() {
    let client = client().await;
    let subject = &unique("refused");
    let schema =
        |kind: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":"{kind}"}}]}}"#);
    assert_eq!(client.check(subject, &schema("int")).await.unwrap(), Checked::NoSubject);
    client.register(subject, &schema("int")).await.unwrap();
    client.set_compatibility(subject, Compatibility::FullTransitive).await.unwrap();
    assert!(matches!(client.check(subject, &schema("string")).await.unwrap(), Checked::Incompatible(_)));
    let error = client.register(subject, &schema("string")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Incompatible { .. }), "{error:?}");
    let error = client.register(subject, "{").await.unwrap_err();
    assert!(matches!(error, RegistryError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn schemas_are_fetched_by_id_and_unknown_ids_are_told_apart() {
    let client = client().await;
    let contract = Contracts::embedded().object(ObjectKind::Invoice);
    let id = client.register(&unique("fetched"), &contract.json).await.unwrap();
    let decoder = Decoder::new(client);
    assert_eq!(decoder.fetch(id).await.unwrap().kind(), Some(ObjectKind::Invoice));
    let error = decoder.fetch(u32::MAX / 2).await.unwrap_err();
    assert!(matches!(error, RegistryError::NotFound(_)), "{error:?}");
}
