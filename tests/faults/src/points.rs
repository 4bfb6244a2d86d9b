//! `faults points`: a sink dies at each of twelve points, or stands still at a thirteenth until its watchdog ends it, for each class of target, and another one takes its place.

mod lane;
mod point;
pub mod relay;

use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;

use self::lane::{Cell, Lane};
use crate::{
    check::Violation,
    class::Class,
    cluster,
    flags::{Keep, Print},
    verdict,
};

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  faults points --json
  faults points --point half_sent --point applied --keep target/points

Exit status 0: every crash came at its point, no invariant is violated, and every event struck by a crash ended as it must.")]
pub struct Options {
    /// Only these points; may be given several times [default: all of them]
    #[arg(long, value_name = "NAME", value_parser = point::Point::parse)]
    point: Vec<point::Point>,
    #[command(flatten)]
    print: Print,
    #[command(flatten)]
    keep: Keep,
}

#[derive(Debug, Serialize)]
struct Figures {
    /// Crashes that came at their point, for each class of target and kind of Intents.
    crashes: usize,
    /// Events that ended otherwise than they must, or had another number of effects.
    unexpected: usize,
    /// K and U: events that a person would have to look at.
    manual_steps: usize,
    violations: usize,
    seconds: u64,
    cells: Vec<Cell>,
}

/// Runs. True if it is clean.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let kafka =
        tokio::task::spawn_blocking(|| cluster::broker(None)).await.context("the start panicked")??;
    let points = if options.point.is_empty() { point::Point::ALL.to_vec() } else { options.point };
    let lane = |class, each_intent| Lane {
        class,
        each_intent,
        bootstrap: kafka.bootstrap().to_owned(),
        keep: options.keep.dir.clone(),
        points: points.clone(),
    };
    // Side by side: most of the time each of them waits for a session to run out. The longest ones first.
    let lanes = tokio::try_join!(
        Box::pin(lane(Class::Keyed, false).run()),
        Box::pin(lane(Class::Upsert, false).run()),
        Box::pin(lane(Class::Neither, true).run()),
        Box::pin(lane(Class::Keyed, true).run()),
        Box::pin(lane(Class::Upsert, true).run()),
    )?;
    let mut cells = Vec::new();
    let mut violations: Vec<Violation> = Vec::new();
    for (of_lane, found) in <[_; 5]>::from(lanes) {
        cells.extend(of_lane);
        violations.extend(found);
    }
    verdict::tell(0, &violations);
    let figures = Figures {
        crashes: cells.len(),
        unexpected: cells.iter().filter(|cell| !cell.is_as_expected()).count(),
        manual_steps: cells.iter().filter(|cell| cell.is_manual()).count(),
        violations: violations.len(),
        seconds: begun.elapsed().as_secs(),
        cells,
    };
    for cell in figures.cells.iter().filter(|cell| !cell.is_as_expected()) {
        eprintln!("UNEXPECTED {cell:?}");
    }
    options.print.figures(&figures)?;
    Ok(figures.violations == 0 && figures.unexpected == 0 && figures.manual_steps == 0)
}
