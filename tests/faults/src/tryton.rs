//! `faults tryton`: invoices are posted to a real ERP while sinks are killed and answers are lost, and are counted in the ERP's
//! own database.

mod books;
mod company;
mod cost;
mod strike;
mod world;

use std::{path::PathBuf, time::Duration};

use serde::Serialize;

use self::{books::Count, cost::Cost, world::World};
use crate::flags::Print;

/// How long it may take until every event has its outcome, once the last fault is over.
const PATIENCE: Duration = Duration::from_secs(300);
/// Kills of which one at least meets an invoice between two of its calls.
const MANY: usize = 10;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How many invoices are posted
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    events: u32,
    /// How often a sink is killed, while answers of the ERP are lost or after that
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=200))]
    kills: u32,
    /// What chance begins with; a run with the same seed draws the same faults
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// A folder for logs and ledgers, which is kept; it must not exist
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    print: Print,
}

#[derive(Debug, Serialize)]
struct Figures {
    seed: u64,
    events: usize,
    kills: usize,
    /// Windows in which answers were lost after the ERP had done what it was asked for.
    windows: usize,
    /// Invoices that kills have met between two of their calls.
    halfway: usize,
    /// Events that took more than one attempt.
    tried_again: usize,
    /// Partitions whose end was not committed.
    behind: usize,
    #[serde(flatten)]
    count: Count,
    #[serde(flatten)]
    cost: Cost,
    /// What the whole run took.
    seconds: u64,
}

/// Runs. True if every event has become one posted invoice, and an undisturbed posting adds less than a tenth to the calls by hand.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let begun = std::time::Instant::now();
    let mut world = Box::pin(World::start(options.keep.clone())).await?;
    let mut bills = world.company.bills(options.events);
    let cost = cost::measure(&mut world, &mut bills).await?;
    eprintln!("undisturbed: {} ms a posting, {} ms raw", cost.posting_ms, cost.raw_ms);
    let strikes = strike::strike(&mut world, bills, (options.kills, cost.posting_ms), options.seed).await?;
    let issued = world.company.issued();
    let outcomes = world.rest(issued.len(), PATIENCE).await?;
    let behind = world.behind().await?.len();
    let count = books::count(&world.company, &issued, &outcomes)?;
    let figures = Figures {
        seed: options.seed,
        events: issued.len(),
        kills: strikes.kills,
        windows: strikes.windows,
        halfway: strikes.halfway,
        tried_again: outcomes.iter().filter(|outcome| outcome.attempts > 1).count(),
        behind,
        count,
        cost,
        seconds: begun.elapsed().as_secs(),
    };
    options.print.figures(&figures)?;
    for complaint in world.complaints() {
        eprintln!("a sink ended by itself: {complaint}");
    }
    anyhow::ensure!(figures.tried_again > 0, "no answer was lost, so nothing is shown");
    let enough = figures.kills < MANY || figures.halfway > 0;
    anyhow::ensure!(enough, "no kill has met an invoice between two of its calls");
    let too_much = figures.cost.is_too_much();
    if too_much {
        eprintln!("a posting adds {} % to the calls by hand: 10 % or more", figures.cost.added_percent);
    }
    Ok(!too_much && figures.count.is_clean() && figures.behind == 0 && world.complaints().is_empty())
}
