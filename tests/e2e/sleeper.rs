//! A sink is stopped (SIGSTOP) for longer than its session, somebody else takes over, and then it wakes up.

use std::time::Duration;

use contract::OutcomeStatus;
use event::ObjectKind;

use crate::{
    harness::{
        World,
        stream::Stream,
        tenants::{Target, Tenant},
    },
    kills::{Kill, slow},
};

/// Longer than the session time-out of 6 s and the rebalance after it: the fault's own timing.
const ASLEEP: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_wakes_up_after_its_session_does_no_harm() {
    let tenants = Tenant::of_each_kind();
    let world = World::start(&tenants).await;
    for tenant in &tenants {
        world.erp.change(&tenant.id, slow(3)).await;
    }
    let gateway = world.gateway().await;
    let stream = Stream::start(&gateway.door, &tenants);
    let (sleeper, other) = (world.sink("sleeper"), world.sink("other"));
    sleeper.posts().await;
    other.posts().await;

    let taken_over = async || other.admin.metric("counterfoil_sink_takeover_seconds_count", "").await;
    let before = taken_over().await;
    sleeper.process.sigstop().unwrap();
    let fell_asleep = Kill::now();
    tokio::time::sleep(ASLEEP).await;
    assert!(taken_over().await > before, "the fault never happened: nobody has its partitions");
    sleeper.process.sigcont().unwrap();
    sleeper.posts().await;
    let accepted = stream.end().await;

    for tenant in &tenants {
        let outcomes = world.proven(tenant, &accepted[&tenant.id]).await;
        let hits = outcomes.values().filter(|o| fell_asleep.hit(o)).count();
        println!("{}: {} events, {hits} under way when it fell asleep", tenant.id, outcomes.len());
        for outcome in outcomes.values() {
            let fits = match outcome.status {
                OutcomeStatus::Committed => true,
                OutcomeStatus::InDoubt => tenant.target == Target::Neither && fell_asleep.hit(outcome),
                _ => false,
            };
            assert!(fits, "{outcome:?}, {fell_asleep:?}");
        }
        assert!(world.topics.dead_letters(Some(&tenant.id())).await.is_empty());
    }
    for object in [ObjectKind::Customer, ObjectKind::Payment] {
        world.topics.committed_to_the_end(&world.group(), object).await;
    }
    for sink in [&sleeper, &other] {
        assert_eq!(sink.admin.metric("counterfoil_sink_invariant_violations_count", "").await, 0.0);
    }
    sleeper.drains().await;
    other.drains().await;
    gateway.drains().await;
}
