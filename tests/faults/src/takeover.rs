//! `faults takeover`: how long the partitions of a killed sink stand still, at default settings.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context as _;
use event::ObjectKind;
use sandbox::Collection;
use serde::Serialize;

use crate::{
    class::{Class, TIMEOUT_MS},
    evidence::Evidence,
    feed::Feed,
    flags::Print,
    moments::{Moments, Window, micros},
    plan::{Fault, Folder},
    preload, strike,
    verdict::{self, Verdict},
    world::{Given, Pace, World},
};

/// The most that a takeover may take.
const LIMIT_S: f64 = 10.0;
/// The most that a posting which was under way may wait beyond its request's deadline and its partition's takeover: a second for which a
/// request may wait for its turn behind its Intent, half of one for clocks that differ, and what the machine takes.
const LATE_S: f64 = 3.0;
/// What arrives at a target so soon after the kill was on its way before it.
const ON_ITS_WAY: i64 = 100_000;
/// For both sinks to have their share, and for standby copies.
const STEADY: Duration = Duration::from_secs(10);
/// For everything that a kill left behind.
const AFTERMATH: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How many kills, of one sink and the other in turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    times: u32,
    /// How long a target is waited for: a request that the kill cut off counts as under way for so long
    #[arg(long, value_name = "MS", default_value_t = TIMEOUT_MS, value_parser = clap::value_parser!(u64).range(500..=60_000))]
    timeout_ms: u64,
    /// How many outcomes of earlier events a killed sink's partitions hold; each ledger has those of the other one as well
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    keys: u64,
    #[command(flatten)]
    print: Print,
}

#[derive(Debug, Serialize)]
struct Figures {
    kills: usize,
    /// Partitions that had traffic before and after every kill.
    partitions: usize,
    /// Outcomes of earlier events in the partitions that a kill handed over. Each ledger held twice as many.
    keys: u64,
    /// How long the two sinks took to read them all.
    copied_in_seconds: f64,
    /// For each kill, from the SIGKILL to the moment when every partition had posted again.
    seconds: Vec<f64>,
    limit_seconds: f64,
    late_limit_seconds: f64,
    /// How long a target is waited for.
    timeout_seconds: f64,
    /// Postings that were under way at a kill, by class.
    under_way: BTreeMap<&'static str, UnderWay>,
    violations: usize,
}

#[derive(Debug, Serialize)]
struct UnderWay {
    postings: usize,
    /// From the deadline of the request that the kill cut off to the outcome, the latest one; below 0: before it.
    settled_after_deadline_seconds: f64,
    /// The same from the moment when its partitions posted again, if that came later; at most `late_limit_seconds`.
    late_seconds: f64,
}

impl UnderWay {
    const NONE: Self = Self {
        postings: 0,
        settled_after_deadline_seconds: f64::NEG_INFINITY,
        late_seconds: f64::NEG_INFINITY,
    };
}

/// Measures. True if every takeover was in time and nothing was violated.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let given = Given { pace: Pace::Default, timeout_ms: options.timeout_ms, ..Given::default() };
    let mut world = Box::pin(World::start(given)).await?;
    let keys = 2 * options.keys; // half of the partitions are each sink's
    preload::append(&world.topics, keys).await?;
    for sink in &mut world.sinks[..2] {
        sink.spawn()?;
    }
    let copied_in_seconds = preload::copied(&world, keys).await?;
    let mut feed = Feed::start(&world.door);
    let mut moments = Moments::default();
    strike::traffic(&world).await?;
    for round in 0..options.times as usize {
        tokio::time::sleep(STEADY).await;
        feed.check().await?;
        kill(&mut world, round, &mut moments).await?;
    }
    let Verdict { evidence, violations } = Box::pin(verdict::reach(&mut world, feed, moments)).await?;
    verdict::tell(0, &violations);
    let (partitions, seconds) = standstills(&world, &evidence)?;
    let under_way = under_way(&evidence, &seconds, options.timeout_ms);
    let figures = Figures {
        kills: evidence.moments.kills.len(),
        partitions,
        keys: options.keys,
        copied_in_seconds,
        seconds,
        limit_seconds: LIMIT_S,
        late_limit_seconds: LATE_S,
        timeout_seconds: options.timeout_ms as f64 / 1_000.0,
        under_way,
        violations: violations.len(),
    };
    options.print.figures(&figures)?;
    let in_time = figures.seconds.iter().all(|seconds| *seconds <= LIMIT_S)
        && figures.under_way.values().all(|of| of.late_seconds <= LATE_S);
    Ok(in_time && figures.seconds.len() == options.times as usize && violations.is_empty())
}

/// Kills a sink, and starts it again only when the other one has had time to take everything over.
async fn kill(world: &mut World, round: usize, moments: &mut Moments) -> anyhow::Result<()> {
    let sink = round % 2;
    strike::at_work(world).await?;
    let from = micros();
    anyhow::ensure!(world.sinks[sink].kill().await?, "the sink had ended by itself");
    moments.kills.push(micros());
    tokio::time::sleep(AFTERMATH).await;
    world.sinks[sink].spawn()?;
    let fault = Fault::KillSink { sink, folder: Folder::Kept };
    moments.windows.push(Window { round: round + 1, fault, from, to: micros() });
    eprintln!("{fault}");
    Ok(())
}

/// A partition with events of a tenant.
type Place = (Class, &'static str, i32);

/// How many partitions there are, and for each kill, how long until the last of them posted again.
fn standstills(world: &World, evidence: &Evidence) -> anyhow::Result<(usize, Vec<f64>)> {
    let mut arrivals: BTreeMap<Place, BTreeSet<i64>> = BTreeMap::new();
    for (class, row) in &evidence.requests {
        let object = match row.collection {
            Collection::Customers => ObjectKind::Customer,
            Collection::Payments => ObjectKind::Payment,
            // Refused invoices are too few to measure anything.
            _ => continue,
        };
        let partition = world.topics.partition(*class, object, &row.external_id)?;
        arrivals.entry((*class, object.name(), partition)).or_default().insert(row.at);
    }
    let first_after = |at: i64| {
        let after = |of: &BTreeSet<i64>| of.range(at + ON_ITS_WAY..).next().copied();
        arrivals.values().map(after).collect::<Option<Vec<i64>>>()
    };
    let mut seconds = Vec::new();
    for kill in &evidence.moments.kills {
        let firsts = first_after(*kill).context("a partition never posted again")?;
        let last = firsts.into_iter().max().context("no partition had any traffic")?;
        seconds.push(rounded(last - kill));
    }
    Ok((arrivals.len(), seconds))
}

/// What was under way at a kill; `takeovers` has how long each took, seconds.
fn under_way(evidence: &Evidence, takeovers: &[f64], timeout_ms: u64) -> BTreeMap<&'static str, UnderWay> {
    let mut all: BTreeMap<&'static str, UnderWay> = BTreeMap::new();
    let timeout = i64::try_from(timeout_ms).unwrap_or(i64::MAX) * 1_000;
    for (class, row) in &evidence.requests {
        let Some(outcome) = row.event_id.as_deref().and_then(|id| evidence.outcome(id)) else { continue };
        let (deadline, settled) = (row.at + timeout, outcome.settled_at);
        let hit = |kill: i64| row.at <= kill && settled > kill && deadline > kill;
        let Some((kill, seconds)) =
            evidence.moments.kills.iter().zip(takeovers).find(|(kill, _)| hit(**kill))
        else {
            continue;
        };
        // A posting of the sink that lived on is settled at once; it does not count.
        if settled < deadline && outcome.attempts == 1 {
            continue;
        }
        let posts_again = kill + (seconds * 1e6) as i64;
        let entry = all.entry(class.name()).or_insert(UnderWay::NONE);
        entry.postings += 1;
        let after = |of: f64, moment: i64| of.max(rounded(settled - moment));
        entry.settled_after_deadline_seconds = after(entry.settled_after_deadline_seconds, deadline);
        entry.late_seconds = after(entry.late_seconds, deadline.max(posts_again));
    }
    all
}

/// Microseconds as seconds with two decimals.
fn rounded(micros: i64) -> f64 {
    (micros as f64 / 10_000.0).round() / 100.0
}
