//! `faults campaign`: rounds of faults, rest, proof.

use std::{io::IsTerminal as _, path::PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sandbox::Change;

use crate::{
    check::{self, Violation},
    class::Class,
    evidence::Evidence,
    feed::Feed,
    moments::Moments,
    plan::{self, Round},
    rest, strike,
    summary::Summary,
    world::{Given, World},
};

/// Violations that are printed; the summary counts all.
const SHOWN: usize = 30;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  faults campaign --rounds 12 --seed 7 --json
  faults campaign --rounds 200 --seed 1 --keep target/campaign
  faults campaign --rounds 200 --seed 1 --round-list

Exit status 0: no invariant is violated, and everything that the faults are for has happened.")]
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
    /// Keep logs and ledgers in this folder, which must not exist yet
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
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
    let given = Given { bootstrap: options.bootstrap, registry: options.registry, keep: options.keep };
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
    eprintln!("faults are over, waiting for rest");
    feed.end().await?;
    let rest = rest::rest(&mut world).await?;
    for sink in &mut world.sinks {
        sink.drain().await?;
    }
    let evidence = Box::pin(Evidence::gather(&world, rest, moments)).await?;
    let violations = check::violations(&evidence);
    let summary = Summary::of(rounds.len(), &evidence, &violations);
    tell(seed, &violations);
    tell_late_appends(seed, &evidence);
    let line =
        if options.json { serde_json::to_string(&summary)? } else { serde_json::to_string_pretty(&summary)? };
    println!("{line}");
    Ok(summary.is_clean())
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

fn tell(seed: u64, violations: &[Violation]) {
    for Violation { id, event, evidence, round } in violations.iter().take(SHOWN) {
        let event = event.as_deref().unwrap_or("-");
        let round = round.map_or_else(|| "-".to_owned(), |round| round.to_string());
        eprintln!("VIOLATED {id} (seed {seed}, round {round}, event {event}): {evidence}");
    }
    if violations.len() > SHOWN {
        eprintln!("… and {} more", violations.len() - SHOWN);
    }
}

/// Not counted as violations: GUARANTEES.md, section 5, says that they may happen.
fn tell_late_appends(seed: u64, evidence: &Evidence) {
    for (id, outcomes) in evidence.outcomes.iter().filter(|(_, all)| check::is_late_append(all)) {
        let round = outcomes.last().and_then(|outcome| evidence.moments.round_at(outcome.settled_at));
        eprintln!("in doubt, then committed (seed {seed}, round {round:?}, event {id}): {outcomes:?}");
    }
}

fn progress(rounds: usize) -> ProgressBar {
    let shown = std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(rounds as u64), target);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed}  {msg}");
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}
