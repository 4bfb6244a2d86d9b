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

    let before = world.erp.accounts().await;
    sink.drains().await;
    let sink = world.sink("ledger");
    for tenant in &tenants {
        // The canary goes the way of every event, behind whatever a sink might repeat.
        let canary = gateway.door.accepts(tenant, &[customer("CANARY", 1)]).await;
        let accepted = accepted.get_mut(&tenant.id).unwrap();
        accepted.extend(canary);
        world.all_committed(tenant, accepted).await;
        let requests = world.erp.totals(&tenant.id).await.requests;
        assert_eq!(requests, before[&tenant.id].totals.requests + 1, "{tenant:?}");
    }
    sink.drains().await;
    gateway.drains().await;
}
