//! Reading again what was left in the log (docs/adr/0016).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use delivery::Backlog;
use event::{RecordKey, TenantId};
use kafka::{AssignmentId, Fetched, Met, Range, RangeReader, ReadError, Settings};
use tracing::warn;

use crate::restore::chain;

/// How long the brokers may keep silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// The wait before they are asked again.
const RETRY: Duration = Duration::from_secs(1);

/// What is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) assignment: AssignmentId,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) backlog: Backlog,
    /// Whose backlog it is: records of others are passed over by their keys.
    pub(crate) tenant: TenantId,
    /// Most records.
    pub(crate) fit: usize,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Reread {
    pub(crate) assignment: AssignmentId,
    pub(crate) backlog: Backlog,
    /// The tenant's records, in order.
    pub(crate) records: Vec<Fetched>,
    /// Everything of the tenant before this offset is among them.
    pub(crate) next: i64,
}

/// Why nothing will ever be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "{topic}/{partition}: records from offset {from} on were left for later and are gone, the topic begins at {low}"
)]
pub(crate) struct Gone {
    pub(crate) assignment: AssignmentId,
    topic: Arc<str>,
    partition: i32,
    from: i64,
    low: i64,
}

/// Reads a stretch, however long the brokers are away; none if `closed` tells that nobody waits any more.
pub(crate) async fn reread(
    settings: Settings,
    stretch: Stretch,
    closed: impl Fn() -> bool,
) -> Option<Result<Reread, Gone>> {
    while !closed() {
        let (settings, wanted) = (settings.clone(), stretch.clone());
        match tokio::task::spawn_blocking(move || read(&settings, wanted)).await {
            Ok(Ok(read)) => return Some(read),
            Ok(Err(error)) => warn!(error = chain(&error), "the log cannot be read again, asking again"),
            Err(panicked) => warn!(%panicked, "reading the log again failed, asking again"),
        }
        tokio::time::sleep(RETRY).await;
    }
    None
}

fn read(settings: &Settings, stretch: Stretch) -> Result<Result<Reread, Gone>, ReadError> {
    let Stretch { assignment, topic, partition, from, to, backlog, tenant, fit } = stretch;
    let reader = RangeReader::new(settings)?;
    let (low, _) = reader.bounds(&topic, partition)?;
    if low > from {
        return Ok(Err(Gone { assignment, topic, partition, from, low }));
    }
    let mut read = Reread { assignment, backlog, records: Vec::new(), next: from };
    let range = Range { topic, partition, start: from, end: to };
    reader.read(&[range], PATIENCE, |_, met| {
        match met {
            Met::End => read.next = to,
            Met::Record(record) => {
                read.next = record.offset + 1;
                if RecordKey::tenant_of(record.key.unwrap_or_default()).as_ref() == Some(&tenant) {
                    read.records.push(Fetched {
                        id: assignment,
                        offset: record.offset,
                        key: record.label(),
                        value: record.value.map(Bytes::copy_from_slice),
                    });
                }
            }
        }
        read.records.len() < fit
    })?;
    Ok(Ok(read))
}
