//! The embedded broker as a cluster: topics by plan, groups' offsets, and how much it keeps.
#![allow(clippy::unwrap_used)]

use kafka::{
    Producer, admin,
    embedded::{Broker, Fault, Request},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};
use topics::{Specs, names};

#[tokio::test]
async fn it_has_the_planned_topics() {
    let topics = Specs::embedded().unwrap().all_for("eu", &["acme".parse().unwrap()]).unwrap();
    let broker = Broker::start(&topics, 1).unwrap();
    let producer = Producer::new(&broker.settings()).unwrap();
    for topic in &topics {
        let ends = admin::end_offsets(&broker.settings(), &topic.name).await.unwrap();
        assert_eq!(ends.len(), usize::try_from(topic.partitions).unwrap(), "{}", topic.name);
    }
    let last = topics[0].partitions - 1;
    producer.send(&topics[0].name, last, b"k", b"v", &[]).await.unwrap();
}

#[tokio::test]
async fn committed_offsets_are_those_of_the_group() {
    let topic = names::outcome("eu");
    let broker = Broker::start(&[], 1).unwrap();
    broker.create_topic(&topic, 2).unwrap();
    let settings = broker.settings();
    assert_eq!(
        admin::committed(&settings, "sinks", &topic).await.unwrap().into_iter().collect::<Vec<_>>(),
        [(0, None), (1, None)]
    );
    let consumer: BaseConsumer = settings.consumer_config("sinks").unwrap().create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 1, Offset::Offset(42)).unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
    let committed = admin::committed(&settings, "sinks", &topic).await.unwrap();
    assert_eq!(committed.into_iter().collect::<Vec<_>>(), [(0, None), (1, Some(42))]);
    assert_eq!(admin::committed(&settings, "others", &topic).await.unwrap()[&1], None);
    // A coordinator that has just begun its work is not news: a young cluster has one for each group.
    broker.fail(Request::OffsetFetch, &[Fault::CoordinatorLoading, Fault::NotCoordinator]).unwrap();
    assert_eq!(admin::committed(&settings, "sinks", &topic).await.unwrap()[&1], Some(42));
}

/// The demo paces itself by this: what a partition keeps is bounded, and its start moves.
#[tokio::test]
async fn old_records_leave_a_full_partition() {
    let topic = names::outcome("eu");
    let broker = Broker::start(&[], 1).unwrap();
    broker.create_topic(&topic, 1).unwrap();
    let mut settings = broker.settings();
    settings.producer.insert("compression.codec".into(), "none".into());
    let producer = Producer::new(&settings).unwrap();
    let value = vec![7; 512 << 10];
    let records = 2 * kafka::embedded::PARTITION_BYTES / value.len();
    for _ in 0..records {
        producer.send(&topic, 0, b"k", &value, &[]).await.unwrap();
    }
    let range = admin::watermarks(&settings, &topic).await.unwrap()[&0].clone();
    assert_eq!(range.end, records as i64);
    let kept = (range.end - range.start) as usize * value.len();
    assert!(
        kept <= kafka::embedded::PARTITION_BYTES && kept > kafka::embedded::PARTITION_BYTES / 2,
        "{range:?}"
    );
}

#[tokio::test]
async fn a_refused_plan_is_not_even_sent() {
    let refused = topics::Refusal { topic: "t".into(), actual: 1, desired: 2 };
    let plan = topics::Plan { refused: vec![refused], ..Default::default() };
    let nobody = kafka::Settings::new("127.0.0.1:1");
    let error = admin::apply(&nobody, &plan).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().starts_with("topic t has 1 partitions")), ("TOP-0003", true));
}
