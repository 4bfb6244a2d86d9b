//! SIGTERM: gateway and sink finish what they began, and who comes after them has nothing to repeat.

use crate::{
    harness::{World, events::customer, services, stream::Stream, tenants::Tenant},
    kills::slow,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_is_finished_and_nothing_is_sent_again() {
    let tenants = Tenant::of_each_kind();
    let world = World::start(&tenants).await;
    for tenant in &tenants {
        world.erp.change(&tenant.id, slow(2)).await;
    }
    let listen = services::address();
    let gateway = world.gateway_at(&listen).await;
    let stream = Stream::start(&gateway.door, &tenants);
    let sink = world.sink("ledger");
    sink.posts().await;

    gateway.drains().await;
    let gateway = world.gateway_at(&listen).await;
    sink.drains().await;
    let sink = world.sink("ledger");
    sink.posts().await;
    let mut accepted = stream.end().await;
    // The target without protection among them: not one request was cut off.
    for tenant in &tenants {
        world.all_committed(tenant, &accepted[&tenant.id]).await;
    }

    let mut before = Vec::new();
    for tenant in &tenants {
        before.push(world.erp.requests(&tenant.id).await.writes);
    }
    sink.drains().await;
    let sink = world.sink("ledger");
    for (tenant, before) in tenants.iter().zip(before) {
        // The canary goes the way of every event, behind whatever a sink might repeat.
        let canary = gateway.door.accepts(tenant, &[customer("CANARY", 1)]).await;
        let accepted = accepted.get_mut(&tenant.id).unwrap();
        accepted.extend(canary);
        world.all_committed(tenant, accepted).await;
        // Writes: at `upsert` the new sink looks first, since the canary lies in the range that the old one might have sent.
        let writes = world.erp.requests(&tenant.id).await.writes;
        assert_eq!(writes, before + 1, "{tenant:?}");
    }
    sink.drains().await;
    gateway.drains().await;
}
