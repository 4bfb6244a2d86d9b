//! The sink end to end, in one process: what comes in on a topic becomes exactly one document.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{World, eventually, header};
use contract::OutcomeStatus;
use event::ObjectKind;
use kafka::ReadRecord;
use sandbox::Change;
use sink::Options;

#[tokio::test(flavor = "multi_thread")]
async fn each_event_becomes_one_document() {
    for class in ["keyed", "upsert", "neither"] {
        let world = World::start(class).await;
        let sink = world.sink().await;
        for i in 0..50 {
            world.pay(&format!("PAY-{i}"), 1).await;
        }
        let outcomes = world.settled(50).await;
        assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed), "{class}");
        assert!(outcomes.iter().all(|o| o.target_document_id.is_some()), "{class}");
        // A resend is the same event: the ledger knows it.
        for i in 0..50 {
            world.pay(&format!("PAY-{i}"), 1).await;
        }
        sink.stop().await;
        let totals = world.totals();
        assert_eq!((totals.documents, totals.effects, totals.duplicates), (50, 50, 0), "{class}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_per_document_and_superseded_versions() {
    let world = World::start("upsert").await;
    let sink = world.sink().await;
    for version in [1, 2, 3] {
        world.pay("PAY-1", version).await;
    }
    world.settled(3).await;
    world.pay("PAY-2", 5).await;
    world.settled(4).await;
    world.pay("PAY-2", 4).await;
    let outcomes = world.settled(5).await;
    sink.stop().await;
    let late = outcomes.iter().find(|o| o.entity == "PAY-2" && o.source_version == 4).unwrap();
    assert_eq!(late.status, OutcomeStatus::Superseded);
    let totals = world.totals();
    assert_eq!((totals.documents, totals.effects, totals.out_of_order), (2, 4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_resolved_by_class() {
    for (class, status) in [
        ("keyed", OutcomeStatus::Committed),
        ("upsert", OutcomeStatus::Committed),
        ("neither", OutcomeStatus::InDoubt),
    ] {
        let world = World::start(class).await;
        world.change(Change { drop_answer_next: Some(5), ..Change::default() });
        let sink = world.sink().await;
        for i in 0..20 {
            world.pay(&format!("PAY-{i}"), 1).await;
        }
        let outcomes = world.settled(20).await;
        sink.stop().await;
        let totals = world.totals();
        assert_eq!((totals.documents, totals.duplicates), (20, 0), "{class}");
        let hit: Vec<_> =
            outcomes.iter().filter(|o| o.attempts > 1 || o.status == OutcomeStatus::InDoubt).collect();
        // Class U is resolved by looking, without another attempt.
        assert!(class == "upsert" || hit.len() == 5, "{class}: {hit:?}");
        assert!(hit.iter().all(|o| o.status == status), "{class}");
        assert_eq!(
            outcomes.iter().filter(|o| o.status == OutcomeStatus::Committed).count(),
            if class == "neither" { 15 } else { 20 }
        );
    }
}

/// Whoever takes duplicates over doubts is told of each event that may be one.
#[tokio::test(flavor = "multi_thread")]
async fn duplicates_of_a_route_that_resends_are_flagged() {
    let world = World::start("neither").await;
    let route = "route: payments\non: [\"payment.*\"]\nto: erp\npolicy: {on_unknown: resend}\n";
    std::fs::write(world.dir.path().join("tenants/acme/routes/payments.yaml"), route).unwrap();
    world.change(Change { drop_answer_next: Some(5), ..Change::default() });
    let sink = world.sink().await;
    for i in 0..20 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    let outcomes = world.settled(20).await;
    sink.stop().await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed));
    let flagged = outcomes.iter().filter(|o| o.error_code.as_deref() == Some("SNK-0044")).count();
    assert_eq!((flagged, world.totals().duplicates), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_document_is_a_dead_letter_with_its_original_bytes() {
    let world = World::start("keyed").await;
    let sink = world.sink().await;
    // The sandbox wants a number as source version; a negative one is refused with 400.
    let (_, key, value) = world.payment("PAY-BAD", -1);
    let headers: [(&str, &[u8]); 3] = [("trace", b"\xff\x00"), ("CF-Code", b"none of ours"), ("trace", b"2")];
    world.publish_with(ObjectKind::Payment, &key, Some(&value), &headers).await;
    world.pay("PAY-GOOD", 1).await;
    let outcomes = world.settled(2).await;
    sink.stop().await;
    let bad = outcomes.iter().find(|o| o.entity == "PAY-BAD").unwrap();
    assert_eq!(bad.status, OutcomeStatus::Rejected);
    assert_eq!(bad.error_code.as_deref(), Some("SNK-0001"));
    let letters = world.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_deref(), Some(&value[..]), "original bytes");
    assert_eq!(letters[0].key.as_deref(), Some(&key[..]));
    assert_eq!(header(&letters[0], "cf-code").as_deref(), Some("SNK-0001"));
    assert_eq!(header(&letters[0], "cf-route").as_deref(), Some("payments"));
    let originals = &letters[0].headers[letters[0].headers.len() - 3..];
    let originals: Vec<(&str, &[u8])> = originals.iter().map(|(n, v)| (n.as_str(), &v[..])).collect();
    let told_apart: (&str, &[u8]) = ("cf-original-CF-Code", b"none of ours");
    assert_eq!(originals, [headers[0], told_apart, headers[2]]);
}

/// Code, key and value of a record.
type Unreadable<'a> = (&'static str, &'a [u8], Option<&'a [u8]>);

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_records_are_dead_letters_and_the_partition_goes_on() {
    let world = World::start("keyed").await;
    let (_, key, value) = world.payment("PAY-1", 1);
    let (_, other_key, _) = world.payment("PAY-2", 1);
    let (_, foreign_key, foreign) = world.payment_of(&"nobody".parse().unwrap(), "PAY-1", 1);
    let mut unknown_schema = value.clone();
    unknown_schema[1..5].copy_from_slice(&9_999_u32.to_be_bytes());
    let poison: [Unreadable<'_>; 6] = [
        ("CON-0201", &key, Some(b"not avro at all")),
        ("CON-0202", &key, Some(&value[..value.len() - 3])),
        ("SNK-0011", &other_key, Some(&value)),
        ("REG-0001", &key, Some(&unknown_schema)),
        ("SNK-0012", &key, None),
        ("SNK-0013", &foreign_key, Some(&foreign)),
    ];
    for (_, key, value) in &poison {
        world
            .publish_with(ObjectKind::Payment, key, *value, &[("by", b"somebody"), ("cf-code", b"none")])
            .await;
    }
    world.pay("PAY-1", 1).await;
    let sink = world.sink().await;
    let outcomes = world.settled(1).await;
    assert_eq!(outcomes[0].status, OutcomeStatus::Committed);
    eventually("all dead letters", async || {
        world.dead_letters().await.len() + world.unattributed().await.len() >= poison.len()
    })
    .await;
    sink.stop().await;
    let (own, unattributed) = (world.dead_letters().await, world.unattributed().await);
    assert_eq!((own.len(), unattributed.len()), (5, 1));
    for (code, key, value) in &poison {
        let with_code = |l: &&ReadRecord| header(l, "cf-code").as_deref() == Some(code);
        let mut found = own.iter().chain(&unattributed).filter(with_code);
        let letter = found.next().unwrap_or_else(|| panic!("{code}: {own:?} {unattributed:?}"));
        assert!(found.next().is_none(), "{code} twice");
        assert_eq!(letter.value.as_deref().unwrap_or_default(), value.unwrap_or_default(), "{code}");
        assert_eq!(header(letter, "cf-original-key").unwrap().as_bytes(), *key, "{code}");
        assert_eq!(header(letter, "cf-tombstone").is_some(), value.is_none(), "{code}");
        assert_eq!(header(letter, "cf-tenant").is_some(), *code != "SNK-0013", "{code}");
        assert!(header(letter, "cf-origin-offset").is_some());
        assert_eq!(header(letter, "by").as_deref(), Some("somebody"), "{code}");
        assert_eq!(letter.headers.iter().filter(|(name, _)| name == "cf-code").count(), 1, "{code}");
    }
    assert_eq!(header(&unattributed[0], "cf-code").as_deref(), Some("SNK-0013"));
    assert_eq!(world.totals().documents, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_no_address_can_be_made_of_is_a_dead_letter() {
    let world = World::start("keyed").await;
    // A path so long that a short id still fits into an address, and a long one does not.
    let long = format!("path: /{}", "a".repeat(65_400));
    let sandbox = include_str!("../../../connectors/sandbox.yaml").replace("path: /api/v1/payments", &long);
    let connectors = world.dir.path().join("connectors");
    std::fs::create_dir(&connectors).unwrap();
    std::fs::write(connectors.join("sandbox.yaml"), sandbox).unwrap();
    let (_, key, value) = world.payment(&"P".repeat(200), 1);
    world.publish(ObjectKind::Payment, &key, &value).await;
    let sink = world.sink_with(Options { connectors: Some(connectors), ..world.options() }).await;
    eventually("the dead letter", async || !world.dead_letters().await.is_empty()).await;
    sink.stop().await;
    let letters = world.dead_letters().await;
    assert_eq!((letters.len(), header(&letters[0], "cf-code").as_deref()), (1, Some("SNK-0014")));
    assert_eq!(letters[0].value.as_deref(), Some(&value[..]), "original bytes");
    assert_eq!(world.totals().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_down_or_throttles_holds_its_lanes() {
    let world = World::start("upsert").await;
    world.change(Change { down: Some(true), ..Change::default() });
    let sink = world.sink().await;
    for i in 0..10 {
        for version in [1, 2] {
            world.pay(&format!("PAY-{i}"), version).await;
        }
    }
    eventually("requests that fail", async || world.totals().requests > 5).await;
    assert_eq!(world.totals().effects, 0);
    world.change(Change { down: Some(false), throttle_per_second: Some(10), ..Change::default() });
    world.settled(20).await;
    sink.stop().await;
    let totals = world.totals();
    assert_eq!((totals.documents, totals.effects, totals.duplicates, totals.out_of_order), (10, 20, 0, 0));
    assert!(world.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_ledger_is_restored_from_the_changelog() {
    let world = World::start("neither").await;
    let sink = world.sink().await;
    for i in 0..30 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    world.settled(30).await;
    sink.stop().await;
    let before = world.digests(&world.ledger_dir());
    assert!(before.iter().any(|digest| *digest != before[0]), "some partitions have more than others");
    std::fs::remove_dir_all(world.ledger_dir()).unwrap();
    let sink = world.sink().await;
    eventually("the ledger is restored", async || sink.is_ready().await).await;
    sink.stop().await;
    assert_eq!(world.digests(&world.ledger_dir()), before, "it knows what the lost one knew");
    std::fs::remove_dir_all(world.ledger_dir()).unwrap();
    // The same events again: only the ledger can tell.
    for i in 0..30 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    world.pay("PAY-NEW", 1).await;
    let sink = world.sink().await;
    world.settled(31).await;
    sink.stop().await;
    let totals = world.totals();
    assert_eq!((totals.documents, totals.duplicates), (31, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger_is_set_aside_and_restored() {
    let world = World::start("neither").await;
    let sink = world.sink().await;
    for i in 0..30 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    world.settled(30).await;
    sink.stop().await;
    let bucket = std::fs::read_dir(world.ledger_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .expect("a bucket");
    let conf = bucket.join("conf");
    assert!(conf.exists());
    std::fs::write(&conf, b"this is no configuration of sled").unwrap();
    for i in 0..30 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    world.pay("PAY-NEW", 1).await;
    let sink = world.sink().await;
    world.settled(31).await;
    sink.stop().await;
    assert!(world.ledger_dir().join("damaged-1").exists());
    assert_eq!((world.totals().documents, world.totals().duplicates), (31, 0));
}
