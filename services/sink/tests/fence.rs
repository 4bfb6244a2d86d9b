//! OWN-1: what a former owner appends to a changelog when the next one has read it, counts for nobody.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::sync::{Arc, mpsc};

use common::{REGION, World, eventually, tenant};
use delivery::{Outcome, ResolvedBy, Status};
use event::{EntityId, ObjectKind, PostingKey, RouteId};
use kafka::{Journal, JournalRecord, Journaled};
use ledger::{Entry, Stored};
use topics::{names, partitioner::Placement};

/// Says in the changelog that an event was applied, under this term.
fn append(world: &World, id: &str, term: u64) {
    let (envelope, key, _) = world.payment(id, 1);
    let outcome = Outcome {
        status: Status::Committed,
        document: Some(Arc::from("PAY-OF-A-ZOMBIE")),
        attempts: 1,
        first_attempt_at: Some(1_764_000_000_000),
        settled_at: 1_764_000_000_050,
        reason: None,
        resolved_by: ResolvedBy::Answer,
        source_version: 1,
        request_hash: 1,
    };
    let route = RouteId::derive(&tenant(), "payments");
    let stored = Stored {
        key: PostingKey { event: envelope.event_id, route, generation: 0 },
        entity: EntityId::of_record_key(&key),
        entry: Entry::Outcome(outcome),
        term,
    };
    let (report, acked) = mpsc::channel();
    let journal = Journal::new(&world.broker.settings(), move |journaled| {
        report.send(journaled).ok();
    });
    let record = JournalRecord {
        topic: &names::ledger(&names::object_topic(REGION, ObjectKind::Payment)),
        partition: Some(Placement::new(&tenant(), 4, 12).partition(&key)),
        key: &stored.changelog_key(),
        value: &stored.changelog_value().unwrap(),
        headers: &[],
    };
    let journal = journal.unwrap();
    journal.send(&record, 1).unwrap();
    assert!(matches!(acked.recv().unwrap(), Journaled::Acked(..)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_outcome_of_a_former_owner_counts_for_nobody() {
    let world = World::start("neither").await;
    let sink = world.sink().await;
    world.pay("FIRST", 1).await;
    world.settled(1).await;
    sink.stop().await;

    append(&world, "FENCED", 77);
    // What was written before there were terms counts: the same record without one shows that it would be believed.
    append(&world, "BELIEVED", 0);
    std::fs::remove_dir_all(world.ledger_dir()).unwrap();
    let sink = world.sink().await;
    eventually("the ledger is restored", async || sink.is_ready().await).await;
    for id in ["FIRST", "FENCED", "BELIEVED"] {
        world.pay(id, 1).await;
    }
    let outcomes = world.settled(3).await;
    let document = |id: &str| {
        outcomes.iter().find(|o| o.entity == id).and_then(|o| o.target_document_id.clone()).unwrap()
    };
    assert_eq!(document("BELIEVED"), "PAY-OF-A-ZOMBIE");
    assert_ne!(document("FENCED"), "PAY-OF-A-ZOMBIE");
    assert_eq!((world.totals().effects, world.totals().duplicates), (2, 0), "FIRST and FENCED");
    eventually("it is counted", async || sink.metric("fenced_outcomes_total").await >= 1.0).await;
    sink.stop().await;
}
