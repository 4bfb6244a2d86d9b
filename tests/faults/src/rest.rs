//! After the faults: everything comes to rest by itself, and goes on working.

use std::time::Duration;

use event::ObjectKind;

use crate::{class::Class, source::Change, topic::Behind, world::World};

/// How long it may take until everything has its outcome: stored failures are tried again for some seconds, and a busy
/// machine is slow.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(500);
/// How long a few events of one installation may take to their outcomes.
const OUTCOME: Duration = Duration::from_secs(90);
const GLANCE: Duration = Duration::from_millis(20);
/// Events of each tenant that show that every partition works.
const CANARIES: usize = 16;
/// Batches of canaries that are sent on the way to rest: a failure that a target has stored is only told from a target
/// that is away by others that succeed.
const SIGNS_OF_LIFE: usize = 60;

/// How it ended.
pub struct Rest {
    /// The ids of the events that were sent when nothing was open any more.
    pub canaries: Vec<String>,
    /// Partitions that are not at their end (OFF-2).
    pub behind: Vec<Behind>,
}

/// Waits until nothing is open, sends canaries, and waits for these.
pub async fn rest(world: &mut World) -> anyhow::Result<Rest> {
    let mut sent = 0;
    settle(world, &mut sent).await?;
    let canaries = send(world, "CANARY", CANARIES).await?;
    settle(world, &mut sent).await?;
    Ok(Rest { canaries, behind: behind(world).await? })
}

/// Waits until every accepted event has an outcome and nothing is pending at the targets. What is open all the same is
/// found by the checks.
async fn settle(world: &mut World, sent: &mut usize) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        world.supervise()?;
        let missing = world.outcomes.missing(&world.books)?;
        let pending: u64 = world.erp.accounts().await?.values().map(|account| account.totals.pending).sum();
        if (missing.is_empty() && pending == 0) || tokio::time::Instant::now() > deadline {
            return Ok(());
        }
        if *sent < SIGNS_OF_LIFE {
            *sent += 1;
            send(world, &format!("SIGN-{sent}"), 2).await?;
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn send(world: &World, name: &str, count: usize) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for class in Class::ALL {
        let change = |n: usize| {
            let object = if n.is_multiple_of(2) { ObjectKind::Customer } else { ObjectKind::Payment };
            Change::of(object, format!("{name}-{n}"), 1)
        };
        let changes: Vec<Change> = (0..count).map(change).collect();
        ids.extend(world.door.deliver(class, &changes).await?);
    }
    Ok(ids)
}

/// Waits until each of these events has an outcome.
pub async fn outcomes(world: &World, ids: &[String]) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + OUTCOME;
    loop {
        let missing = world.outcomes.missing(&world.books)?;
        let open: Vec<_> = ids.iter().filter(|id| missing.contains(id)).collect();
        if open.is_empty() {
            return Ok(());
        }
        let tail = world.sinks[0].tail();
        let in_time = tokio::time::Instant::now() < deadline;
        anyhow::ensure!(in_time, "no outcome of {open:?}; the sink says\n{tail}");
        tokio::time::sleep(GLANCE).await;
    }
}

/// Waits until the group has committed the end of every partition; those that it has not.
pub async fn behind(world: &World) -> anyhow::Result<Vec<Behind>> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let behind = world.topics.behind(&world.group).await?;
        if behind.is_empty() || tokio::time::Instant::now() > deadline {
            return Ok(behind);
        }
        tokio::time::sleep(POLL).await;
    }
}
