//! Reads the outcome topic, as any downstream team would.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use contract::{Decoder, RegistryClient, decode_outcome, split_wire};
use kafka::{ReadRecord, Reader};

use super::{tally::Tally, world::World};

/// Stops the watch when dropped.
pub(crate) struct Watch(Arc<AtomicBool>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads outcomes into `tally` from now on.
pub(crate) fn start(world: &World, tally: Arc<Tally>) -> anyhow::Result<Watch> {
    let topic = topics::names::outcome(&world.region);
    let reader = Reader::new(&world.kafka, &topic).context("the outcome topic cannot be read")?;
    let ends = (0..reader.partitions()?)
        .map(|partition| Ok((partition, reader.bounds(partition)?.1)))
        .collect::<Result<Vec<_>, kafka::ReadError>>()?;
    reader.start(&ends)?;
    let decoder = Decoder::new(RegistryClient::new(&world.registry_url)?);
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, runtime) = (Arc::clone(&stop), tokio::runtime::Handle::current());
    std::thread::Builder::new().name("outcomes".into()).spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            match reader.next(Duration::from_millis(50)) {
                Ok(Some(record)) => {
                    if let Err(error) = runtime.block_on(take(&decoder, &tally, &record)) {
                        tracing::error!(error = format!("{error:#}"), "outcome cannot be read");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "outcomes cannot be read"),
            }
        }
    })?;
    Ok(Watch(stop))
}

async fn take(decoder: &Decoder, tally: &Tally, record: &ReadRecord) -> anyhow::Result<()> {
    let value = record.value.as_ref().context("an outcome has no value")?;
    let (id, datum) = split_wire(value)?;
    let schema = match decoder.cached(id) {
        Some(schema) => schema,
        None => decoder.fetch(id).await?,
    };
    tally.settle(decode_outcome(&schema, datum)?);
    Ok(())
}
