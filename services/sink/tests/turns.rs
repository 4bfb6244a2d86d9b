//! When all of a sink's requests are in flight, tenants take turns by their weights.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{REGION, World};
use contract::OutcomeStatus;
use event::{ObjectKind, TenantId};
use sandbox::Change;

const TENANTS: [&str; 2] = ["acme", "globex"];
/// Events of each tenant.
const EVENTS: usize = 200;
/// The first so many requests are counted. Neither tenant can be through with its events within them.
const COUNTED: usize = 160;
/// Requests more or less than its share, a twentieth of what is counted: a turn more at either end, and requests that overtake each
/// other on their way.
const TOLERANCE: usize = 8;

fn write_tenant(world: &World, tenant: &str, weight: u32) {
    let folder = world.dir.path().join("tenants").join(tenant);
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    file("tenant.yaml", &format!("tenant: {tenant}\nname: {tenant}\nregion: {REGION}\nweight: {weight}\n"));
    let url = format!("{}/{tenant}", world.erp.url());
    let connection = format!(
        "connection: erp\nconnector: sandbox\nbase_url: \"{url}\"\nclass: keyed\negress: {{allow_private: true}}\n\
         limits: {{concurrency: 8}}\ntimeout: 5s\n"
    );
    file("connections/erp.yaml", &connection);
    file("routes/payments.yaml", "route: payments\non: [\"payment.*\"]\nto: erp\n");
    // Slower than the sink, so that both always have something that waits.
    let slow = Change { latency_ms: Some(20), log_requests: Some(true), ..Change::default() };
    world.sandbox.configure(tenant, slow).unwrap();
}

/// How many of the first requests were each tenant's, under these weights.
async fn shares(weights: [u32; 2]) -> [usize; 2] {
    let tenants = TENANTS.map(|tenant| tenant.parse::<TenantId>().unwrap());
    let world = World::start_for("keyed", "", &tenants).await;
    TENANTS.iter().zip(weights).for_each(|(tenant, weight)| write_tenant(&world, tenant, weight));
    // All of it is there before the sink is.
    for i in 0..EVENTS {
        for tenant in &tenants {
            let (_, key, value) = world.payment_of(tenant, &format!("PAY-{i}"), 1);
            world.publish(ObjectKind::Payment, &key, &value).await;
        }
    }
    let mut options = world.options();
    options.in_flight = 2;
    let sink = world.sink_with(options).await;
    let outcomes = world.settled(2 * EVENTS).await;
    sink.stop().await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed));
    let mut seen = Vec::new();
    for (index, tenant) in TENANTS.iter().enumerate() {
        seen.extend(world.requests(tenant).await.iter().map(|row| (row.at, index)));
    }
    seen.sort_unstable();
    assert_eq!(seen.len(), 2 * EVENTS, "each was sent once");
    let of = |tenant: usize| seen[..COUNTED].iter().filter(|(_, of)| *of == tenant).count();
    [of(0), of(1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn while_two_tenants_wait_each_has_its_share_by_weight() {
    for (weights, expected) in [([3, 1], 120), ([1, 3], 40), ([1, 1], 80)] {
        let [first, second] = shares(weights).await;
        assert!(
            first.abs_diff(expected) <= TOLERANCE,
            "{first} and {second} of the first {COUNTED} requests, weights {weights:?}"
        );
    }
}
