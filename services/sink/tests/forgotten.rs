//! F08: a target forgets its idempotency keys while it is away. What was under way is looked up, not sent again.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use common::{World, eventually};
use contract::{Outcome, OutcomeStatus};
use sandbox::{Change, Totals};
use sink::Options;

const EVENTS: usize = 5;
/// For so long the target remembers a key.
const WINDOW: Duration = Duration::from_secs(4);

/// The sandbox's definition, with another promise of how long keys last.
fn connectors(world: &World, promised: &str) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors/sandbox.yaml");
    let text = std::fs::read_to_string(shipped).unwrap();
    let changed = text.replace("window: 24h", &format!("window: {promised}"));
    assert!(promised == "24h" || changed != text, "the definition has another window");
    let folder = world.dir.path().join("connectors");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("sandbox.yaml"), changed).unwrap();
    folder
}

/// Every answer is lost, then the target is away for longer than it remembers keys.
async fn outage(promised: &str) -> (Vec<Outcome>, Totals) {
    let world = World::start("keyed").await;
    let window = Some(WINDOW.as_millis() as u64);
    world.change(Change { key_window_ms: window, drop_answer_rate: Some(1.0), ..Change::default() });
    let options = Options { connectors: Some(connectors(&world, promised)), ..world.options() };
    let sink = world.sink_with(options).await;
    for i in 0..EVENTS {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    eventually("all are applied", async || world.totals().documents as usize == EVENTS).await;
    world.change(Change { down: Some(true), ..Change::default() });
    tokio::time::sleep(WINDOW + Duration::from_millis(500)).await;
    world.change(Change { down: Some(false), drop_answer_rate: Some(0.0), ..Change::default() });
    let outcomes = world.settled(EVENTS).await;
    sink.stop().await;
    (outcomes, world.totals())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_be_forgotten_is_not_trusted() {
    let (outcomes, totals) = outage("4s").await;
    assert_eq!((totals.documents as usize, totals.duplicates), (EVENTS, 0));
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed), "{outcomes:?}");
    assert!(outcomes.iter().all(|o| o.target_document_id.is_some()), "they were looked up: {outcomes:?}");
}

/// That the target really forgets: a definition that promises more than it keeps gives duplicates.
#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_the_target_does_not_keep_doubles() {
    let (_, totals) = outage("24h").await;
    assert!(totals.duplicates > 0, "{totals:?}");
}
