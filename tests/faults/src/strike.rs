//! Faults, carried out and healed.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::Context as _;
use sandbox::Change;
use testkit::toxiproxy::{Direction, Toxic};

use crate::{
    brokers,
    class::{Class, LATE_MS},
    cluster::{BROKERS, REGISTRY},
    moments::{Moments, Window, micros},
    plan::{Fault, Folder, Round, Trouble},
    world::World,
};

/// How long faults wait for the traffic of the round before to flow again.
const TRAFFIC: Duration = Duration::from_secs(20);
/// Requests that show that it does.
const FLOWS: u64 = 5;
/// The third sink needs some time to get partitions at all.
const THIRD_MS: u64 = 3_500;
/// How long a request under way is waited for, so that a kill meets one.
const BUSY: Duration = Duration::from_secs(10);
const TAKEOVERS: &str = "counterfoil_sink_takeover_seconds_count";
const POSTINGS: &str = "counterfoil_sink_postings_total";

/// Carries out a round: waits for traffic, begins its faults, lets time pass, heals them.
pub async fn carry_out(world: &mut World, round: &Round, moments: &mut Moments) -> anyhow::Result<()> {
    let mut dice = fastrand::Rng::with_seed(round.dice);
    world.supervise()?;
    traffic(world).await?;
    tokio::time::sleep(Duration::from_millis(round.after_ms)).await;
    let from = micros();
    let before = takeovers(world).await;
    for (place, fault) in round.faults.iter().enumerate() {
        if place > 0 {
            tokio::time::sleep(Duration::from_millis(round.lead_ms)).await;
        }
        begin(world, *fault, &mut dice, moments).await.with_context(|| format!("{fault} cannot begin"))?;
    }
    tokio::time::sleep(Duration::from_millis(hold_ms(world, round))).await;
    for fault in &round.faults {
        look(world, *fault, &before, moments).await;
        heal(world, *fault).await.with_context(|| format!("{fault} cannot be healed"))?;
    }
    let to = micros();
    let windows = round.faults.iter().map(|fault| Window { round: round.number, fault: *fault, from, to });
    moments.windows.extend(windows);
    Ok(())
}

/// Faults that must outlast a session, or need time to be felt, make the round longer.
fn hold_ms(world: &World, round: &Round) -> u64 {
    let least = |fault: &Fault| match fault {
        Fault::StopSink { .. } | Fault::BrokersAway => world.cluster.session_ms + 2_500,
        Fault::ThirdSink => THIRD_MS,
        Fault::Brokers(breakage) => breakage.least_ms(),
        // The killed sink is missed first; only then does the new one get records, whose schemas it does not know.
        Fault::RegistryAway { .. } => world.cluster.session_ms + 1_500,
        _ => 0,
    };
    round.faults.iter().map(least).fold(round.hold_ms, u64::max)
}

/// Waits until the targets see requests, so that the fault meets some.
pub async fn traffic(world: &World) -> anyhow::Result<()> {
    let begun = world.requests().await?;
    let deadline = tokio::time::Instant::now() + TRAFFIC;
    while world.requests().await? < begun + FLOWS && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(())
}

async fn takeovers(world: &World) -> Vec<f64> {
    let mut all = Vec::new();
    for sink in &world.sinks {
        all.push(sink.now(TAKEOVERS, "").await);
    }
    all
}

async fn begin(
    world: &mut World,
    fault: Fault,
    dice: &mut fastrand::Rng,
    moments: &mut Moments,
) -> anyhow::Result<()> {
    match fault {
        Fault::Brokers(breakage) => brokers::begin(world, breakage, dice, moments).await,
        Fault::KillSink { sink, folder } => kill(world, sink, folder, dice, moments).await,
        Fault::KillGateway => {
            busy(world).await;
            world.gateway.kill()
        }
        Fault::StopSink { sink } => world.sinks[sink].freeze(),
        Fault::DrainSink { sink } => {
            world.sinks[sink].drain().await?;
            moments.seen.push("sink_drained");
            world.sinks[sink].meddle(Folder::Kept, dice)?;
            world.sinks[sink].spawn()
        }
        Fault::ThirdSink => world.sinks[2].spawn(),
        Fault::RegistryAway { sink } => {
            world.cluster.proxies.cut(REGISTRY).await?;
            kill(world, sink, Folder::Kept, dice, moments).await
        }
        Fault::BrokersAway if world.cluster.detour.is_none() => {
            moments.impossible.push(fault.name());
            Ok(())
        }
        Fault::BrokersAway => world.cluster.proxies.cut(BROKERS).await,
        Fault::Target { class, trouble } => trouble_begins(world, class, trouble, dice).await,
    }
}

async fn kill(
    world: &mut World,
    sink: usize,
    folder: Folder,
    dice: &mut fastrand::Rng,
    moments: &mut Moments,
) -> anyhow::Result<()> {
    at_work(world).await?;
    if world.sinks[sink].kill().await? {
        moments.kills.push(micros());
    }
    let done = world.sinks[sink].meddle(folder, dice)?;
    if done && folder != Folder::Kept {
        moments.seen.push(Fault::KillSink { sink, folder }.name());
    }
    world.sinks[sink].spawn()
}

/// Waits for a moment at which every target works on something.
pub async fn at_work(world: &World) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + BUSY;
    while tokio::time::Instant::now() < deadline {
        if world.erp.accounts().await?.values().all(|account| account.totals.pending > 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Waits for a moment at which the gateway has not answered yet.
async fn busy(world: &World) {
    let deadline = tokio::time::Instant::now() + BUSY;
    while world.door.under_way.load(Ordering::Relaxed) == 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}

async fn trouble_begins(
    world: &World,
    class: Class,
    trouble: Trouble,
    dice: &mut fastrand::Rng,
) -> anyhow::Result<()> {
    let half = Some(0.5);
    let proxies = &world.cluster.proxies;
    let name = class.name();
    let change = match trouble {
        Trouble::DropsAnswers => Change { drop_answer_rate: half, ..Change::default() },
        Trouble::AppliesLate => {
            Change { drop_answer_rate: half, apply_late_ms: Some(LATE_MS), ..Change::default() }
        }
        Trouble::Unavailable => Change { fail_rate: half, ..Change::default() },
        Trouble::ServerError => Change { fail_rate: half, fail_status: Some(500), ..Change::default() },
        Trouble::StoresFailures => Change {
            fail_rate: Some(0.3),
            fail_status: Some(500),
            store_failures: Some(true),
            ..Change::default()
        },
        Trouble::Throttles => Change { throttle_per_second: Some(4), ..Change::default() },
        Trouble::Slow => Change { latency_ms: Some(700), jitter_ms: Some(400), ..Change::default() },
        Trouble::Cut => return proxies.cut(name).await,
        Trouble::HalfSent => {
            let bytes = dice.u64(100..1_500);
            return proxies.poison(name, Direction::Up, Toxic::LimitBytes(bytes)).await;
        }
        Trouble::HalfAnswered => {
            let bytes = dice.u64(5..150);
            return proxies.poison(name, Direction::Down, Toxic::LimitBytes(bytes)).await;
        }
        Trouble::Stalls => return proxies.poison(name, Direction::Down, Toxic::Timeout(0)).await,
    };
    world.erp.change(class, change).await
}

/// Whether the fault did what it is for; what only the books can tell is told later.
async fn look(world: &World, fault: Fault, before: &[f64], moments: &mut Moments) {
    if let Fault::Brokers(breakage) = fault {
        brokers::look(breakage, moments);
        return;
    }
    let taken_over = async |by: usize| world.sinks[by].now(TAKEOVERS, "").await > before[by];
    let happened = match fault {
        Fault::StopSink { sink } => taken_over(1 - sink).await,
        Fault::BrokersAway => world.cluster.detour.is_some() && taken_over(0).await,
        Fault::ThirdSink => world.sinks[2].now(POSTINGS, "").await > 0.0,
        _ => false,
    };
    if happened {
        moments.seen.push(fault.name());
    }
}

/// Undoes what a fault did. Whatever was healed already stays as it is.
pub async fn heal(world: &mut World, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::Brokers(_) => brokers::heal(world).await,
        Fault::StopSink { sink } => world.sinks[sink].thaw(),
        Fault::ThirdSink => world.sinks[2].drain().await,
        Fault::RegistryAway { .. } => world.cluster.proxies.heal(REGISTRY).await,
        Fault::BrokersAway if world.cluster.detour.is_none() => Ok(()),
        Fault::BrokersAway => world.cluster.proxies.heal(BROKERS).await,
        Fault::Target { class, .. } => {
            world.erp.change(class, class.healthy()).await?;
            world.cluster.proxies.heal(class.name()).await
        }
        Fault::KillSink { .. } | Fault::KillGateway | Fault::DrainSink { .. } => Ok(()),
    }
}
