//! `faults soak`: a long time, targets with troubles, and sinks whose memory must stay where it is.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    evidence::Evidence,
    feed::Feed,
    flags::Print,
    moments::Moments,
    plan, strike,
    verdict::{self, Verdict},
    world::{Given, Pace, World},
};

/// By how much the last third may be above the one before it: allocators and caches settle late.
const GROWTH: f64 = 1.2;
const SLACK_MIB: f64 = 16.0;
/// Memory for the pages of a sink's ledger, bytes: so little that it is full long before the second third begins, and what grows after
/// that is something else. The default of 256 MiB is not reached in hours.
const CACHE: &str = "16777216";
/// Samples below which thirds say nothing.
const LEAST_SAMPLES: usize = 12;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How long events stream
    #[arg(long, value_name = "M", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// What the targets' troubles are drawn from [default: a random one, which is printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    #[command(flatten)]
    print: Print,
}

#[derive(Debug, Serialize)]
struct Figures {
    minutes: u32,
    rounds: usize,
    events: usize,
    effects: u64,
    /// Memory of each sink, MiB.
    resident_mib: BTreeMap<String, Thirds>,
    flat: bool,
    violations: usize,
}

/// The median of each third of the time.
#[derive(Debug, PartialEq, Serialize)]
struct Thirds {
    first: f64,
    second: f64,
    last: f64,
    most: f64,
}

/// Runs. True if memory is flat and nothing was violated.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}, {} minutes", options.minutes);
    let given = Given { pace: Pace::Default, ..Given::default() };
    let mut world = Box::pin(World::start(given)).await?;
    for sink in &mut world.sinks[..2] {
        sink.spawn_with(vec![("COUNTERFOIL_LEDGER__CACHE_BYTES", CACHE.to_owned())])?;
    }
    let mut feed = Feed::start(&world.door);
    let mut moments = Moments::default();
    let end = Instant::now() + Duration::from_secs(u64::from(options.minutes) * 60);
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut rounds = 0;
    // More rounds than fit: each lasts a second at least.
    for round in plan::rounds_of_targets(seed, options.minutes as usize * 120) {
        if Instant::now() >= end {
            break;
        }
        feed.check().await?;
        strike::carry_out(&mut world, &round, &mut moments).await?;
        for sink in &world.sinks[..2] {
            samples.entry(sink.name.clone()).or_default().push(sink.resident_mib()?);
        }
        rounds += 1;
    }
    let Verdict { evidence, violations } = Box::pin(verdict::reach(&mut world, feed, moments)).await?;
    verdict::tell(seed, &violations);
    let figures = figures(options.minutes, rounds, &evidence, &samples, violations.len());
    options.print.figures(&figures)?;
    Ok(figures.flat && figures.violations == 0)
}

fn figures(
    minutes: u32,
    rounds: usize,
    evidence: &Evidence,
    samples: &BTreeMap<String, Vec<f64>>,
    violations: usize,
) -> Figures {
    let thirds: BTreeMap<_, _> =
        samples.iter().filter_map(|(name, of)| Some((name.clone(), Thirds::of(of)?))).collect();
    Figures {
        minutes,
        rounds,
        events: evidence.issued.len(),
        effects: evidence.effects_by_event().values().sum(),
        flat: thirds.len() == samples.len() && !thirds.is_empty() && thirds.values().all(Thirds::is_flat),
        resident_mib: thirds,
        violations,
    }
}

impl Thirds {
    /// None if there are too few samples.
    fn of(samples: &[f64]) -> Option<Self> {
        let third = samples.len() / 3;
        if samples.len() < LEAST_SAMPLES {
            return None;
        }
        let median = |part: &[f64]| {
            let mut part = part.to_vec();
            part.sort_by(f64::total_cmp);
            rounded(part[part.len() / 2])
        };
        Some(Self {
            first: median(&samples[..third]),
            second: median(&samples[third..2 * third]),
            last: median(&samples[2 * third..]),
            most: rounded(samples.iter().copied().fold(0.0, f64::max)),
        })
    }

    fn is_flat(&self) -> bool {
        self.last <= self.second * GROWTH + SLACK_MIB
    }
}

fn rounded(mib: f64) -> f64 {
    (mib * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rises_to_a_level_is_flat_and_what_goes_on_rising_is_not() {
        let level: Vec<f64> = (0..300).map(|n| 200.0 - 150.0 / f64::from(n + 1)).collect();
        assert!(Thirds::of(&level).is_some_and(|thirds| thirds.is_flat()));
        let leak: Vec<f64> = (0..300).map(f64::from).collect();
        assert!(Thirds::of(&leak).is_some_and(|thirds| !thirds.is_flat()));
        assert_eq!(Thirds::of(&level[..5]), None);
    }
}
