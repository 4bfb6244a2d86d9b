//! Events that share a request: each has its own outcome, whatever becomes of the request.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{RunningSink, World};
use contract::{Outcome, OutcomeStatus};
use event::ObjectKind;
use sandbox::{Change, Fate, RequestPage};

const EVENTS: usize = 60;

/// A world whose connection lets up to 20 events share a request.
async fn world(class: &str) -> World {
    let world = World::start(class).await;
    let url = format!("{}/acme", world.erp.url());
    let connection = format!(
        "connection: erp\nconnector: sandbox\nbase_url: \"{url}\"\nclass: {class}\negress: {{allow_private: true}}\n\
         limits: {{concurrency: 2, bulk: 20}}\ntimeout: 1s\n"
    );
    std::fs::write(world.dir.path().join("tenants/acme/connections/erp.yaml"), connection).unwrap();
    world.change(Change { log_requests: Some(true), ..Change::default() });
    world
}

/// Publishes them before the sink is there: it finds them all at once.
async fn pay(world: &World) -> RunningSink {
    for i in 0..EVENTS {
        world.pay(&format!("P-{i}"), 1).await;
    }
    world.sink().await
}

fn committed(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|o| o.status == OutcomeStatus::Committed).count()
}

/// Requests, or items of them, that the sandbox met with so.
async fn rows(world: &World, fate: Fate) -> usize {
    let url = format!("{}/admin/accounts/acme/requests?limit=1000", world.erp.url());
    let page: RequestPage = reqwest::get(url).await.unwrap().json().await.unwrap();
    page.requests.iter().filter(|row| row.fate == fate).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_share_requests_and_each_becomes_one_document() {
    for class in ["keyed", "upsert", "neither"] {
        let world = world(class).await;
        // Slow enough that others gather while one is under way.
        world.change(Change { latency_ms: Some(20), ..Change::default() });
        let sink = pay(&world).await;
        let outcomes = world.settled(EVENTS).await;
        assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed && o.attempts == 1), "{class}");
        assert!(outcomes.iter().all(|o| o.target_document_id.is_some()), "{class}");
        let shared = sink.metric("shared_requests_total").await;
        sink.stop().await;
        let totals = world.totals();
        assert_eq!((totals.documents, totals.effects, totals.duplicates), (60, 60, 0), "{class}");
        assert!(
            shared >= 3.0 && totals.requests < 30,
            "{class}: {} requests, {shared} shared",
            totals.requests
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_takes_nobody_with_it() {
    let world = world("keyed").await;
    for i in 0..EVENTS {
        // The sandbox refuses a negative source version.
        let version = if i % 10 == 3 { -1 } else { 1 };
        let (_, key, value) = world.payment(&format!("P-{i}"), version);
        world.publish(ObjectKind::Payment, &key, &value).await;
    }
    let sink = world.sink().await;
    let outcomes = world.settled(EVENTS).await;
    assert!(sink.metric("shared_requests_total").await >= 1.0);
    sink.stop().await;
    let refused: BTreeSet<&str> =
        outcomes.iter().filter(|o| o.status == OutcomeStatus::Rejected).map(|o| o.entity.as_str()).collect();
    assert_eq!(refused, BTreeSet::from(["P-3", "P-13", "P-23", "P-33", "P-43", "P-53"]));
    assert_eq!(committed(&outcomes), EVENTS - 6);
    let letters = world.dead_letters().await;
    assert_eq!(letters.len(), 6, "one each");
    assert_eq!(common::header(&letters[0], "cf-code").as_deref(), Some("SNK-0001"));
    assert_eq!((world.totals().effects, world.totals().duplicates), (54, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_resolved_for_each_by_its_class() {
    for class in ["keyed", "upsert", "neither"] {
        let world = world(class).await;
        world.change(Change { drop_answer_next: Some(2), ..Change::default() });
        let sink = pay(&world).await;
        let outcomes = world.settled(EVENTS).await;
        sink.stop().await;
        let totals = world.totals();
        assert_eq!((totals.documents, totals.duplicates), (60, 0), "{class}");
        let unanswered = rows(&world, Fate::AppliedUnanswered).await;
        assert!(unanswered > 2, "{class}: {unanswered} were in requests whose answer was lost");
        match class {
            "keyed" => {
                assert_eq!(rows(&world, Fate::Replayed).await, unanswered, "each sent again, with its key")
            }
            "upsert" => assert_eq!(rows(&world, Fate::Found).await, unanswered, "each looked at"),
            _ => assert_eq!(committed(&outcomes), EVENTS - unanswered, "each in doubt"),
        }
        assert!(class == "neither" || committed(&outcomes) == EVENTS, "{class}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_as_a_whole_is_made_one_by_one() {
    for class in ["keyed", "neither"] {
        let world = world(class).await;
        world.change(Change { bulk_refuse_next: Some(2), ..Change::default() });
        let sink = pay(&world).await;
        let outcomes = world.settled(EVENTS).await;
        sink.stop().await;
        assert_eq!(committed(&outcomes), EVENTS, "{class}");
        let again = outcomes.iter().filter(|o| o.attempts == 2).count();
        assert!(again >= 4, "{class}: {again} were sent again");
        assert_eq!((world.totals().effects, world.totals().duplicates), (60, 0), "{class}");
        assert!(world.dead_letters().await.is_empty(), "{class}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_short_is_nobodys() {
    let world = world("upsert").await;
    world.change(Change { bulk_short_next: Some(1), ..Change::default() });
    let sink = pay(&world).await;
    let outcomes = world.settled(EVENTS).await;
    sink.stop().await;
    assert_eq!(committed(&outcomes), EVENTS);
    let looked = rows(&world, Fate::Found).await;
    assert!(looked >= 2, "{looked} were looked at");
    assert_eq!((world.totals().effects, world.totals().duplicates), (60, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_a_document_stay_in_order_and_never_share_a_request() {
    let world = world("upsert").await;
    world.change(Change {
        drop_answer_rate: Some(0.1),
        fail_rate: Some(0.1),
        seed: Some(7),
        ..Change::default()
    });
    for version in 1..=6 {
        for i in 0..10 {
            world.pay(&format!("P-{i}"), version).await;
        }
    }
    let sink = world.sink().await;
    let outcomes = world.settled(60).await;
    assert!(sink.metric("shared_requests_total").await >= 6.0);
    sink.stop().await;
    assert_eq!(committed(&outcomes), 60);
    let totals = world.totals();
    assert_eq!((totals.documents, totals.effects), (10, 60));
    assert_eq!((totals.out_of_order, totals.duplicates), (0, 0));
}
