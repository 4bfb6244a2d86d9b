//! A member of a group: where it begins, and when it leaves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use kafka::{
    Assigned, GroupEvent, GroupOptions, Member, Producer, Settings,
    embedded::{Broker, Fault, PARTITION_BYTES, Request},
};

const TOPIC: &str = "cf.members";
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker whose topic has lost its first records.
async fn broker() -> Broker {
    let broker = Broker::start(&[], 1).unwrap();
    broker.create_topic(TOPIC, 1).unwrap();
    broker.create_topic(&changelog(TOPIC), 1).unwrap();
    let mut settings = broker.settings();
    settings.producer.insert("compression.codec".into(), "none".into());
    let producer = Producer::new(&settings).unwrap();
    let value = vec![7; 512 << 10];
    for _ in 0..2 * PARTITION_BYTES / value.len() {
        producer.send(TOPIC, 0, b"k", &value, &[]).await.unwrap();
    }
    broker
}

fn changelog(topic: &str) -> String {
    format!("{topic}.ledger")
}

fn join(settings: &Settings, group: &str) -> (Member, mpsc::Receiver<GroupEvent>) {
    let (report, events) = mpsc::channel();
    let options = GroupOptions {
        group: group.into(),
        topics: vec![TOPIC.into()],
        commit_every: Duration::from_millis(200),
        drain: Duration::from_millis(100),
        changelog: Some(changelog),
    };
    let member = Member::join(settings, options, move |event| {
        report.send(event).ok(); // the test has seen enough
    });
    (member.unwrap(), events)
}

/// What it is assigned at first, and what it failed with before.
fn assigned(events: &mpsc::Receiver<GroupEvent>) -> (Assigned, Option<String>) {
    let (deadline, mut failed) = (Instant::now() + PATIENCE, None);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match events.recv_timeout(left).expect("an assignment") {
            GroupEvent::Assigned(mut all) if !all.is_empty() => return (all.remove(0), failed),
            GroupEvent::Failed(reason) => failed = Some(reason),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_new_group_begins_at_the_first_record_and_one_that_lost_its_offset_does_not() {
    let broker = broker().await;
    let settings = broker.settings();
    let (member, events) = join(&settings, "new");
    let (first, failed) = assigned(&events);
    assert!(first.start > 0 && failed.is_none(), "{first:?} {failed:?}");
    member.leave();

    let producer = Producer::new(&settings).unwrap();
    producer.send(&changelog(TOPIC), 0, b"k", b"an outcome", &[]).await.unwrap();
    let (member, events) = join(&settings, "without an offset");
    let (first, failed) = assigned(&events);
    assert_eq!(first.start, 0, "what is gone is not passed");
    assert!(failed.unwrap().contains("the group has no offset of cf.members/0"));
    member.leave();
}

#[tokio::test]
async fn offsets_that_the_brokers_refuse_are_asked_for_again() {
    let broker = broker().await;
    let settings = broker.settings();
    let (member, events) = join(&settings, "refused");
    let (first, _) = assigned(&events);
    member.store(first.id, first.start + 2);
    member.leave();
    broker.fail(Request::OffsetFetch, &[Fault::NotAuthorized, Fault::NotAuthorized]).unwrap();
    let (member, events) = join(&settings, "refused");
    let (again, failed) = assigned(&events);
    assert_eq!((again.start, failed), (first.start + 2, None));
    member.leave();
}

#[tokio::test]
async fn a_member_that_nobody_holds_leaves() {
    let broker = broker().await;
    let settings = broker.settings();
    let (member, events) = join(&settings, "dropped");
    assigned(&events);
    let dropped = Instant::now();
    drop(member);
    let (member, events) = join(&settings, "dropped");
    assigned(&events);
    assert!(dropped.elapsed() >= settings.session_timeout(), "what its holder had under way has time to end");
    member.leave();
}
