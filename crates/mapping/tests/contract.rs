//! What the webhook programs yield must be what the contracts take, or the vendor's webhook would be refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, fs};

use contract::Contracts;
use event::{Envelope, EventId, EventType, TenantId};
use serde_json::Value;

const CONNECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors");

/// The fields that a gateway takes from an event's JSON, besides those that the envelope holds.
const FIELDS: [&str; 8] =
    ["type", "source", "source_version", "occurred_at", "id", "correlation_id", "causation_id", "data"];

fn envelope(event: &Value) -> Envelope {
    let text = |field: &str| event[field].as_str().unwrap();
    let tenant: TenantId = "acme".parse().unwrap();
    let event_type: EventType = text("type").parse().unwrap();
    Envelope {
        event_id: EventId::from_source_id(&tenant, text("source"), text("id")),
        tenant,
        event_type,
        entity: event["data"]["id"].as_str().unwrap().to_owned(),
        source: text("source").to_owned(),
        source_version: event["source_version"].as_i64().unwrap(),
        occurred_at: chrono::DateTime::parse_from_rfc3339(text("occurred_at")).unwrap().timestamp_micros(),
        received_at: 1_795_341_600_000_000,
        correlation_id: None,
        causation_id: event["causation_id"].as_str().map(str::to_owned),
        traceparent: None,
        schema_version: 1,
        extensions: BTreeMap::new(),
    }
}

/// Every event of every expectation, with the file it stands in.
fn expected_events() -> Vec<(String, Value)> {
    let mut events = Vec::new();
    for system in mapping::connectors::embedded().unwrap().names() {
        for entry in fs::read_dir(format!("{CONNECTORS}/{system}/tests")).unwrap() {
            let path = entry.unwrap().path().display().to_string();
            if path.ends_with(".expected.json") {
                let expected: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                // What must be refused is no list.
                let list = expected.as_array().into_iter().flatten();
                events.extend(list.map(|event| (path.clone(), event.clone())));
            }
        }
    }
    events
}

#[test]
fn every_expected_event_satisfies_its_contract() {
    let events = expected_events();
    assert!(events.len() >= 15, "only {} events", events.len());
    for (path, event) in events {
        for field in event.as_object().unwrap().keys() {
            assert!(FIELDS.contains(&field.as_str()), "{path}: the gateway knows no field `{field}`");
        }
        let envelope = envelope(&event);
        let contract = Contracts::embedded().object(envelope.event_type.object());
        if let Err(invalid) = contract.encode(1, &envelope, &event["data"]) {
            panic!("{path}: {invalid}");
        }
    }
}

/// The check above can fail: a wrong amount and a field that no contract has are noticed.
#[test]
fn the_check_notices_what_is_wrong() {
    let (_, event) = expected_events().into_iter().find(|(_, e)| e["type"] == "invoice.posted").unwrap();
    let envelope = envelope(&event);
    let mut data = event["data"].clone();
    data["total"]["amount"] = "1,50".into();
    data["colour"] = "red".into();
    let invalid =
        Contracts::embedded().object(envelope.event_type.object()).encode(1, &envelope, &data).unwrap_err();
    let paths: Vec<_> = invalid.errors.iter().map(|e| e.path.as_str()).collect();
    assert!(paths.contains(&"data.total.amount") && paths.contains(&"data.colour"), "{paths:?}");
}
