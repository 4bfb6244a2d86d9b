//! What the router hands to the brokers, seen through a publisher that keeps, loses or breaks.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{ACME_KEY, Answer, NOW, answer, customer, secrets, write_tenants};
use contract::{Contracts, DecodedEvent, WriterSchema, decode_event, split_wire};
use event::{ObjectKind, RecordKey};
use gateway::{
    GatewayMetrics, Options,
    clock::SetClock,
    http::{Doors, router},
    intake::Intake,
    objects::OpenObjects,
    publish::{Boxed, Pending, PublishError, Publisher, Record},
    tenants::{Served, Tenants},
};
use kafka::Position;
use serde_json::{Value, json};
use service_kit::{Limits, Shutdown, serve, spawn};
use telemetry::Metrics;
use tenancy::TenantSet;
use tokio::net::TcpListener;

const SCHEMA: u32 = 77;

/// What the publisher does with a record, by its entity.
#[derive(Clone, Copy)]
enum Fate {
    Keep,
    Never,
    Panic,
}

struct Fake {
    fate: Fate,
    kept: Mutex<Vec<Record>>,
}

impl Publisher for Fake {
    fn enqueue<'a>(&'a self, record: &'a Record) -> Boxed<'a, Result<Pending, PublishError>> {
        match self.fate {
            Fate::Panic => panic!("the publisher breaks"),
            Fate::Never => Box::pin(async { Ok(Box::pin(std::future::pending()) as Pending) }),
            Fate::Keep => {
                let mut kept = self.kept.lock().unwrap();
                kept.push(record.clone());
                let offset = i64::try_from(kept.len()).unwrap() - 1;
                let position = Position { partition: record.partition, offset };
                Box::pin(async move { Ok(Box::pin(async move { Ok(position) }) as Pending) })
            }
        }
    }
}

struct Edge {
    url: String,
    client: reqwest::Client,
    publisher: Arc<Fake>,
    metrics: Metrics,
}

async fn start(fate: Fate) -> Edge {
    let dir = tempfile::tempdir().unwrap();
    write_tenants(dir.path());
    let tenants = TenantSet::load(dir.path(), &secrets()).unwrap();
    let specs = topics::Specs::embedded().unwrap();
    let served = Served::new(tenants, ("eu", &specs), std::iter::empty(), None).unwrap();
    let (metrics, open) = (Metrics::new("gateway").unwrap(), OpenObjects::default());
    ObjectKind::ALL.into_iter().for_each(|object| open.open(object, SCHEMA));
    let publisher = Arc::new(Fake { fate, kept: Mutex::default() });
    let intake = Intake {
        contracts: Contracts::embedded(),
        open,
        publisher: publisher.clone(),
        clock: Arc::new(SetClock::at(NOW * 1_000_000)),
        metrics: GatewayMetrics::new(&metrics).unwrap(),
        produce_deadline: Duration::from_millis(50),
        region: "eu".to_owned(),
    };
    let connectors = mapping::connectors::embedded().unwrap();
    let doors = Doors {
        intake,
        tenants: Tenants::new(served),
        connectors: Arc::new(connectors),
        limits: Options::default().limits,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/events", listener.local_addr().unwrap());
    drop(spawn("edge", serve(listener, router(Arc::new(doors)), Shutdown::new(), Limits::default())));
    Edge { url, client: reqwest::Client::new(), publisher, metrics }
}

impl Edge {
    async fn send(&self, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let request = self.client.post(&self.url).bearer_auth(ACME_KEY).json(body);
        answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    /// The last record, as a consumer sees it.
    fn last(&self) -> (RecordKey, DecodedEvent) {
        let kept = self.publisher.kept.lock().unwrap();
        let record = kept.last().unwrap();
        let key = RecordKey::parse(&record.key).unwrap();
        let (id, datum) = split_wire(&record.value).unwrap();
        assert_eq!(id, SCHEMA);
        let schema = WriterSchema::new(id, &Contracts::embedded().object(key.object).json, &[]).unwrap();
        (key, decode_event(&schema, datum).unwrap())
    }
}

#[tokio::test]
async fn the_record_holds_what_was_sent() {
    let edge = start(Fate::Keep).await;
    let mut event = customer("C-1", 7);
    event["correlation_id"] = json!("order-run");
    event["extensions"] = json!({"color": "blue"});
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = edge.send(&event, &[("traceparent", trace)]).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let (key, decoded) = edge.last();
    assert_eq!(key, RecordKey::new("acme".parse().unwrap(), ObjectKind::Customer, "C-1").unwrap());
    let envelope = decoded.envelope;
    assert_eq!(json!(envelope.event_id.to_string()), answer.body["accepted"][0]["event_id"]);
    assert_eq!((envelope.tenant.as_str(), envelope.source.as_str()), ("acme", "shop-eu"));
    assert_eq!((envelope.source_version, envelope.schema_version), (7, 1));
    assert_eq!((envelope.occurred_at, envelope.received_at), (NOW * 1_000_000, NOW * 1_000_000));
    assert_eq!(envelope.correlation_id.as_deref(), Some("order-run"));
    assert_eq!(envelope.traceparent.as_deref(), Some(trace));
    assert_eq!(envelope.extensions, BTreeMap::from([("color".to_owned(), "blue".to_owned())]));
    assert_eq!((&decoded.data["id"], &decoded.data["name"]), (&json!("C-1"), &json!("Ada Lovelace")));
}

#[tokio::test]
async fn cloud_attributes_reach_the_envelope_and_the_instant_stands_in_for_a_version() {
    let edge = start(Fate::Keep).await;
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "evt-1"),
        ("ce-source", "shop"),
        ("ce-type", "customer.updated"),
        ("ce-time", "2026-11-22T11:00:00.000001+01:00"),
        ("ce-causationid", "cmd-9"),
        ("ce-shopname", "Caf%C3%A9"),
        ("traceparent", "not a trace"),
    ];
    let answer = edge.send(&json!({"id": "C-1", "name": "Ada"}), &headers).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let envelope = edge.last().1.envelope;
    assert_eq!(envelope.event_type.to_string(), "customer.updated");
    assert_eq!(envelope.occurred_at, NOW * 1_000_000 + 1);
    assert_eq!(envelope.source_version, envelope.occurred_at);
    assert_eq!((envelope.causation_id.as_deref(), envelope.traceparent), (Some("cmd-9"), None));
    assert_eq!(envelope.extensions, BTreeMap::from([("shopname".to_owned(), "Café".to_owned())]));
}

#[tokio::test]
async fn an_acknowledgement_that_never_comes_is_no_202() {
    let edge = start(Fate::Never).await;
    let answer = edge.send(&customer("C-1", 1), &[]).await;
    answer.is_problem(503, "GTW-0011");
    assert_eq!(answer.body["results"][0]["code"], json!("TOP-0101"));
    assert!(!edge.metrics.encode().unwrap().contains("events_accepted_total{"));
}

#[tokio::test]
async fn a_defect_is_a_problem_too_and_the_next_request_is_served() {
    let edge = start(Fate::Panic).await;
    for _ in 0..2 {
        edge.send(&customer("C-1", 1), &[]).await.is_problem(500, "GTW-0032");
    }
    assert!(edge.metrics.encode().unwrap().contains("requests_in_flight 0\n"));
}
