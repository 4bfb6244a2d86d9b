//! Two sinks share the work; one is stopped, the other one killed.

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_stopped_and_the_other_one_killed_and_nothing_is_lost_or_double() {
    let tenants = Tenant::of_each_kind();
    let world = World::start(&tenants).await;
    for tenant in &tenants {
        world.erp.change(&tenant.id, slow(1)).await;
    }
    let gateway = world.gateway().await;
    let stream = Stream::start(&gateway.door, &tenants);
    let (first, second) = (world.sink("first"), world.sink("second"));
    first.posts().await;
    second.posts().await;

    first.drains().await;
    let first = world.sink("first");
    first.posts().await;
    let kill = Kill::of(second).await;
    let second = world.sink("second");
    second.posts().await;
    let accepted = stream.end().await;

    for tenant in &tenants {
        for outcome in world.proven(tenant, &accepted[&tenant.id]).await.values() {
            let fits = match outcome.status {
                OutcomeStatus::Committed => true,
                // Of what the killed one had under way; a drain leaves nothing behind.
                OutcomeStatus::InDoubt => tenant.target == Target::Neither && kill.hit(outcome),
                _ => false,
            };
            assert!(fits, "{outcome:?}, {kill:?}");
        }
        assert!(world.topics.dead_letters(Some(&tenant.id())).await.is_empty());
    }
    for object in [ObjectKind::Customer, ObjectKind::Payment] {
        world.topics.committed_to_the_end(&world.group(), object).await;
    }
    first.drains().await;
    second.drains().await;
    gateway.drains().await;
}
