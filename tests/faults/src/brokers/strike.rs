//! Faults of brokers, carried out and healed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use event::ObjectKind;
use kafka::{Settings, admin::Replicas};
use testkit::kafka::{NODES, Trio};
use tokio::time::Instant;

use super::Breakage;
use crate::{
    class::Class,
    moments::{Moments, micros},
    world::World,
};

/// Where groups have their offsets. It has one partition: whoever leads it coordinates every group.
const OFFSETS: &str = "__consumer_offsets";
/// How long leadership, commits or replicas may need on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);
/// So long the coordinator answers nothing before it is killed: both sinks have a commit under way then.
const UNANSWERED: Duration = Duration::from_millis(700);
/// What a sink says when brokers did not confirm a commit.
const COMMIT_FAILED: &str = "offsets were not committed";

/// Does it, and waits until it has done what it is for, where that comes by itself.
pub async fn begin(
    world: &mut World,
    breakage: Breakage,
    dice: &mut fastrand::Rng,
    moments: &mut Moments,
) -> anyhow::Result<()> {
    match breakage {
        Breakage::LeaderKilled => {
            let (topic, partition) = input(world, dice)?;
            let node = leader(world, &topic, partition).await?;
            hurt(world, node, Trio::kill9).await?;
            moved(world, &topic, partition, node).await?;
        }
        Breakage::CoordinatorKilled => coordinator(world, moments).await?,
        Breakage::Rolled => roll(world).await?,
        Breakage::TwoKilled => {
            let mut nodes = nodes();
            dice.shuffle(&mut nodes);
            for node in &nodes[1..] {
                hurt(world, *node, Trio::kill9).await?;
            }
            // closed when it is healed
            moments.unreplicated.push((micros(), i64::MAX));
            return Ok(());
        }
        Breakage::Stopped => {
            let (topic, partition) = input(world, dice)?;
            let node = leader(world, &topic, partition).await?;
            hurt(world, node, Trio::pause).await?;
            moved(world, &topic, partition, node).await?;
        }
    }
    moments.seen.push(breakage.name());
    Ok(())
}

/// What ends with the healing that comes now.
pub fn look(breakage: Breakage, moments: &mut Moments) {
    if breakage == Breakage::TwoKilled
        && let Some((_, to)) = moments.unreplicated.last_mut()
    {
        *to = micros();
    }
}

/// Brings back whoever is killed or stopped, and waits until every replica has everything.
pub async fn heal(world: &mut World) -> anyhow::Result<()> {
    let nodes = std::mem::take(&mut world.cluster.hurt);
    on_trio(world, move |trio| {
        let stopped: BTreeSet<i32> = nodes.iter().copied().filter(|id| trio.resume(*id).is_ok()).collect();
        let gone: Vec<i32> = nodes.into_iter().filter(|id| !stopped.contains(id)).collect();
        trio.restart(&gone)
    })
    .await?;
    whole(world).await
}

/// The coordinator of the sinks' group goes while commits wait for its answer.
async fn coordinator(world: &mut World, moments: &mut Moments) -> anyhow::Result<()> {
    let node = leader(world, OFFSETS, 0).await?;
    let committed = committed(world).await?;
    let said = failures(world);
    on_trio(world, move |trio| trio.pause(node)).await?;
    tokio::time::sleep(UNANSWERED).await;
    hurt(world, node, Trio::kill9).await?;
    moved(world, OFFSETS, 0, node).await?;
    let deadline = Instant::now() + PATIENCE;
    while self::committed(world).await? <= committed {
        if Instant::now() > deadline {
            bail!("no offset is committed any more");
        }
        tokio::time::sleep(POLL).await;
    }
    moments.seen.push("commits_went_on");
    if failures(world) > said {
        moments.seen.push("commits_failed");
    }
    Ok(())
}

/// One after the other, as an orchestrator does it: the next one only when every replica has everything.
async fn roll(world: &mut World) -> anyhow::Result<()> {
    for node in nodes() {
        let led = leads(world, node).await?;
        hurt(world, node, Trio::stop).await?;
        if let Some((topic, partition)) = led {
            moved(world, &topic, partition, node).await?;
        }
        heal(world).await.with_context(|| format!("node {node}"))?;
    }
    Ok(())
}

/// A partition to which events go all the time.
fn input(world: &World, dice: &mut fastrand::Rng) -> anyhow::Result<(String, i32)> {
    let class = Class::ALL[dice.usize(..Class::ALL.len())];
    let partition = world.topics.partition(class, ObjectKind::Customer, "E-0")?;
    Ok((world.topics.of(ObjectKind::Customer), partition))
}

fn nodes() -> Vec<i32> {
    (1..).take(NODES).collect()
}

async fn hurt(world: &mut World, node: i32, how: fn(&Trio, i32) -> anyhow::Result<()>) -> anyhow::Result<()> {
    on_trio(world, move |trio| how(trio, node)).await?;
    world.cluster.hurt.push(node);
    Ok(())
}

async fn on_trio(
    world: &World,
    act: impl FnOnce(&Trio) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    let trio = Arc::clone(trio(world)?);
    tokio::task::spawn_blocking(move || act(&trio)).await.context("a broker's fault panicked")?
}

fn trio(world: &World) -> anyhow::Result<&Arc<Trio>> {
    world.cluster.trio.as_ref().context("there are no three brokers of our own")
}

/// Settings of a client that asks those who can answer.
fn settings(world: &World) -> anyhow::Result<Settings> {
    let bootstrap = trio(world)?.bootstrap_without(&world.cluster.hurt);
    Ok(world.topics.settings_at(bootstrap))
}

async fn replicas(world: &World, topic: &str) -> anyhow::Result<BTreeMap<i32, Replicas>> {
    let asked = kafka::admin::replicas(&settings(world)?, topic).await;
    asked.with_context(|| format!("who has {topic}"))
}

async fn leader(world: &World, topic: &str, partition: i32) -> anyhow::Result<i32> {
    let replicas = replicas(world, topic).await?;
    let leader = replicas.get(&partition).and_then(|replicas| replicas.leader);
    leader.with_context(|| format!("nobody leads {topic}[{partition}]"))
}

/// An input partition that the node leads, if there is one.
async fn leads(world: &World, node: i32) -> anyhow::Result<Option<(String, i32)>> {
    for topic in Class::OBJECTS.map(|object| world.topics.of(object)) {
        let replicas = replicas(world, &topic).await?;
        let led = replicas.iter().find(|(_, replicas)| replicas.leader == Some(node));
        if let Some((partition, _)) = led {
            return Ok(Some((topic, *partition)));
        }
    }
    Ok(None)
}

/// Waits until somebody else leads the partition.
async fn moved(world: &World, topic: &str, partition: i32, from: i32) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let leader = replicas(world, topic).await.ok().and_then(|all| all.get(&partition)?.leader);
        if leader.is_some_and(|leader| leader != from) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{topic}[{partition}] is still led by {leader:?}");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until every partition of the inputs and of the offsets has all its replicas in sync.
async fn whole(world: &World) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    for topic in Class::OBJECTS.map(|object| world.topics.of(object)).into_iter().chain([OFFSETS.into()]) {
        loop {
            let all = replicas(world, &topic).await;
            match all {
                Ok(all) if all.values().all(|r| r.leader.is_some() && r.in_sync.len() == NODES) => break,
                found if Instant::now() > deadline => bail!("replicas of {topic} are missing: {found:?}"),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }
    Ok(())
}

/// How far the sinks' group has committed, all partitions together. Who coordinates it may be unknown for a while.
async fn committed(world: &World) -> anyhow::Result<i64> {
    let settings = settings(world)?;
    let deadline = Instant::now() + PATIENCE;
    'again: loop {
        let mut sum = 0;
        for topic in Class::OBJECTS.map(|object| world.topics.of(object)) {
            match kafka::admin::committed(&settings, &world.group, &topic).await {
                Ok(offsets) => sum += offsets.values().flatten().sum::<i64>(),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => {
                    tokio::time::sleep(POLL).await;
                    continue 'again;
                }
            }
        }
        return Ok(sum);
    }
}

/// How often sinks said that a commit had failed.
fn failures(world: &World) -> usize {
    world.sinks.iter().map(|sink| sink.log().matches(COMMIT_FAILED).count()).sum()
}
