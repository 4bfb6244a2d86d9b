//! A steady stream of events through the gateway, as sources send it: again and again until it is accepted.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    PATIENCE,
    events::{customer, payment},
    services::Door,
    tenants::{Target, Tenant},
};

/// A batch of each tenant so often.
const EVERY: Duration = Duration::from_millis(100);
const BATCH: u64 = 2;
/// Entities of a tenant that change over and over.
const ENTITIES: u64 = 60;
/// Every so many batches are sent twice, as by a source that missed the answer.
const TWICE: u64 = 7;

pub struct Stream {
    stop: Arc<AtomicBool>,
    tasks: Vec<(String, JoinHandle<Vec<String>>)>,
}

impl Stream {
    pub fn start(door: &Door, tenants: &[Tenant]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = |tenant: &Tenant| {
            (tenant.id.clone(), tokio::spawn(send(door.clone(), tenant.clone(), Arc::clone(&stop))))
        };
        Self { tasks: tenants.iter().map(task).collect(), stop }
    }

    /// Ends it. Every event was accepted; their ids by tenant.
    pub async fn end(self) -> HashMap<String, Vec<String>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut accepted = HashMap::new();
        for (tenant, task) in self.tasks {
            accepted.insert(tenant, task.await.unwrap());
        }
        accepted
    }
}

async fn send(door: Door, tenant: Tenant, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut accepted = Vec::new();
    let mut ticks = tokio::time::interval(EVERY);
    for batch in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        ticks.tick().await;
        let events: Vec<Value> = (batch * BATCH..(batch + 1) * BATCH).map(|n| event(&tenant, n)).collect();
        let ids = deliver(&door, &tenant, &events).await;
        if batch % TWICE == 0 {
            assert_eq!(deliver(&door, &tenant, &events).await, ids, "a resend is the same events");
        }
        accepted.extend(ids);
    }
    accepted
}

/// The target without protection is only given new documents.
fn event(tenant: &Tenant, number: u64) -> Value {
    let (entity, version) = match tenant.target {
        Target::Neither => (number, 1),
        _ => (number % ENTITIES, number / ENTITIES + 1),
    };
    let make = if entity.is_multiple_of(2) { customer } else { payment };
    make(&format!("E-{entity}"), version)
}

/// Sends until all are accepted; no answer, and 503, mean later.
async fn deliver(door: &Door, tenant: &Tenant, events: &[Value]) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match door.send(tenant, events).await {
            Ok(answer) if answer.status == 202 => return answer.accepted(),
            Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
            Err(error) => assert!(error.is_request() || error.is_decode() || error.is_body(), "{error:?}"),
        }
        assert!(Instant::now() < deadline, "the gateway does not accept {events:?}");
        tokio::time::sleep(EVERY).await;
    }
}
