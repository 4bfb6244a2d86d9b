//! The events: payments of about 1 KB as JSON, three versions of each document, over all partitions.

use std::{collections::BTreeMap, time::UNIX_EPOCH};

use contract::{Contracts, ObjectContract};
use event::{Envelope, EventId, EventType, ObjectKind, RecordKey, TenantId};
use kafka::{Producer, Settings, admin};
use serde_json::{Value, json};
use topics::{Specs, names, partitioner::Placement};

use crate::options::PARTITIONS;

/// The bench's only tenant.
pub const TENANT: &str = "bench";
const VERSIONS: usize = 3;
const OBJECT: ObjectKind = ObjectKind::Payment;
/// Records that wait for their acknowledgements at a time.
const CHUNK: usize = 10_000;

struct Record {
    partition: i32,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Events, encoded once for all rounds.
pub struct Feed {
    records: Vec<Record>,
    tenant: TenantId,
}

impl Feed {
    pub fn new(events: usize, schema: u32) -> anyhow::Result<Self> {
        let tenant: TenantId = TENANT.parse()?;
        let maker = Maker {
            placement: Placement::new(&tenant, PARTITIONS as usize, PARTITIONS),
            contract: Contracts::embedded().object(OBJECT),
            example: serde_json::from_str(include_str!("../../schemas/examples/payment.json"))?,
            created: ["payment.received".parse()?, "payment.updated".parse()?],
            now: UNIX_EPOCH.elapsed()?.as_micros() as i64,
            tenant: tenant.clone(),
            schema,
        };
        let documents = events.div_ceil(VERSIONS);
        let records = (0..events)
            .map(|n| maker.record(&format!("PAY-{:07}", n % documents), (n / documents) as i64 + 1))
            .collect::<Result<_, _>>()?;
        Ok(Self { records, tenant })
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Creates the topics of `region` and puts every event on its own. Gives the input topic.
    pub async fn fill(&self, settings: &Settings, region: &str) -> anyhow::Result<String> {
        let topic = names::object_topic(region, OBJECT);
        let tenant = Some(&self.tenant);
        let wanted = [
            names::ledger(&topic),
            names::outcome(region),
            names::control(region),
            names::dlq(region, None),
            names::dlq(region, tenant),
        ];
        let specs = Specs::embedded()?.with_replication(1);
        let mut plans = specs.all_for(region, std::slice::from_ref(&self.tenant))?;
        plans.retain(|plan| plan.name == topic || wanted.contains(&plan.name));
        admin::apply(settings, &topics::plan(&plans, &[])).await?;
        let producer = Producer::new(settings)?;
        for chunk in self.records.chunks(CHUNK) {
            let mut acks = Vec::with_capacity(chunk.len());
            for Record { partition, key, value } in chunk {
                acks.push(producer.enqueue(&topic, *partition, key, Some(value), &[]).await?);
            }
            for ack in acks {
                ack.wait().await?;
            }
        }
        Ok(topic)
    }
}

struct Maker {
    tenant: TenantId,
    placement: Placement,
    contract: &'static ObjectContract,
    example: Value,
    /// The type of a first version, and of a later one.
    created: [EventType; 2],
    now: i64,
    schema: u32,
}

impl Maker {
    fn record(&self, id: &str, version: i64) -> anyhow::Result<Record> {
        let event_type = self.created[usize::from(version > 1)];
        let envelope = Envelope {
            event_id: EventId::derive(&self.tenant, "bench", event_type, id, version),
            tenant: self.tenant.clone(),
            event_type,
            entity: id.to_owned(),
            source: "bench".to_owned(),
            source_version: version,
            occurred_at: self.now,
            received_at: self.now,
            correlation_id: None,
            causation_id: None,
            traceparent: None,
            schema_version: 1,
            extensions: BTreeMap::new(),
        };
        let mut data = self.example["data"].clone();
        data["id"] = json!(id);
        // The example is 0.8 KB.
        data["reference"] = json!(format!("{id} version {version} {}", "remittance information ".repeat(8)));
        let key = RecordKey::new(self.tenant.clone(), OBJECT, id)?.to_bytes();
        let value = self.contract.encode(self.schema, &envelope, &data)?;
        Ok(Record { partition: self.placement.partition(&key), key, value })
    }
}
