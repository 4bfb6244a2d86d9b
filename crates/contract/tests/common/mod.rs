//! What the tests of this crate share.
#![allow(clippy::unwrap_used, dead_code)]

use std::sync::LazyLock;

use apache_avro::Schema;
use contract::{Contracts, ObjectContract, WriterSchema, split_wire};
use event::{Envelope, EventId, ObjectKind};
use serde_json::Value;

pub fn example(kind: ObjectKind) -> Value {
    let path = format!("{}/../../schemas/examples/{kind}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn contract(kind: ObjectKind) -> &'static ObjectContract {
    Contracts::embedded().object(kind)
}

/// An envelope for an event of `kind` about `entity`.
pub fn envelope(kind: ObjectKind, entity: &str) -> Envelope {
    let tenant: event::TenantId = "acme".parse().unwrap();
    let event_type = format!("{kind}.{}", kind.verbs()[0]).parse().unwrap();
    Envelope {
        event_id: EventId(uuid::Uuid::from_u128(0x0190_a1b2_c3d4_5e6f_8a9b_0c1d_2e3f_4a5b)),
        tenant,
        event_type,
        entity: entity.to_owned(),
        source: "shop-eu".to_owned(),
        source_version: 7,
        occurred_at: 1_795_341_600_000_000,
        received_at: 1_795_341_601_234_567,
        correlation_id: Some("c-1".to_owned()),
        causation_id: None,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        schema_version: 1,
        extensions: [("cost_center".to_owned(), "42".to_owned())].into(),
    }
}

/// The envelope that goes with `data`.
pub fn envelope_of(kind: ObjectKind, data: &Value) -> Envelope {
    envelope(kind, data["id"].as_str().unwrap())
}

/// The current contract, as the schema of a writer.
pub fn current(kind: ObjectKind) -> &'static WriterSchema {
    static SCHEMAS: LazyLock<Vec<WriterSchema>> = LazyLock::new(|| {
        ObjectKind::ALL.iter().map(|kind| WriterSchema::new(1, &contract(*kind).json, &[]).unwrap()).collect()
    });
    &SCHEMAS[kind as usize]
}

/// The current contract, as apache-avro has it.
pub fn avro(kind: ObjectKind) -> &'static Schema {
    static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
        ObjectKind::ALL.iter().map(|kind| Schema::parse_str(&contract(*kind).json).unwrap()).collect()
    });
    &SCHEMAS[kind as usize]
}

pub fn datum(value: &[u8]) -> &[u8] {
    split_wire(value).unwrap().1
}
