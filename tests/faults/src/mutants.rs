//! `faults mutants`: the protocol broken on purpose in real sinks, where the decision core's own mutants do not reach, and the checks that
//! every campaign makes have to notice it.

mod finding;
mod lane;
mod mutant;

use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;
use tokio::task::JoinSet;

use self::{
    finding::{Finding, Row},
    lane::Lane,
    mutant::Mutant,
};
use crate::{
    cluster,
    flags::{Keep, Print},
    verdict,
};

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  faults mutants --json
  faults mutants --mutant skip_restore --keep target/mutants

Exit status 0: sound sinks violate nothing under the same trouble, and every mutant is noticed by an invariant of its own.")]
pub struct Options {
    /// Only these mutants; may be given several times [default: all of them]
    #[arg(long, value_name = "NAME", value_parser = Mutant::parse)]
    mutant: Vec<Mutant>,
    #[command(flatten)]
    print: Print,
    #[command(flatten)]
    keep: Keep,
}

#[derive(Debug, Serialize)]
struct Figures {
    mutants: usize,
    /// Mutants that no invariant of their own noticed.
    unnoticed: usize,
    /// Runs of sound sinks in which something is violated, or the trouble did not come.
    unsound: usize,
    seconds: u64,
    rows: Vec<Row>,
}

/// Runs. True if every mutant is noticed, and nothing else is.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let kafka =
        tokio::task::spawn_blocking(|| cluster::broker(None)).await.context("the start panicked")??;
    let mutants = if options.mutant.is_empty() { Mutant::ALL.to_vec() } else { options.mutant };
    // Side by side: most of the time each of them waits for a session or a request to run out.
    let mut lanes = JoinSet::new();
    for mutant in mutants {
        let lane = Lane { mutant, bootstrap: kafka.bootstrap().to_owned(), keep: options.keep.dir.clone() };
        lanes.spawn(async move { Box::pin(lane.run()).await.context(mutant.name()) });
    }
    let mut findings: Vec<Finding> = Vec::new();
    while let Some(found) = lanes.join_next().await {
        findings.push(found.context("a lane panicked")??);
    }
    findings.iter().for_each(tell);
    let figures = Figures {
        mutants: findings.len(),
        unnoticed: findings.iter().filter(|finding| !finding.is_noticed()).count(),
        unsound: findings.iter().filter(|finding| !finding.is_sound()).count(),
        seconds: begun.elapsed().as_secs(),
        rows: findings.iter().map(Finding::row).collect(),
    };
    options.print.figures(&figures)?;
    Ok(figures.unnoticed == 0 && figures.unsound == 0)
}

/// Says what noticed the mutant, and what must not be there.
fn tell(finding: &Finding) {
    let name = finding.mutant.name();
    verdict::tell(0, &finding.sound.violations);
    if !finding.is_sound() {
        eprintln!("UNSOUND {name}: without the mutant, {:?}", finding.sound);
    }
    for violation in &finding.broken.violations {
        eprintln!("{name}: {} says {}", violation.id, violation.evidence);
    }
    if !finding.is_noticed() {
        let expected = finding.mutant.invariants();
        eprintln!("NOBODY NOTICES {name}, not {expected:?}: {:?}", finding.broken);
    }
}
