//! Where the sink waits for what is missing, and where it stops instead of guessing.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{os::unix::fs::symlink, path::Path};

use common::{World, eventually, header, tenant};
use contract::OutcomeStatus;
use event::ObjectKind;
use kafka::{
    Position, ReadRecord,
    embedded::{Fault, PARTITION_BYTES, Request},
};
use sandbox::Change;
use topics::names;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_its_dead_letter_topic_is_waited_for() {
    let topic = names::dlq(common::REGION, Some(&tenant()));
    let world = World::start_without("keyed", &topic).await;
    let sink = world.sink().await;
    let reason = format!("topic `{topic}` does not exist");
    eventually("it names the topic", async || {
        sink.readiness().await["checks"]["kafka"]["reason"] == reason.as_str()
    })
    .await;
    let (_, key, value) = world.payment("PAY-BAD", -1);
    world.publish(ObjectKind::Payment, &key, &value).await;
    world.broker.create_topic(&topic, 1).unwrap();
    let outcomes = world.settled(1).await;
    assert_eq!(outcomes[0].status, OutcomeStatus::Rejected);
    assert_eq!(world.dead_letters().await.len(), 1);
    sink.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_delays_and_never_dead_letters() {
    let world = World::start("keyed").await;
    let sink = world.sink().await;
    sink.until_ready().await;
    // It knows no schema of payments yet.
    world.registry.set_available(false);
    for i in 0..10 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    // More often than it asks for an id that the registry does not have.
    eventually("it asks again and again", async || world.registry.refused() >= 10).await;
    assert_eq!(world.totals().requests, 0, "nothing can be read yet");
    assert!(world.dead_letters().await.is_empty());
    world.registry.set_available(true);
    world.settled(10).await;
    sink.stop().await;
    assert!(world.dead_letters().await.is_empty());
    assert_eq!(world.totals().documents, 10);
}

/// An event and its ledger entry would have different owners.
#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_of_another_partition_count_stops_it_before_it_begins() {
    for partitions in [11, 13] {
        let topic = names::object_topic(common::REGION, ObjectKind::Payment);
        let changelog = names::ledger(&topic);
        let world = World::start_without("keyed", &changelog).await;
        world.broker.create_topic(&changelog, partitions).unwrap();
        world.pay("PAY-1", 1).await;
        let ended = world.sink().await.ended().await;
        assert_eq!(ended.code(), "SNK-0033", "{ended}");
        let what =
            format!("topic `{changelog}` has {partitions} partitions, `{topic}` has 12: they must be equal");
        assert!(ended.to_string().starts_with(&what), "{ended}");
        assert_eq!((world.totals().requests, world.outcomes().await.len()), (0, 0));
        assert!(world.records(changelog).await.is_empty(), "it has not even claimed a partition");
    }
}

/// The ledger's folder is reached by a link, which the watch over the disk follows anew for each batch: pointed at a file
/// system without a free block, it sees what it would see of a full disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_sending_before_it_begins_and_then_it_goes_on_by_itself() {
    let world = World::start("keyed").await;
    let (disk, link) = (world.dir.path().join("disk"), world.ledger_dir());
    std::fs::create_dir(&disk).unwrap();
    let point_to = |target: &Path| {
        let next = world.dir.path().join("next");
        symlink(target, &next).unwrap();
        std::fs::rename(&next, &link).unwrap();
    };
    point_to(&disk);
    let mut options = world.options();
    options.ledger.reserve_bytes = 1;
    let sink = world.sink_with(options).await;
    world.pay("PAY-BEFORE", 1).await;
    world.settled(1).await;

    point_to(Path::new("/proc"));
    for i in 0..10 {
        world.pay(&format!("PAY-{i}"), 1).await;
    }
    eventually("Intents are refused", async || sink.metric("refused_intents_total").await >= 10.0).await;
    assert_eq!(world.totals().requests, 1, "no Intent, no request");

    point_to(&disk);
    world.settled(11).await;
    sink.stop().await;
    assert_eq!((world.totals().documents, world.totals().duplicates), (11, 0));
}

/// Fills the partition of an entity, so that its first records go. The records cannot be compressed and are no Avro.
async fn fill(world: &World, entity: &str) {
    let (_, key, _) = world.payment(entity, 1);
    let mut state = 1_u64;
    let mut byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8 | 1
    };
    let junk: Vec<u8> = (0..700_000).map(&mut byte).collect();
    for _ in 0..2 * PARTITION_BYTES / junk.len() {
        world.publish(ObjectKind::Payment, &key, &junk).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_offset_that_is_gone_stops_it_and_so_does_a_lost_one() {
    let world = World::start("keyed").await;
    let sink = world.sink().await;
    world.pay("PAY-1", 1).await;
    world.settled(1).await;
    sink.stop().await;
    // The partition runs full: its first records go, those that the group has not read among them.
    fill(&world, "PAY-1").await;
    let ended = world.sink().await.ended().await.to_string();
    assert!(ended.contains("SNK-0032") && ended.contains("AutoOffsetReset"), "{ended}");

    // Of another group the offset is not gone but unknown, like an expired one.
    let mut options = world.options();
    options.group = "others".into();
    let ended = world.sink_with(options).await.ended().await.to_string();
    assert!(ended.contains("SNK-0032") && ended.contains("the group has no offset of"), "{ended}");
    // Started again it has not become an offset in passing.
    let mut options = world.options();
    options.group = "others".into();
    let ended = world.sink_with(options).await.ended().await.to_string();
    assert!(ended.contains("SNK-0032"), "{ended}");
    assert!(world.dead_letters().await.is_empty(), "nothing was read beyond the gap");
}

/// What the topic has lost before the first sink ever came was never promised to anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_group_begins_at_what_the_topic_keeps() {
    let world = World::start("keyed").await;
    fill(&world, "PAY-1").await;
    world.pay("PAY-1", 1).await;
    let sink = world.sink().await;
    world.settled(1).await;
    sink.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_that_is_shorter_than_the_store_stops_it() {
    let first = World::start("keyed").await;
    let sink = first.sink().await;
    first.pay("PAY-1", 1).await;
    first.settled(1).await;
    sink.stop().await;
    // Another cluster, the same folder.
    let second = World::start("keyed").await;
    second.pay("PAY-1", 1).await;
    let mut options = second.options();
    options.ledger.dir = first.ledger_dir();
    let ended = second.sink_with(options).await.ended().await.to_string();
    assert!(ended.contains("SNK-0023") && ended.contains("but the changelog ended at 0"), "{ended}");
    assert_eq!(second.totals().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_brokers_refuse_stops_it_and_nothing_is_lost() {
    let world = World::start("keyed").await;
    world.change(Change { down: Some(true), ..Change::default() });
    let sink = world.sink().await;
    world.pay("PAY-1", 1).await;
    eventually("a request", async || world.totals().requests > 0).await;
    // Whatever the sink writes next: another Intent, or the outcome.
    world.broker.fail(Request::Produce, &[Fault::TooLarge]).unwrap();
    world.change(Change { down: Some(false), ..Change::default() });
    let ended = sink.ended().await.to_string();
    assert!(ended.contains("SNK-0031"), "{ended}");
    assert!(world.outcomes().await.is_empty());
    let sink = world.sink().await;
    let outcomes = world.settled(1).await;
    sink.stop().await;
    assert_eq!(outcomes[0].status, OutcomeStatus::Committed);
    assert_eq!((world.totals().documents, world.totals().duplicates), (1, 0));
}

/// What the group has committed of payments.
async fn committed(world: &World, partition: i32) -> Option<i64> {
    let topic = names::object_topic(common::REGION, ObjectKind::Payment);
    let group = world.options().group;
    let all = kafka::admin::committed(&world.broker.settings(), &group, &topic).await.unwrap();
    all.get(&partition).copied().flatten()
}

/// A refusal and an unreadable record whose dead letters cannot be written for a while: others go on, those behind them in their
/// partition too, and no offset passes either of them.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_for_dead_letters_no_offset_passes_the_record_and_then_it_goes_on() {
    let world = World::start("keyed").await;
    let dlq = names::dlq(common::REGION, Some(&tenant()));
    let sink = world.sink().await;
    world.pay("PAY-0", 1).await;
    world.settled(1).await;
    world.broker.set_leader(&dlq, 0, false).unwrap();
    let (_, key, value) = world.payment("PAY-BAD", -1);
    let Position { partition, offset: refused } = world.publish(ObjectKind::Payment, &key, &value).await;
    let junk = world.publish(ObjectKind::Payment, &key, b"not avro at all").await;
    // Of the same partition behind them, and of others, until one of each is settled.
    let mut good = 1;
    let (mut behind, mut beside) = (None, None);
    while behind.is_none() || beside.is_none() {
        let (_, key, value) = world.payment(&format!("PAY-{good}"), 1);
        let at = world.publish(ObjectKind::Payment, &key, &value).await;
        *(if at.partition == partition { &mut behind } else { &mut beside }) = Some(at);
        good += 1;
    }
    let outcomes = world.settled(good).await;
    assert!(outcomes.iter().all(|o| o.status == OutcomeStatus::Committed), "{outcomes:?}");
    // Offsets are committed together: with what came beside, all that may be committed of the partition is.
    let beside = beside.unwrap();
    eventually("what came beside is committed", async || {
        committed(&world, beside.partition).await == Some(beside.offset + 1)
    })
    .await;
    assert!(
        committed(&world, partition).await.is_none_or(|at| at <= refused),
        "the offset passed the record"
    );
    assert!(
        world.outcomes().await.iter().all(|o| o.entity != "PAY-BAD"),
        "an outcome without its dead letter"
    );
    // The same by whoever comes next.
    sink.stop().await;
    let sink = world.sink().await;
    world.pay("PAY-LAST", 1).await;
    world.settled(good + 1).await;
    assert!(
        committed(&world, partition).await.is_none_or(|at| at <= refused),
        "the offset passed the record"
    );

    world.broker.set_leader(&dlq, 0, true).unwrap();
    let outcomes = world.settled(good + 2).await;
    let bad = outcomes.iter().find(|o| o.entity == "PAY-BAD").unwrap();
    assert_eq!(bad.status, OutcomeStatus::Rejected);
    eventually("it goes on", async || committed(&world, partition).await >= Some(behind.unwrap().offset + 1))
        .await;
    sink.stop().await;
    let letters = world.dead_letters().await;
    let of = |offset: i64| {
        let offset = offset.to_string();
        let its = |letter: &&ReadRecord| header(letter, "cf-origin-offset").as_deref() == Some(&offset);
        letters.iter().find(its).unwrap_or_else(|| panic!("no dead letter of {offset}"))
    };
    assert_eq!(header(of(refused), "cf-code").as_deref(), Some("SNK-0001"));
    assert_eq!(of(refused).value.as_deref(), Some(&value[..]), "original bytes");
    assert_eq!(header(of(junk.offset), "cf-code").as_deref(), Some("CON-0201"));
    assert_eq!(of(junk.offset).value.as_deref(), Some(&b"not avro at all"[..]));
    assert_eq!((world.totals().effects as usize, world.totals().duplicates), (good + 1, 0));
}

/// A topic that is closed to the sink will not be open by itself: it stops, and begins again behind nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_that_refuses_stops_it_and_nothing_is_lost() {
    let world = World::start("keyed").await;
    let dlq = names::dlq(common::REGION, Some(&tenant()));
    let sink = world.sink().await;
    world.pay("PAY-0", 1).await;
    world.settled(1).await;
    world.broker.refuse_topic(&dlq, Some(Fault::NotAuthorized)).unwrap();
    let (_, key, value) = world.payment("PAY-BAD", -1);
    let bad = world.publish(ObjectKind::Payment, &key, &value).await;
    let ended = sink.ended().await.to_string();
    assert!(ended.contains("SNK-0031") && ended.contains("DeadLetter"), "{ended}");
    assert!(committed(&world, bad.partition).await.is_none_or(|at| at <= bad.offset), "the offset passed it");
    assert_eq!(world.outcomes().await.len(), 1, "an outcome without its dead letter");

    world.broker.refuse_topic(&dlq, None).unwrap();
    let sink = world.sink().await;
    let outcomes = world.settled(2).await;
    let end = outcomes.iter().find(|o| o.entity == "PAY-BAD").unwrap();
    assert_eq!(end.status, OutcomeStatus::Rejected);
    eventually("it goes on", async || committed(&world, bad.partition).await == Some(bad.offset + 1)).await;
    sink.stop().await;
    let letters = world.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_deref(), Some(&value[..]), "original bytes");
    assert_eq!((world.totals().effects, world.totals().duplicates), (1, 0));
}
