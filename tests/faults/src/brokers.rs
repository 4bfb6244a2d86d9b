//! `faults brokers`: a cluster of three brokers, which are killed, stopped and restarted while events stream through.

mod deck;
mod strike;

use std::collections::BTreeMap;

use serde::Serialize;

pub use deck::Breakage;
pub use strike::{begin, heal, look};

use crate::{
    cluster::Size,
    feed::Feed,
    flags::{Keep, Print},
    moments::Moments,
    strike::carry_out,
    summary::Summary,
    verdict::{self, Verdict},
    world::{Given, World},
};

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  faults brokers --rounds 10 --seed 1 --json
  faults brokers --rounds 20 --seed 2 --round-list

Exit status 0: no invariant is violated, and each fault that was drawn did what it is for.")]
pub struct Options {
    /// How many rounds; each lasts up to a minute
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// What the faults are drawn from: the same seed has the same rounds [default: a random one, which is printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    #[command(flatten)]
    print: Print,
    /// Print the rounds of the seed and end
    #[arg(long)]
    round_list: bool,
    #[command(flatten)]
    keep: Keep,
}

/// The object that `--json` prints; the words are those of the campaign.
#[derive(Debug, Serialize)]
struct Figures {
    rounds: usize,
    faults: BTreeMap<&'static str, usize>,
    events: usize,
    effects: u64,
    duplicates: u64,
    lost: usize,
    in_doubt: usize,
    violations: usize,
    sometimes_missing: Vec<&'static str>,
}

/// Runs the rounds. True if it is clean.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let rounds = deck::rounds(seed, options.rounds as usize);
    if options.round_list {
        for round in &rounds {
            println!("{round}");
        }
        return Ok(true);
    }
    eprintln!("seed {seed}, {} rounds", rounds.len());
    let given = Given { size: Size::Three, keep: options.keep.dir, follow: true, ..Given::default() };
    let mut world = Box::pin(World::start(given)).await?;
    for sink in &mut world.sinks[..2] {
        sink.spawn()?;
    }
    let mut feed = Feed::start(&world.door);
    let mut moments = Moments::default();
    for round in &rounds {
        feed.check().await?;
        carry_out(&mut world, round, &mut moments).await?;
        eprintln!("{round}  ({} events)", world.books.with(|pages| pages.issued.len()));
    }
    let Verdict { evidence, violations } = Box::pin(verdict::reach(&mut world, feed, moments)).await?;
    verdict::tell(seed, &violations);
    let summary = Summary::of(rounds.len(), &evidence, &violations);
    let clean = summary.is_good() && summary.sometimes_missing.is_empty();
    let figures = Figures::of(summary);
    options.print.figures(&figures)?;
    Ok(clean)
}

impl Figures {
    fn of(summary: Summary) -> Self {
        let Summary { rounds, faults, events, effects, duplicates, lost, in_doubt, violations, .. } = summary;
        let sometimes_missing = summary.sometimes_missing;
        Self { rounds, faults, events, effects, duplicates, lost, in_doubt, violations, sometimes_missing }
    }
}
