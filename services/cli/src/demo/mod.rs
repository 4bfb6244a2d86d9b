//! `counterfoil demo`: everything on loopback, the bundled feed of three tenants, and the proof.

mod feed;
mod proof;
mod report;
mod sender;
mod tally;
mod watch;
mod world;

use std::{
    io::IsTerminal as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use feed::Feed;
use proof::Summary;
use sender::Sender;
use tally::Tally;
use world::World;

/// Flags of `counterfoil demo`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  counterfoil demo\n  counterfoil demo --once --events 20000 --json\n  \
                        counterfoil demo --bootstrap 127.0.0.1:9092 --registry http://127.0.0.1:8080/apis/ccompat/v7")]
pub struct DemoArgs {
    /// How many events to send
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub events: u32,
    /// End after the summary, with exit status 0 only if nothing is lost and nothing is double
    #[arg(long)]
    pub once: bool,
    /// Print the summary as one JSON object, and nothing else on standard output
    #[arg(long)]
    pub json: bool,
    /// How long nothing may happen before the summary is made of what there is; a killed sink is missed for some seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub patience: u64,
    /// Leave the sink alone; without this flag it is killed (SIGKILL) halfway and started again
    #[arg(long)]
    pub no_crash: bool,
    /// Use these Kafka brokers instead of the embedded ones, which keep everything in memory
    #[arg(long, value_name = "HOST:PORT", requires = "registry")]
    pub bootstrap: Option<String>,
    /// Use this schema registry instead of the embedded one
    #[arg(long, value_name = "URL", requires = "bootstrap")]
    pub registry: Option<String>,
    /// The region whose topics are used: with real brokers one of its own for each run that must not see another's events
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub region: String,
}

/// Runs the demo. True if nothing was lost and nothing was double.
///
/// # Errors
/// When a part does not start, or the books cannot be read.
pub async fn run(args: DemoArgs) -> anyhow::Result<bool> {
    let quiet = args.json;
    let say = |text: &str| {
        if !quiet {
            println!("{text}");
        }
    };
    say("Starting broker, registry, gateway, sink and sandbox ERP on loopback …");
    let mut world = World::start(&args).await?;
    let tally = Arc::new(Tally::default());
    let watch = watch::start(&world, Arc::clone(&tally))?;
    world.ready(Duration::from_secs(60)).await?;
    let feed = Feed::new(args.events);
    say(&format!("Sending {} events of three tenants through the gateway …", args.events));
    let begun = Instant::now();
    let mut sending = tokio::spawn(Sender::new(&world, Arc::clone(&tally))?.send_all(feed));
    let Driven { crash, trouble } = drive(&args, &mut world, &tally, &mut sending).await;
    let took = begun.elapsed();
    sending.abort();
    // What went wrong is told first, but the books are closed all the same: they say what is lost.
    if let Some(trouble) = &trouble {
        eprintln!("{trouble:#}");
    }
    let mut summary = Summary::of(&world, &tally, took).await?;
    summary.crashes = usize::from(crash.is_some());
    let good = summary.is_good() && trouble.is_none();
    if args.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        report::print(&world, &tally, &summary, crash.as_ref());
    }
    for example in &summary.examples_of_loss {
        eprintln!("lost: {example}");
    }
    if !args.once && trouble.is_none() {
        report::invite(&world);
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
    }
    drop(watch);
    world.stop().await;
    Ok(good)
}

/// The task that sends the feed.
type Sending = tokio::task::JoinHandle<anyhow::Result<()>>;

/// What was done to the sink.
pub(crate) struct Crash {
    /// How many events had an outcome at that moment.
    settled: usize,
    /// When it was killed, microseconds since 1970-01-01 UTC.
    killed_at: i64,
}

/// How the run went.
struct Driven {
    crash: Option<Crash>,
    /// Why it ended before every accepted event had an outcome.
    trouble: Option<anyhow::Error>,
}

/// Watches until every accepted event has an outcome, or nothing happens any more; kills the sink halfway.
async fn drive(args: &DemoArgs, world: &mut World, tally: &Tally, sending: &mut Sending) -> Driven {
    let bar = progress(args);
    let mut crash = None;
    let trouble = watch_over(args, world, tally, sending, &mut crash, &bar).await.err();
    bar.finish_and_clear();
    Driven { crash, trouble }
}

async fn watch_over(
    args: &DemoArgs,
    world: &mut World,
    tally: &Tally,
    sending: &mut Sending,
    crash: &mut Option<Crash>,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let (half, patience) = (args.events as usize / 2, Duration::from_secs(args.patience));
    let (mut last, mut since, mut sent) = (0, Instant::now(), false);
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (accepted, settled) = tally.counts();
        bar.set_position(settled as u64);
        bar.set_message(format!("accepted {accepted}"));
        if settled != last {
            (last, since) = (settled, Instant::now());
        }
        if !args.no_crash && crash.is_none() && settled >= half.max(1) {
            let killed_at = sender::unix_micros();
            world.crash_sink().await?;
            *crash = Some(Crash { settled, killed_at });
        }
        if !sent && sending.is_finished() {
            (&mut *sending).await.context("the sender panicked")??;
            sent = true;
        }
        if sent && settled >= tally.counts().0 && (args.no_crash || crash.is_some()) {
            return Ok(());
        }
        world.check()?;
        if since.elapsed() > patience {
            bail!(
                "no progress for {patience:?}: {accepted} events accepted, {settled} settled; open: {:?}\n{}",
                tally.open(),
                world.sink_log()
            );
        }
    }
}

fn progress(args: &DemoArgs) -> ProgressBar {
    let shown = !args.json && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} settled, {msg}  {elapsed}");
    let bar = ProgressBar::with_draw_target(Some(u64::from(args.events)), target);
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}
