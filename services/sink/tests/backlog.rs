//! A target that is away holds its own records, and nobody else's, however many there are.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::{World, eventually};
use contract::OutcomeStatus;
use sandbox::{Change, Idempotency};

const WINDOW: usize = 8;
/// Documents whose target is away, each of four versions: two that are left in the log before a restart, one that is left
/// there behind it, and one that comes when the target is back and the others still wait.
const STUCK: usize = 80;
const VERSIONS: [i64; 4] = [2, 3, 4, 5];
const OTHERS: usize = 60;

/// `payment.updated` goes to the ERP, `payment.received` to a CRM: two targets that share every partition.
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
    route("payments", "payment.updated", "erp");
    route("receipts", "payment.received", "crm");
    let upsert = Change { idempotency: Some(Idempotency::Upsert), ..Change::default() };
    world.sandbox.configure("crm", upsert).unwrap();
}

fn totals(world: &World, account: &str) -> sandbox::Totals {
    world.sandbox.summary().accounts[account].totals.clone()
}

/// The same version of each document of the target that is away.
async fn pay_all(world: &World, version: i64) {
    for i in 0..STUCK {
        world.pay(&format!("STUCK-{i}"), version).await;
    }
}

/// What came to the target of each document, version by version.
async fn versions_seen(world: &World, account: &str) -> BTreeMap<String, Vec<i64>> {
    let mut seen: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in world.requests(account).await {
        if row.fate.is_effect() {
            seen.entry(row.external_id).or_default().push(row.source_version.unwrap() as i64);
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_target_holds_nobody_else_and_loses_nothing() {
    let world = World::start("keyed").await;
    add_crm(&world);
    world.change(Change { down: Some(true), log_requests: Some(true), ..Change::default() });
    let mut options = world.options();
    options.window = WINDOW;
    let sink = world.sink_with(options.clone()).await;
    pay_all(&world, VERSIONS[0]).await;
    pay_all(&world, VERSIONS[1]).await;
    for i in 0..OTHERS {
        world.pay(&format!("OTHER-{i}"), 1).await;
    }
    let outcomes = world.settled(OTHERS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.route == "receipts"));
    assert_eq!(totals(&world, "acme").effects, 0);
    // A restart meets everything again from the held prefix on, and comes to the same.
    sink.stop().await;
    let sink = world.sink_with(options).await;
    pay_all(&world, VERSIONS[2]).await;
    for i in 0..OTHERS {
        world.pay(&format!("LATER-{i}"), 1).await;
    }
    world.settled(2 * OTHERS).await;
    assert_eq!(totals(&world, "acme").effects, 0);

    // It is back, and so slow that the last versions come while older ones still wait.
    world.change(Change { down: Some(false), throttle_per_second: Some(1), ..Change::default() });
    eventually("the target is back", async || totals(&world, "acme").effects > 0).await;
    pay_all(&world, VERSIONS[3]).await;
    assert!((totals(&world, "acme").effects as usize) < 3 * STUCK, "nothing waited any more");
    world.change(Change { throttle_per_second: Some(0), ..Change::default() });
    let all = VERSIONS.len() * STUCK + 2 * OTHERS;
    let outcomes = world.settled(all).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed));
    assert!(sink.metric("reread_records_total").await > 0.0, "nothing was left in the log");
    let seen = versions_seen(&world, "acme").await;
    assert_eq!(seen.len(), STUCK);
    for (document, versions) in seen {
        assert_eq!(versions, VERSIONS, "{document}");
    }
    let erp = totals(&world, "acme");
    assert_eq!((erp.effects as usize, erp.duplicates, erp.out_of_order), (VERSIONS.len() * STUCK, 0, 0));
    let crm = totals(&world, "crm");
    assert_eq!((crm.effects as usize, crm.duplicates), (2 * OTHERS, 0));
    world.all_committed().await;
    sink.stop().await;
}
