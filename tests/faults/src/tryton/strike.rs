//! The faults: sinks are killed, and answers are lost after the ERP has done what it was asked for.

use std::{collections::VecDeque, time::Duration};

use anyhow::ensure;
use testkit::toxiproxy::{Direction, Toxic};
use tokio::time::{Instant, sleep};

use super::{
    company::Bill,
    world::{TRYTON, World},
};

/// For the postings to go on after a fault.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a posting takes where the lengths of faults were chosen.
const USUAL_MS: f64 = 640.0;
const POLL: Duration = Duration::from_millis(20);

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strikes {
    pub kills: usize,
    pub windows: usize,
    /// Invoices that a kill has met between two of their calls: made, and not posted yet.
    pub halfway: usize,
}

/// Feeds the events and strikes so often, each time while postings are under way. The slower a posting is on this machine, the longer
/// the faults last: a short one would meet nothing but looks.
pub async fn strike(
    world: &mut World,
    mut bills: VecDeque<Bill>,
    (kills, posting_ms): (u32, f64),
    seed: u64,
) -> anyhow::Result<Strikes> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let (mut strikes, pace) = (Strikes::default(), (posting_ms / USUAL_MS).max(1.0));
    world.sinks[1].spawn()?;
    for round in 0..kills as usize {
        let share = bills.len().div_ceil(kills as usize - round);
        let batch: Vec<Bill> = bills.drain(..share).collect();
        world.deliver(&batch).await?;
        under_way(world).await?;
        let before = world.settled()?;
        disturb(world, (&mut dice, pace), &mut strikes).await?;
        eprintln!("round {}: {} issued, {before} settled", round + 1, world.company.issued().len());
        goes_on(world, before + batch.len() / 2).await?;
    }
    Ok(strikes)
}

/// Until the ERP is asked for something.
async fn under_way(world: &mut World) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while world.requests().await == 0.0 {
        ensure!(Instant::now() < deadline, "no sink asks the ERP for anything");
        sleep(POLL).await;
    }
    Ok(())
}

/// For a while every answer is cut off somewhere: Tryton has committed before it answers, so what it was asked for is done. A
/// sink is killed while that lasts, or after it.
async fn disturb(
    world: &mut World,
    (dice, pace): (&mut fastrand::Rng, f64),
    strikes: &mut Strikes,
) -> anyhow::Result<()> {
    let (sink, inside) = (dice.usize(..2), dice.bool());
    sleep(Duration::from_millis(dice.u64(0..800))).await;
    let toxic = Toxic::LimitBytes(dice.u64(1..150));
    world.cluster.proxies.poison(TRYTON, Direction::Down, toxic).await?;
    strikes.windows += 1;
    sleep(Duration::from_millis(dice.u64(500..1_500)).mul_f64(pace)).await;
    if inside {
        kill(world, sink, strikes).await?;
    }
    sleep(Duration::from_millis(dice.u64(500..1_500)).mul_f64(pace)).await;
    world.cluster.proxies.heal(TRYTON).await?;
    if !inside {
        sleep(Duration::from_millis(dice.u64(0..1_500))).await;
        kill(world, sink, strikes).await?;
    }
    Ok(())
}

/// SIGKILL, and another one at once.
async fn kill(world: &mut World, sink: usize, strikes: &mut Strikes) -> anyhow::Result<()> {
    ensure!(world.sinks[sink].kill().await?, "{} had ended by itself", world.sinks[sink].name);
    strikes.kills += 1;
    strikes.halfway += world.company.tryton.invoices()?.iter().filter(|one| one.state != "posted").count();
    world.sinks[sink].spawn()
}

/// Until so many events have their outcome.
async fn goes_on(world: &mut World, settled: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while world.settled()? < settled.min(world.company.issued().len()) {
        ensure!(Instant::now() < deadline, "the postings do not go on");
        world.supervise()?;
        sleep(POLL).await;
    }
    Ok(())
}
