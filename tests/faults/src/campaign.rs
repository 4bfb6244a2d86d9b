//! `faults campaign`: rounds of faults, rest, proof.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sandbox::Change;

use crate::{
    class::Class,
    feed::Feed,
    flags::{self, Keep},
    moments::Moments,
    plan::{self, Round},
    strike,
    summary::Summary,
    verdict::{self, Verdict},
    world::{Given, World},
};

/// From so many rounds on, everything that faults are for must have happened. In fewer, a kill may miss the moment that it is
/// to meet: what did not happen is listed only.
const MUST_BE_COMPLETE: usize = 60;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  faults campaign --rounds 12 --seed 7 --json
  faults campaign --rounds 200 --seed 1 --keep target/campaign
  faults campaign --rounds 200 --seed 1 --round-list

Exit status 0: no invariant is violated and, from 60 rounds on, everything that the faults are for has happened.")]
pub struct Options {
    /// How many rounds; each lasts some seconds
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// What the faults are drawn from: the same seed has the same rounds [default: a random one, which is printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Print the summary as one JSON object, and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Print the rounds of the seed and end
    #[arg(long)]
    round_list: bool,
    #[command(flatten)]
    keep: Keep,
    /// Use these Kafka brokers in place of a broker that is started; the way to them is not cut then
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: Option<String>,
    /// Use this schema registry in place of one that is started
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// Let the keyed target forget its keys at once, against what its connector says: the campaign must find duplicates
    /// then, and fail. That shows that it can
    #[arg(long)]
    target_forgets_keys: bool,
}

/// Runs the campaign. True if it is clean.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let rounds = plan::rounds(seed, options.rounds as usize);
    if options.round_list {
        for round in &rounds {
            println!("{round}");
        }
        return Ok(true);
    }
    eprintln!("seed {seed}, {} rounds", rounds.len());
    let given = Given {
        bootstrap: options.bootstrap,
        registry: options.registry,
        keep: options.keep.dir,
        follow: true,
        redb_too: true,
        ..Given::default()
    };
    let mut world = Box::pin(World::start(given)).await?;
    if options.target_forgets_keys {
        let forgetful = Change { key_window_ms: Some(1), ..Change::default() };
        world.erp.change(Class::Keyed, forgetful).await?;
    }
    for sink in &mut world.sinks[..2] {
        sink.spawn()?;
    }
    let mut feed = Feed::start(&world.door);
    let mut moments = Moments::default();
    let bar = progress(rounds.len());
    for round in &rounds {
        feed.check().await?;
        one(&mut world, round, &mut moments, &bar).await?;
    }
    bar.finish_and_clear();
    let Verdict { evidence, violations } = Box::pin(verdict::reach(&mut world, feed, moments)).await?;
    let summary = Summary::of(rounds.len(), &evidence, &violations);
    verdict::tell(seed, &violations);
    flags::print(options.json, &summary)?;
    let complete = summary.sometimes_missing.is_empty() || rounds.len() < MUST_BE_COMPLETE;
    Ok(summary.is_good() && complete)
}

/// One round, and one line about it.
async fn one(
    world: &mut World,
    round: &Round,
    moments: &mut Moments,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    bar.set_message(round.to_string());
    strike::carry_out(world, round, moments).await?;
    let issued = world.books.with(|pages| pages.issued.len());
    let line = format!("{round}  ({issued} events)");
    bar.suspend(|| eprintln!("{line}"));
    bar.inc(1);
    Ok(())
}

fn progress(rounds: usize) -> ProgressBar {
    let shown = std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(rounds as u64), target);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed}  {msg}");
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}
