//! Applying on a real Kafka: who comes at the same moment, and what is there already.
#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, thread};

use common::{
    Folder, desired, edit, folder, order,
    relay::{END_TXN, Relay},
};
use control::{ApplyError, Plan, apply, read_whole};
use kafka::{Producer, Settings, admin};
use testkit::kafka::{Detour, Kafka};
use topics::{Specs, names, plan};

/// The control topic of a region of this process and test alone, since the cluster may be one that lasts.
struct World {
    settings: Settings,
    region: String,
    topic: Arc<str>,
}

impl World {
    async fn new(test: &str) -> anyhow::Result<Self> {
        let broker = tokio::task::spawn_blocking(testkit::kafka::shared).await??;
        Self::on(Settings::new(broker.bootstrap()), test).await
    }

    async fn on(settings: Settings, test: &str) -> anyhow::Result<Self> {
        let region = format!("t{}-{test}", std::time::UNIX_EPOCH.elapsed()?.as_micros());
        let topic = names::control(&region);
        let all = Specs::embedded()?.with_replication(1).all_for(&region, &[])?;
        let wanted: Vec<_> = all.into_iter().filter(|t| t.name == topic).collect();
        admin::apply(&settings, &plan(&wanted, &[])).await?;
        Ok(Self { settings, region, topic: Arc::from(topic) })
    }

    fn plan(&self, folder: &Folder) -> Plan {
        Plan::new(&read_whole(&self.settings, &self.topic).unwrap(), &desired(folder))
    }

    fn apply(&self, folder: &Folder, plan: &Plan, operator: &str) -> Result<control::Applied, ApplyError> {
        apply(&self.settings, &self.region, &self.topic, &desired(folder), &order(plan, operator, 7))
    }
}

/// Away from the async workers.
async fn beside(world: World, body: fn(&World)) {
    tokio::task::spawn_blocking(move || body(&world)).await.unwrap();
}

#[tokio::test]
async fn a_plan_is_applied_once_and_then_nothing_is_left_to_do() {
    beside(World::new("once").await.unwrap(), |world| {
        let folder = folder();
        let plan = world.plan(&folder);
        let applied = world.apply(&folder, &plan, "ann").unwrap();
        assert_eq!((applied.written.len(), applied.state.tenants.current().len()), (2, 2));
        let again = world.apply(&folder, &plan, "ann").unwrap();
        assert!(again.written.is_empty(), "what is applied is no change, whatever plan was read");
        let mut edited = folder;
        edit(&mut edited, "acme", "tenant.yaml", "name: acme", "name: Acme");
        let stale = world.apply(&edited, &plan, "ann").unwrap_err();
        assert_eq!(stale.code(), "CFG-0130");
        assert!(world.plan(&edited).tenants[0].before.as_ref().unwrap().revision == 1);
    })
    .await;
}

/// Both have read the same state. Each changes both tenants, so a mixture would show.
#[tokio::test]
async fn of_two_at_the_same_moment_one_gets_through_whole() {
    beside(World::new("race").await.unwrap(), |world| {
        let base = folder();
        world.apply(&base, &world.plan(&base), "ann").unwrap();
        for round in 0..8 {
            let folders = ["bob", "eve"].map(|name| {
                let mut mine = base.clone();
                for tenant in ["acme", "globex"] {
                    let text = mine.get_mut(tenant).unwrap().get_mut("tenant.yaml").unwrap();
                    text.push_str(&format!("owner: {name} {round}\n"));
                }
                (name, mine)
            });
            let plans = folders.each_ref().map(|(_, folder)| world.plan(folder));
            let results: Vec<_> = thread::scope(|scope| {
                let runs: Vec<_> = folders
                    .iter()
                    .zip(&plans)
                    .map(|((name, folder), plan)| scope.spawn(move || world.apply(folder, plan, name)))
                    .collect();
                runs.into_iter().map(|run| run.join().unwrap()).collect()
            });
            let won: Vec<usize> = (0..2).filter(|i| results[*i].is_ok()).collect();
            assert_eq!(won.len(), 1, "{results:?}");
            let lost = results[1 - won[0]].as_ref().unwrap_err();
            assert!(["CFG-0130", "CFG-0132"].contains(&lost.code()), "{lost:?}");
            let (winner, folder) = &folders[won[0]];
            let state = read_whole(&world.settings, &world.topic).unwrap();
            for revision in state.tenants.current().values() {
                assert_eq!((&revision.operator.as_str(), revision.revision), (winner, round + 2));
                assert_eq!(revision.files, folder[revision.tenant.as_str()]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_this_build_cannot_read_is_not_overwritten() {
    let world = World::new("newer").await.unwrap();
    let producer = Producer::new(&world.settings).unwrap();
    producer.send(&world.topic, 0, b"tenant acme", br#"{"format":3}"#, &[]).await.unwrap();
    beside(world, |world| {
        let folder = folder();
        let plan = Plan::new(&control::State::default(), &desired(&folder));
        let error = world.apply(&folder, &plan, "ann").unwrap_err();
        assert!(
            matches!(&error, ApplyError::Unreadable { tenant, .. } if tenant.as_str() == "acme"),
            "{error:?}"
        );
        assert_eq!(error.code(), "CFG-0137");
    })
    .await;
}

/// The broker has ended the transaction as it was asked to, and nobody is told: once, or however often it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_end_of_a_transaction_is_found_out() {
    for (test, count) in [("lost-once", 1), ("lost-always", usize::MAX)] {
        let detour =
            Detour { listen: testkit::free_port().unwrap(), advertise: testkit::free_port().unwrap() };
        let options = testkit::kafka::Options { detour: Some(detour), ..testkit::kafka::Options::owned() };
        let broker = tokio::task::spawn_blocking(move || Kafka::start(&options)).await.unwrap().unwrap();
        let relay = Relay::start(detour.advertise, detour.listen, END_TXN, count).await.unwrap();
        let world = World::on(Settings::new(format!("127.0.0.1:{}", detour.advertise)), test).await.unwrap();
        beside(world, |world| {
            let folder = folder();
            let plan = world.plan(&folder);
            let applied = world.apply(&folder, &plan, "ann").unwrap();
            assert_eq!((applied.written.len(), applied.state.tenants.current().len()), (2, 2));
            let again = world.apply(&folder, &world.plan(&folder), "ann").unwrap();
            assert!(again.written.is_empty(), "all of it is there, once");
            assert!(again.state.tenants.current().values().all(|revision| revision.revision == 1));
        })
        .await;
        assert!(relay.lost() >= count.min(2), "{test}: {} answers were lost", relay.lost());
        drop(broker);
    }
}
