//! The bytes on the topics do not change, and are what apache-avro would write.
#![allow(clippy::unwrap_used)]

mod common;

use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value as Avro, writer::datum::GenericDatumWriter,
};
use common::{avro, contract, current, datum, envelope_of, example};
use contract::{Contracts, DecodedEvent, Outcome, OutcomeStatus, WriterSchema, decode_event, decode_outcome};
use event::ObjectKind;

/// Do not change: records on topics have these bytes, and the audit compares them.
const OUTCOME: &str = include_str!("golden/outcome.hex");

fn encoded(kind: ObjectKind) -> Vec<u8> {
    let data = &example(kind)["data"];
    contract(kind).encode(258, &envelope_of(kind, data), data).unwrap()
}

/// Do not change these either: the file of each object holds the bytes of its example.
fn golden(kind: ObjectKind) -> String {
    let file = format!("{}/tests/golden/{kind}.hex", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn every_object_has_its_golden_bytes() {
    for kind in ObjectKind::ALL {
        assert_eq!(hex::encode(encoded(kind)), golden(kind).trim(), "{kind}");
    }
}

#[test]
fn examples_round_trip() {
    for kind in ObjectKind::ALL {
        let data = example(kind)["data"].clone();
        let bytes = encoded(kind);
        assert_eq!(bytes[..5], [0, 0, 0, 1, 2]);
        let event = decode_event(current(kind), datum(&bytes)).unwrap();
        assert_eq!(event, DecodedEvent { envelope: envelope_of(kind, &data), data }, "{kind}");
    }
}

#[test]
fn examples_are_events_of_the_naming_standard() {
    for kind in ObjectKind::ALL {
        let event_type: event::EventType = example(kind)["type"].as_str().unwrap().parse().unwrap();
        assert_eq!(event_type.object(), kind);
    }
}

#[test]
fn apache_avro_reads_and_writes_the_same_bytes() {
    for kind in ObjectKind::ALL {
        let bytes = encoded(kind);
        check_against_apache_avro(&contract(kind).json, datum(&bytes));
    }
    check_against_apache_avro(&Contracts::embedded().outcome().json, datum(&outcome_bytes(&outcome())));
}

fn check_against_apache_avro(schema: &str, datum: &[u8]) {
    let schema = Schema::parse_str(schema).unwrap();
    let mut rest = datum;
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert!(matches!(value, Avro::Record(_)));
    let writer = GenericDatumWriter::builder(&schema).validate(true).build().unwrap();
    assert_eq!(hex::encode(writer.write_value_to_vec(value).unwrap()), hex::encode(datum));
}

#[test]
fn apache_avro_sees_the_envelope_in_its_place() {
    let schema = avro(ObjectKind::Invoice);
    let bytes = encoded(ObjectKind::Invoice);
    let value = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut datum(&bytes)).unwrap();
    let Avro::Record(fields) = value else { unreachable!("an event is a record") };
    let Avro::Record(envelope) = &fields[0].1 else { unreachable!("an envelope is a record") };
    let field = |name: &str| envelope.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap();
    let expected = envelope_of(ObjectKind::Invoice, &example(ObjectKind::Invoice)["data"]);
    assert_eq!(field("event_id"), Avro::Uuid(expected.event_id.0));
    assert_eq!(field("tenant"), Avro::String("acme".into()));
    assert_eq!(field("event_type"), Avro::String("invoice.posted".into()));
    assert_eq!(field("entity"), Avro::String("INV-1".into()));
    assert_eq!(field("source"), Avro::String("shop-eu".into()));
    assert_eq!(field("source_version"), Avro::Long(7));
    assert_eq!(field("occurred_at"), Avro::TimestampMicros(expected.occurred_at));
    assert_eq!(field("received_at"), Avro::TimestampMicros(expected.received_at));
    assert_eq!(field("correlation_id"), Avro::Union(1, Box::new(Avro::String("c-1".into()))));
    assert_eq!(field("causation_id"), Avro::Union(0, Box::new(Avro::Null)));
    assert_eq!(field("schema_version"), Avro::Int(1));
}

fn outcome() -> Outcome {
    let envelope = common::envelope(ObjectKind::Invoice, "INV-1");
    Outcome {
        event_id: envelope.event_id,
        tenant: envelope.tenant,
        event_type: envelope.event_type,
        entity: envelope.entity,
        route: "invoices".into(),
        connection: "erp".into(),
        generation: 2,
        status: OutcomeStatus::Rejected,
        target_document_id: Some("INV-2026-00042".into()),
        error_code: Some("SNK-0007".into()),
        detail: None,
        attempts: 3,
        source_version: 7,
        occurred_at: envelope.occurred_at,
        accepted_at: envelope.received_at,
        first_attempt_at: Some(envelope.received_at + 5),
        settled_at: envelope.received_at + 9,
    }
}

fn outcome_bytes(outcome: &Outcome) -> Vec<u8> {
    contract::encode_outcome(258, outcome)
}

#[test]
fn outcomes_round_trip_and_have_the_golden_bytes() {
    let schema = WriterSchema::new(1, &Contracts::embedded().outcome().json, &[]).unwrap();
    assert_eq!(hex::encode(outcome_bytes(&outcome())), OUTCOME.trim());
    for status in OutcomeStatus::ALL {
        let outcome = Outcome { status, first_attempt_at: None, ..outcome() };
        assert_eq!(decode_outcome(&schema, datum(&outcome_bytes(&outcome))).unwrap(), outcome);
    }
}

#[test]
fn an_event_is_no_outcome_and_the_other_way_round() {
    let events = current(ObjectKind::Invoice);
    let outcomes = WriterSchema::new(2, &Contracts::embedded().outcome().json, &[]).unwrap();
    let foreign =
        WriterSchema::new(3, r#"{"type":"record","name":"com.other.Thing","fields":[]}"#, &[]).unwrap();
    assert_eq!(decode_outcome(events, &[]).unwrap_err().code(), "CON-0203");
    assert_eq!(decode_event(&outcomes, &[]).unwrap_err().code(), "CON-0203");
    let error = decode_event(&foreign, &[]).unwrap_err();
    assert_eq!(error.to_string(), "schema 3 describes com.other.Thing, not an event");
    assert_eq!(events.kind(), Some(ObjectKind::Invoice));
}
