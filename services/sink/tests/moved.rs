//! A route is moved to another connection while events of it wait: what certainly was not sent goes there at once, what may have been
//! sent stays where it is, and nothing comes twice.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{
    REGION, World,
    applied::{Applied, live},
    eventually,
};
use contract::{Command, OutcomeStatus, Subject, Verb};
use event::ObjectKind;
use sandbox::Change;
use sink::Options;
use tenancy::revision::Files;

/// Tenant acme with an old and a new ERP, accounts of the sandbox, and a route to one of them. `old` is where the old one is.
fn files(world: &World, old: &str, to: &str) -> Files {
    let connection = |name: &str, url: &str| {
        let text = format!(
            "connection: {name}\nconnector: sandbox\nbase_url: \"{url}\"\nclass: keyed\n\
             egress: {{allow_private: true}}\nlimits: {{concurrency: 8}}\ntimeout: 1s\n"
        );
        (format!("connections/{name}.yaml"), text)
    };
    Files::from([
        ("tenant.yaml".to_owned(), format!("tenant: acme\nname: Acme\nregion: {REGION}\n")),
        connection("old", old),
        connection("new", &format!("{}/new", world.erp.url())),
        ("routes/payments.yaml".to_owned(), format!("route: payments\non: [\"payment.*\"]\nto: {to}\n")),
    ])
}

const NOWHERE: &str = "http://127.0.0.1:1";

fn effects(world: &World, account: &str) -> u64 {
    world.sandbox.summary().accounts.get(account).map_or(0, |account| account.totals.effects)
}

async fn say(world: &World, verb: Verb) {
    let subject = Subject { tenant: "acme".into(), connection: None, route: Some("payments".into()) };
    let command = Command { command: verb, subject, operator: "ann".into(), reason: "a test".into(), at: 1 };
    let topic = topics::names::control(REGION);
    world.producer.send(&topic, 0, &command.key(), &command.value().unwrap(), &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_turned_away_goes_where_the_route_leads_now() {
    const DOCUMENTS: usize = 5;
    let world = World::start("keyed").await;
    let sink = world.sink_with(live(&world)).await;
    let mut applied = Applied::default();
    applied.apply(&world, "acme", files(&world, NOWHERE, "old")).await;
    for version in 1..=2 {
        for document in 0..DOCUMENTS {
            world.pay(&format!("PAY-{document}"), version).await;
        }
    }
    eventually("it is tried", async || sink.metric("attempts_total").await >= 8.0).await;
    applied.apply(&world, "acme", files(&world, NOWHERE, "new")).await;
    let outcomes = world.settled(2 * DOCUMENTS).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed), "{outcomes:?}");
    world.all_committed().await;
    assert_eq!(sink.metric("strayed_count").await, 0.0);
    sink.stop().await;
    let totals = world.totals();
    assert_eq!((totals.effects, totals.duplicates, totals.out_of_order), (2 * DOCUMENTS as u64, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_sent_stays_and_what_a_pause_held_goes() {
    const HELD: usize = 20;
    let world = World::start("keyed").await;
    let down = |down| world.change(Change { down: Some(down), ..Change::default() });
    down(true);
    let sink = world.sink_with(live(&world)).await;
    let mut applied = Applied::default();
    let old = format!("{}/acme", world.erp.url());
    applied.apply(&world, "acme", files(&world, &old, "old")).await;
    // Its connection is closed without an answer: nobody knows whether it was applied.
    world.pay("DOUBT", 1).await;
    eventually("it is tried", async || sink.metric("attempts_total").await >= 2.0).await;
    world.pay("DOUBT", 2).await;
    let taken = "load_count{what=\"postings\"}";
    eventually("the second one stands behind it", async || sink.metric(taken).await == 2.0).await;
    say(&world, Verb::Pause).await;
    eventually("it is paused", async || sink.metric("paused_count").await == 1.0).await;
    for document in 0..HELD {
        world.pay(&format!("HELD-{document}"), 1).await;
    }
    applied.apply(&world, "acme", files(&world, &old, "new")).await;
    eventually("two stay behind", async || sink.metric("strayed_count").await == 2.0).await;
    say(&world, Verb::Resume).await;
    world.settled(HELD).await;
    assert_eq!((effects(&world, "new"), effects(&world, "acme")), (HELD as u64, 0));
    down(false);
    let outcomes = world.settled(HELD + 2).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed));
    eventually("nothing stays behind", async || sink.metric("strayed_count").await == 0.0).await;
    sink.stop().await;
    let totals = world.totals();
    assert_eq!((totals.effects as usize, totals.duplicates, totals.out_of_order), (HELD + 2, 0, 0));
    // The second version was never sent and stood behind the first one: once that is over, it may go.
    assert!(effects(&world, "acme") >= 1, "the first version stays where it may have been sent to");
}

/// More than fits into memory: what was left in the log is read again for the connection that it came for, and goes to the other.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_in_the_log_goes_too() {
    const STUCK: usize = 300;
    let world = World::start("keyed").await;
    let sink = world.sink_with(Options { window: 8, ..live(&world) }).await;
    sink.until_ready().await;
    let mut applied = Applied::default();
    let mut both = files(&world, NOWHERE, "old");
    both.insert("routes/customers.yaml".into(), "route: customers\non: [\"customer.*\"]\nto: new\n".into());
    applied.apply(&world, "acme", both).await;
    for document in 0..STUCK {
        let (_, key, value) = world.payment(&format!("STUCK-{document}"), 1);
        world.publish(ObjectKind::Payment, &key, &value).await;
    }
    eventually("some of it is left in the log", async || {
        sink.metric("load_count{what=\"backlogs\"}").await > 0.0
    })
    .await;
    applied.apply(&world, "acme", files(&world, NOWHERE, "new")).await;
    let outcomes = world.settled(STUCK).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed));
    assert!(sink.metric("reread_records_total").await > 0.0, "nothing was left in the log");
    sink.stop().await;
    let totals = world.totals();
    assert_eq!((effects(&world, "new") as usize, totals.duplicates, totals.out_of_order), (STUCK, 0, 0));
}
