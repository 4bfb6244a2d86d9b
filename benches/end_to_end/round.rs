//! Rounds: every program in turn, each on a topic of its own that is full before it starts.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, UNIX_EPOCH},
};

use anyhow::Context as _;
use contract::{Contracts, RegistryClient, object_subject};
use event::ObjectKind;
use kafka::{Settings, admin};
use registry::EmbeddedRegistry;
use testkit::{Process, Scratch};

use crate::{
    child::{Job, cpu_seconds, peak_rss_mib, start_target},
    feed::Feed,
    figures::per_100k,
    options::{Class, Options},
    report::{Figures, Program, Report},
    target::{COMPLETE, REPORT, Seen},
};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// What a run may take at most: this, and so much for each event.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_PER_EVENT: Duration = Duration::from_millis(5);
/// How often the bench looks, seldom enough to cost the machine nothing.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// What all runs share.
struct World {
    settings: Settings,
    registry: EmbeddedRegistry,
    runs: u32,
}

/// Runs everything and prints it.
pub async fn run_all(options: &Options) -> anyhow::Result<()> {
    let broker = tokio::task::spawn_blocking(testkit::kafka::shared).await??;
    let registry = EmbeddedRegistry::start(LOOPBACK).await?;
    let client = RegistryClient::new(&registry.url())?;
    let json = &Contracts::embedded().object(ObjectKind::Payment).json;
    let schema = client.register(&object_subject("bench", ObjectKind::Payment), json).await?;
    let mut world = World { settings: Settings::new(broker.bootstrap()), registry, runs: 0 };
    let mut report = Report::new(options);
    for latency_ms in &options.latency {
        let feed = Feed::new(options.events(*latency_ms), schema)?;
        report.begin(*latency_ms, feed.len());
        for _ in 0..options.pairs() {
            let raw = world.run(&feed, *latency_ms, Program::Raw).await?;
            report.add(*latency_ms, Program::Raw, raw);
            for class in &options.classes {
                let program = Program::Counterfoil(*class);
                report.add(*latency_ms, program, world.run(&feed, *latency_ms, program).await?);
            }
            report.end_round();
        }
    }
    report.finish()
}

impl World {
    async fn run(&mut self, feed: &Feed, latency_ms: u64, program: Program) -> anyhow::Result<Figures> {
        self.runs += 1;
        // A cluster given by KAFKA_BOOTSTRAP remembers earlier benches.
        let region = format!("b{}-{}", UNIX_EPOCH.elapsed()?.as_millis(), self.runs);
        let scratch = Scratch::new()?;
        let topic = feed.fill(&self.settings, &region).await?;
        let (target, address) = start_target(scratch.path(), latency_ms, feed.len())?;
        let group = format!("{region}-group");
        let job = Job {
            dir: scratch.path(),
            bootstrap: &self.settings.bootstrap,
            region: &region,
            topic: &topic,
            group: &group,
            registry: &self.registry.url(),
            target: address,
        };
        let process = match program {
            Program::Raw => job.start_raw()?,
            Program::Counterfoil(class) => job.start_sink(class)?,
        };
        let measured = self.measure(&job, &process, &target, feed.len()).await;
        measured.with_context(|| {
            format!("{} at {latency_ms} ms; it last printed:\n{}", program.name(), process.tail())
        })
    }

    /// Waits until everything is posted and committed, and looks at both sides.
    async fn measure(
        &self,
        job: &Job<'_>,
        process: &Process,
        target: &Process,
        events: usize,
    ) -> anyhow::Result<Figures> {
        // Start-up does not count. The topic is full, but nothing of it is assigned yet.
        let before = cpu_seconds(process.pid())?;
        let deadline = Instant::now() + PATIENCE + PATIENCE_PER_EVENT * events as u32;
        let finished = match posted(process, target, deadline) {
            Ok(()) => self.settled(job, process, deadline).await,
            failed => failed,
        };
        let used =
            cpu_seconds(process.pid()).and_then(|cpu| Ok((cpu - before, peak_rss_mib(process.pid())?)));
        let status = process.stop(STOP_WITHIN)?;
        // Only now, so that a write too many is seen.
        let seen: Seen = reqwest::get(format!("http://{}{REPORT}", job.target)).await?.json().await?;
        if let Err(error) = seen.check(events) {
            // Events that were skipped are committed all the same; events that are stuck are not.
            return Err(error.context(self.offsets(job).await?));
        }
        finished?;
        let (cpu, rss_mib) = used?;
        anyhow::ensure!(status.success(), "it ended with {status}");
        let rate = seen.rate.context("too few events for a rate")?;
        Ok(Figures { events_per_second: rate, cpu_s_per_100k: per_100k(cpu, events), rss_mib })
    }

    /// What is committed of each partition, for whoever looks for a missing event.
    async fn offsets(&self, job: &Job<'_>) -> anyhow::Result<String> {
        let ends = admin::end_offsets(&self.settings, job.topic).await?;
        let committed = admin::committed(&self.settings, job.group, job.topic).await?;
        let one = |(partition, end): (&i32, &i64)| {
            let offset = committed.get(partition).copied().flatten().unwrap_or(0);
            format!("{partition}: {offset}/{end}")
        };
        Ok(format!("committed of each partition: {}", ends.iter().map(one).collect::<Vec<_>>().join(", ")))
    }

    /// Every offset is committed: nothing is under way any more.
    async fn settled(&self, job: &Job<'_>, process: &Process, deadline: Instant) -> anyhow::Result<()> {
        let ends = admin::end_offsets(&self.settings, job.topic).await?;
        loop {
            let committed = admin::committed(&self.settings, job.group, job.topic).await?;
            let done = |(partition, end): (&i32, &i64)| {
                *end == 0 || committed.get(partition).copied().flatten() == Some(*end)
            };
            if ends.iter().all(done) {
                return Ok(());
            }
            alive(process)?;
            anyhow::ensure!(Instant::now() < deadline, "not everything was committed in time");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Waits until the target has seen as many writes as there are events.
fn posted(process: &Process, target: &Process, deadline: Instant) -> anyhow::Result<()> {
    while let Err(waiting) = target.wait_for_line(COMPLETE, LOOK_EVERY) {
        alive(process)?;
        anyhow::ensure!(Instant::now() < deadline, "not everything was posted in time");
        if target.status()?.is_some() {
            return Err(waiting);
        }
    }
    Ok(())
}

fn alive(process: &Process) -> anyhow::Result<()> {
    match process.status()? {
        None => Ok(()),
        Some(status) => anyhow::bail!("it ended by itself ({status})"),
    }
}

impl Seen {
    /// Fails where an event is lost, doubled or out of order.
    fn check(&self, events: usize) -> anyhow::Result<()> {
        let Self { writes, events: different, out_of_order, .. } = self;
        anyhow::ensure!(*different >= events, "{} of {events} events are lost", events - different);
        anyhow::ensure!(writes == different, "{} writes are doubled", writes - different);
        anyhow::ensure!(*out_of_order == 0, "{out_of_order} writes are out of order");
        Ok(())
    }
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Counterfoil(Class::Keyed) => "keyed",
            Self::Counterfoil(Class::Upsert) => "upsert",
        }
    }
}
