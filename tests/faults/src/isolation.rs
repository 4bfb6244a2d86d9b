//! `faults isolation`: what one tenant notices of another one whose target is dead, and who floods the gateway (ISO-1).

use std::{collections::HashSet, time::Duration};

use anyhow::{Context as _, ensure};
use contract::OutcomeStatus;
use event::ObjectKind;
use serde::Serialize;
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    class::Class,
    feed::Door,
    flags::Print,
    source::Change,
    world::{Given, Pace, World},
};

/// The tenant whose target is dead, and the one that must not notice.
const DEAD: Class = Class::Keyed;
const BESIDE: Class = Class::Upsert;
/// Events a second that the dead one may send, and how many times that it sends.
const QUOTA: u32 = 50;
const TIMES: u32 = 10;
/// Events a second of the other one.
const STEADY: u32 = 100;
/// How often a batch is sent.
const EVERY: Duration = Duration::from_millis(100);
/// For both sinks to have their partitions and copies, and for connections and caches: what is measured alone must not be
/// worse for that.
const BEGINNING: Duration = Duration::from_secs(30);
/// For the flood to fill what it can fill.
const WARM: Duration = Duration::from_secs(10);
/// The most that the latency may grow.
const LIMIT: f64 = 1.2;
/// For the last outcomes.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How long each of the two measurements takes: alone, half of it before the trouble and half after; and beside it
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=3_600))]
    seconds: u32,
    #[command(flatten)]
    print: Print,
}

/// Milliseconds from the gateway's acceptance to the outcome.
#[derive(Debug, Serialize)]
struct Figures {
    p50_alone_ms: f64,
    p99_alone_ms: f64,
    p50_beside_ms: f64,
    p99_beside_ms: f64,
    /// p99 beside, of p99 alone.
    ratio: f64,
    limit: f64,
    /// Events of the tenant that is measured, all of them committed.
    events: usize,
    /// Events of the other one that the gateway took, and turned away.
    flood_accepted: u64,
    flood_refused: u64,
}

/// Measures. True if the other tenant's trouble is within the limit.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let quota = |class| if class == DEAD { QUOTA } else { Class::NO_QUOTA };
    let given = Given { pace: Pace::Default, quota, ..Given::default() };
    let mut world = Box::pin(World::start(given)).await?;
    for sink in &mut world.sinks[..2] {
        sink.spawn()?;
    }
    let length = Duration::from_secs(u64::from(options.seconds));
    let mut stream = Stream { door: world.door.clone(), class: BESIDE, next: 0 };
    stream.send(BEGINNING).await?;
    // Half before and half after: else what the machine does better or worse with time would pass for the neighbour's work.
    eprintln!("{BESIDE} alone, {:?}", length / 2);
    let mut alone = stream.send(length / 2).await?;

    world.cluster.proxies.cut(DEAD.name()).await?;
    let flood = Flood::start(&world.door);
    stream.send(WARM).await?;
    eprintln!(
        "{BESIDE} beside {DEAD}, whose target is dead and who sends {TIMES} times its quota, {length:?}"
    );
    let beside = stream.send(length).await?;
    let (flooded, refused) = flood.end().await?;
    let accepted = flooded.len() as u64;
    ensure!(refused > accepted, "the flood never was one: {accepted} accepted, {refused} refused");

    world.cluster.proxies.heal(DEAD.name()).await?;
    settled(&world, &flooded).await.with_context(|| format!("the backlog of {DEAD}"))?;
    eprintln!("{BESIDE} alone, {:?}", length / 2);
    alone.extend(stream.send(length / 2).await?);

    let (alone, beside) = (settled(&world, &alone).await?, settled(&world, &beside).await?);
    let figures = Figures {
        p50_alone_ms: percentile(&alone, 50),
        p99_alone_ms: percentile(&alone, 99),
        p50_beside_ms: percentile(&beside, 50),
        p99_beside_ms: percentile(&beside, 99),
        ratio: (percentile(&beside, 99) / percentile(&alone, 99) * 1_000.0).round() / 1_000.0,
        limit: LIMIT,
        events: alone.len() + beside.len(),
        flood_accepted: accepted,
        flood_refused: refused,
    };
    options.print.figures(&figures)?;
    Ok(figures.ratio <= LIMIT)
}

/// New documents of one tenant, at a steady pace.
struct Stream {
    door: Door,
    class: Class,
    next: u64,
}

impl Stream {
    /// Sends for so long; the ids of the events.
    async fn send(&mut self, length: Duration) -> anyhow::Result<Vec<String>> {
        let end = Instant::now() + length;
        let mut ticks = tokio::time::interval(EVERY);
        let mut ids = Vec::new();
        while Instant::now() < end {
            ticks.tick().await;
            let batch = self.batch(STEADY);
            ids.extend(self.door.deliver(self.class, &batch).await?);
        }
        Ok(ids)
    }

    fn batch(&mut self, per_second: u32) -> Vec<Change> {
        let count = u64::from(per_second) * EVERY.as_millis() as u64 / 1_000;
        let first = self.next;
        self.next += count;
        (first..self.next).map(|n| Change::of(ObjectKind::Payment, format!("ISO-{n}"), 1)).collect()
    }
}

/// A tenant that sends many times what it may.
struct Flood(JoinHandle<anyhow::Result<Flooded>>, tokio::sync::oneshot::Sender<()>);

/// The ids of the events that were accepted, and how many were turned away.
type Flooded = (Vec<String>, u64);

impl Flood {
    fn start(door: &Door) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let stream = Stream { door: door.clone(), class: DEAD, next: 0 };
        Self(tokio::spawn(flood(stream, stopped)), stop)
    }

    async fn end(self) -> anyhow::Result<Flooded> {
        self.1.send(()).ok(); // it has ended with an error, which is told below
        self.0.await.context("the flood panicked")?
    }
}

async fn flood(
    mut stream: Stream,
    mut stopped: tokio::sync::oneshot::Receiver<()>,
) -> anyhow::Result<Flooded> {
    let mut ticks = tokio::time::interval(EVERY);
    let (mut accepted, mut refused) = (Vec::new(), 0);
    while stopped.try_recv().is_err() {
        ticks.tick().await;
        let batch = stream.batch(QUOTA * TIMES);
        match stream.door.offer(stream.class, &batch).await? {
            (202, ids) => accepted.extend(ids),
            (429, _) => refused += batch.len() as u64,
            (status, _) => anyhow::bail!("the gateway says {status} to the flood"),
        }
    }
    Ok((accepted, refused))
}

/// How long each event took, milliseconds, ascending; each of them must be committed.
async fn settled(world: &World, ids: &[String]) -> anyhow::Result<Vec<f64>> {
    let wanted: HashSet<&String> = ids.iter().collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let outcomes = world.outcomes.by_event();
        if wanted.iter().all(|id| outcomes.contains_key(*id)) {
            let of = |id: &&String| outcomes[*id].last();
            let mut took = Vec::with_capacity(wanted.len());
            for outcome in wanted.iter().filter_map(of) {
                ensure!(outcome.status == OutcomeStatus::Committed, "not committed: {outcome:?}");
                took.push((outcome.settled_at - outcome.accepted_at) as f64 / 1_000.0);
            }
            took.sort_by(f64::total_cmp);
            return Ok(took);
        }
        ensure!(Instant::now() < deadline, "events have no outcome after {PATIENCE:?}");
        tokio::time::sleep(EVERY).await;
    }
}

/// Of ascending figures.
fn percentile(figures: &[f64], percent: usize) -> f64 {
    let at = (figures.len() * percent).div_ceil(100).max(1) - 1;
    figures.get(at).map_or(f64::NAN, |ms| (ms * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_ninety_ninth_of_a_hundred() {
        let figures: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((super::percentile(&figures, 99) - 99.0).abs() < 1e-9);
        assert!((super::percentile(&figures, 50) - 50.0).abs() < 1e-9);
        assert!((super::percentile(&figures[..1], 99) - 1.0).abs() < 1e-9);
        assert!(super::percentile(&[], 99).is_nan());
    }
}
