//! A tenant's ERP is away: its lanes hold, the other tenant's go on, and nothing of it is a dead letter.

use sandbox::Change;
use serde_json::Value;

use crate::harness::{
    World,
    events::customer,
    tenants::{Target, Tenant},
    until,
};

fn versions(versions: std::ops::RangeInclusive<u64>) -> Vec<Value> {
    versions.flat_map(|version| (0..15).map(move |n| customer(&format!("C-{n}"), version))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_lanes_hold_and_the_other_tenants_go_on() {
    let (dead, alive) = (Tenant::new("dead", Target::Upsert), Tenant::new("alive", Target::Keyed));
    let world = World::start(&[dead.clone(), alive.clone()]).await;
    let down = |down| Change { down: Some(down), ..Change::default() };
    world.erp.change(&dead.id, down(true)).await;
    let gateway = world.gateway().await;
    let sink = world.sink("ledger");

    let mut of_dead = gateway.door.accepts(&dead, &versions(1..=2)).await;
    let hung_up = async || world.erp.requests(&dead.id).await.hung_up > 0;
    until("requests that the dead target cuts off", hung_up).await;
    let of_alive = gateway.door.accepts(&alive, &versions(1..=3)).await;
    world.all_committed(&alive, &of_alive).await;
    of_dead.extend(gateway.door.accepts(&dead, &versions(3..=3)).await);
    let outcomes = world.outcomes.by_event();
    assert!(of_dead.iter().all(|id| !outcomes.contains_key(id)), "{outcomes:?}");
    assert_eq!(world.erp.totals(&dead.id).await.effects, 0);

    world.erp.change(&dead.id, down(false)).await;
    world.all_committed(&dead, &of_dead).await;
    let totals = world.erp.totals(&dead.id).await;
    assert_eq!((totals.documents, totals.effects), (15, 45));
    sink.drains().await;
}
