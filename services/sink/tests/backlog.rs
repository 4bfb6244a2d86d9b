//! A target that is away holds its own records, and nobody else's, however many there are.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{REGION, World, eventually};
use contract::OutcomeStatus;
use sandbox::{Change, Idempotency};

const WINDOW: usize = 8;
const STUCK: usize = 300;
const OTHERS: usize = 60;

/// `payment.received` goes to the ERP, `payment.updated` to a CRM: two targets that share every partition.
fn add_crm(world: &World) {
    let tenant = world.dir.path().join("tenants/acme");
    let url = format!("{}/crm", world.erp.url());
    let connection = format!(
        "connection: crm\nconnector: sandbox\nbase_url: \"{url}\"\nclass: upsert\negress: {{allow_private: true}}\nlimits: {{concurrency: 8}}\ntimeout: 1s\n"
    );
    std::fs::write(tenant.join("connections/crm.yaml"), connection).unwrap();
    let route = |name: &str, on: &str, to: &str| {
        let text = format!("route: {name}\non: [{on}]\nto: {to}\n");
        std::fs::write(tenant.join(format!("routes/{name}.yaml")), text).unwrap();
    };
    route("payments", "payment.received", "erp");
    route("updates", "payment.updated", "crm");
    let upsert = Change { idempotency: Some(Idempotency::Upsert), ..Change::default() };
    world.sandbox.configure("crm", upsert).unwrap();
}

fn totals(world: &World, account: &str) -> sandbox::Totals {
    world.sandbox.summary().accounts[account].totals.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_target_holds_nobody_else_and_loses_nothing() {
    let world = World::start("keyed").await;
    add_crm(&world);
    world.change(Change { down: Some(true), ..Change::default() });
    let mut options = world.options();
    options.window = WINDOW;
    let sink = world.sink_with(options.clone()).await;
    for i in 0..STUCK {
        world.pay(&format!("STUCK-{i}"), 1).await;
    }
    for i in 0..OTHERS {
        world.pay(&format!("OTHER-{i}"), 2).await;
    }
    let outcomes = world.settled(OTHERS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.route == "updates"));
    assert_eq!(totals(&world, "acme").effects, 0);
    // A restart meets everything again from the held prefix on, and comes to the same.
    sink.stop().await;
    let sink = world.sink_with(options).await;
    for i in 0..OTHERS {
        world.pay(&format!("LATER-{i}"), 2).await;
    }
    world.settled(2 * OTHERS).await;
    assert_eq!(totals(&world, "acme").effects, 0);

    world.change(Change { down: Some(false), ..Change::default() });
    let outcomes = world.settled(STUCK + 2 * OTHERS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed));
    let erp = totals(&world, "acme");
    assert_eq!((erp.effects as usize, erp.duplicates, erp.out_of_order), (STUCK, 0, 0));
    let crm = totals(&world, "crm");
    assert_eq!((crm.effects as usize, crm.duplicates, crm.out_of_order), (2 * OTHERS, 0, 0));
    let topic = format!("cf.{REGION}.finance.payment.v1");
    eventually("every offset is committed", async || {
        let settings = world.broker.settings();
        let ends = kafka::admin::end_offsets(&settings, &topic).await.unwrap();
        let committed = kafka::admin::committed(&settings, "counterfoil-sink", &topic).await.unwrap();
        ends.iter().all(|(p, end)| *end == 0 || committed.get(p).copied().flatten() == Some(*end))
    })
    .await;
    sink.stop().await;
}
