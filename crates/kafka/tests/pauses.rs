//! Pausing and resuming must neither lose a record nor change its order, however often it happens.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::HashMap,
    sync::mpsc,
    time::{Duration, Instant},
};

use kafka::{AssignmentId, GroupEvent, GroupOptions, Member, Producer, Settings, embedded::Broker};
use topics::TopicPlan;

const PARTITIONS: i32 = 6;
const RECORDS: i64 = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn no_record_is_lost_or_out_of_order_on_the_embedded_broker() {
    let plan = TopicPlan {
        name: "cf.pauses".into(),
        partitions: PARTITIONS,
        replication: 1,
        configs: std::collections::BTreeMap::new(),
    };
    let broker = Broker::start(&[plan], 1).unwrap();
    run(broker.settings()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_is_lost_or_out_of_order_on_a_real_broker() {
    let kafka = tokio::task::spawn_blocking(testkit::kafka::shared).await.unwrap().unwrap();
    let settings = Settings::new(kafka.bootstrap());
    let plan = TopicPlan {
        name: "cf.pauses".into(),
        partitions: PARTITIONS,
        replication: 1,
        configs: std::collections::BTreeMap::new(),
    };
    let cluster = kafka::admin::describe(&settings).await.unwrap();
    kafka::admin::apply(&settings, &topics::plan(&[plan], &cluster.topics)).await.unwrap();
    run(settings).await;
}

async fn run(settings: Settings) {
    let (report, events) = mpsc::channel();
    let options = GroupOptions {
        group: "pauses".into(),
        topics: vec!["cf.pauses".into()],
        commit_every: Duration::from_millis(500),
        drain: Duration::from_millis(100),
        changelog: None,
    };
    let member =
        Member::join(&settings, options, move |event| report.send(event).unwrap_or_default()).unwrap();
    let producer = Producer::new(&settings).unwrap();
    let sending = tokio::spawn(async move {
        for n in 0..RECORDS {
            let partition = (n % i64::from(PARTITIONS)) as i32;
            producer.send("cf.pauses", partition, b"key", &n.to_be_bytes(), &[]).await.unwrap();
        }
    });
    let seen = tokio::task::spawn_blocking(move || watch(&member, &events)).await.unwrap();
    sending.await.unwrap();
    assert_eq!(seen, RECORDS);
}

/// Takes every record in, pausing and resuming one partition after the other all the while.
fn watch(member: &Member, events: &mpsc::Receiver<GroupEvent>) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut next: HashMap<AssignmentId, i64> = HashMap::new();
    let (mut ids, mut paused, mut seen, mut turn) = (Vec::new(), Vec::new(), 0, 0_usize);
    while seen < RECORDS && Instant::now() < deadline {
        match events.recv_timeout(Duration::from_millis(2)) {
            Ok(GroupEvent::Assigned(assigned)) => {
                for one in assigned {
                    next.insert(one.id, one.start);
                    ids.push(one.id);
                }
            }
            Ok(GroupEvent::Records(records)) => {
                member.taken(records.len());
                for record in records {
                    let expected = next.get_mut(&record.id).expect("an assignment");
                    assert_eq!(record.offset, *expected, "a record was lost or came again");
                    *expected += 1;
                    seen += 1;
                }
            }
            Ok(GroupEvent::Revoking { done, .. }) => done.send(()).unwrap_or_default(),
            Ok(GroupEvent::Failed(reason)) => panic!("{reason}"),
            Ok(GroupEvent::Confirmed { .. }) | Err(_) => {}
        }
        if let Some(id) = ids.get(turn % ids.len().max(1)) {
            turn += 1;
            member.pause(*id);
            paused.push(*id);
            if paused.len() >= 3 {
                member.resume(paused.remove(0));
            }
        }
    }
    member.leave();
    seen
}
