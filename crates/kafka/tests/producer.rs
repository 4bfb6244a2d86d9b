//! The producer against the embedded broker: acknowledgements, order, outages and fatal errors.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use kafka::{
    Position, ProduceError, Producer, Settings, admin,
    embedded::{Broker, Fault, Request},
};

const TOPIC: &str = "cf.eu.sales.order.v1";
const DEADLINE: Duration = Duration::from_secs(20);

fn broker() -> Broker {
    let broker = Broker::start(&[], 1).unwrap();
    broker.create_topic(TOPIC, 3).unwrap();
    broker
}

fn producer(broker: &Broker) -> Producer {
    let mut settings = broker.settings();
    settings.producer.insert("topic.metadata.propagation.max.ms".into(), "300".into());
    Producer::new(&settings).unwrap()
}

async fn send(producer: &Producer, partition: i32) -> Result<Position, ProduceError> {
    producer.send(TOPIC, partition, b"acme/order/1", b"value", &[("code", b"SNK-0001")]).await
}

/// Sends until it is acknowledged; the broker or the client needs a moment after a fault.
async fn send_until_acknowledged(producer: &Producer) -> Position {
    let start = Instant::now();
    loop {
        match send(producer, 0).await {
            Ok(position) => return position,
            Err(error) => assert!(start.elapsed() < DEADLINE, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn an_acknowledgement_says_where_the_record_is() {
    let broker = broker();
    let producer = producer(&broker);
    for offset in 0..3 {
        assert_eq!(send(&producer, 2).await.unwrap(), Position { partition: 2, offset });
    }
    assert_eq!(send(&producer, 0).await.unwrap(), Position { partition: 0, offset: 0 });
    assert_eq!(
        producer.send_tombstone(TOPIC, 1, b"key").await.unwrap(),
        Position { partition: 1, offset: 0 }
    );
    let ends = admin::end_offsets(&broker.settings(), TOPIC).await.unwrap();
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), [(0, 1), (1, 1), (2, 3)]);
    assert_eq!((producer.in_flight(), producer.is_fatal(), producer.replacements()), (0, false, 0));
}

#[tokio::test]
async fn records_keep_the_order_in_which_they_were_enqueued() {
    let broker = broker();
    let producer = producer(&broker);
    broker.fail(Request::Produce, &[Fault::NotEnoughReplicas, Fault::Disconnect, Fault::NotLeader]).unwrap();
    let mut acks = Vec::new();
    for _ in 0..500 {
        acks.push(producer.enqueue(TOPIC, 0, b"k", Some(b"v"), &[]).await.unwrap());
    }
    for (offset, ack) in (0..).zip(acks) {
        assert_eq!(ack.wait().await.unwrap(), Position { partition: 0, offset });
    }
    assert_eq!(admin::end_offsets(&broker.settings(), TOPIC).await.unwrap()[&0], 500, "none is there twice");
}

#[tokio::test]
async fn an_outage_ends_in_unavailable_and_then_it_recovers() {
    let broker = broker();
    let mut settings = broker.settings();
    settings.producer.insert("message.timeout.ms".into(), "1500".into());
    let producer = Producer::new(&settings).unwrap();
    send_until_acknowledged(&producer).await;
    producer.ping(Duration::from_secs(5)).await.unwrap();

    broker.set_down(true).unwrap();
    let start = Instant::now();
    let error = send(&producer, 0).await.unwrap_err();
    assert!(matches!(error, ProduceError::Unavailable(_)) && error.is_retriable(), "{error:?}");
    assert_eq!(error.code(), "TOP-0101");
    assert!(start.elapsed() < Duration::from_millis(1500 + 2000), "{:?}", start.elapsed());
    let error = producer.ping(Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, ProduceError::Unavailable(_)), "{error:?}");

    broker.set_down(false).unwrap();
    send_until_acknowledged(&producer).await;
    producer.ping(Duration::from_secs(5)).await.unwrap();
    assert_eq!(producer.replacements(), 0, "an outage costs no client");
}

#[tokio::test]
async fn nobody_listening_is_unavailable_too() {
    let mut settings = Settings::new("127.0.0.1:1");
    settings.producer.insert("message.timeout.ms".into(), "500".into());
    let producer = Producer::new(&settings).unwrap();
    let error = send(&producer, 0).await.unwrap_err();
    assert!(matches!(error, ProduceError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_flush_says_whether_records_are_left() {
    let broker = broker();
    let producer = producer(&broker);
    send(&producer, 0).await.unwrap();
    broker.set_rtt(Duration::from_millis(600)).unwrap();
    let ack = producer.enqueue(TOPIC, 0, b"k", Some(b"v"), &[]).await.unwrap();
    assert!(producer.flush(Duration::from_millis(50)).await.is_err());
    producer.flush(DEADLINE).await.unwrap();
    ack.wait().await.unwrap();
}

#[tokio::test]
async fn unknown_topics_and_partitions_are_named() {
    let broker = broker();
    let producer = producer(&broker);
    send(&producer, 0).await.unwrap();
    for (topic, partition) in [("cf.eu.no.such.v1", 0), (TOPIC, 99)] {
        let error = producer.send(topic, partition, b"k", b"v", &[]).await.unwrap_err();
        assert_eq!((error.code(), error.is_retriable()), ("TOP-0104", false), "{error:?}");
        assert_eq!(error.to_string(), format!("kafka has no partition {partition} of topic {topic}"));
    }
    let error = admin::end_offsets(&broker.settings(), "cf.eu.no.such.v1").await.unwrap_err();
    assert_eq!(error.code(), "TOP-0104", "asking for a topic does not create it: {error:?}");
}

#[tokio::test]
async fn what_is_too_large_is_told_apart() {
    let broker = broker();
    let producer = producer(&broker);
    let huge = vec![0; topics::MAX_MESSAGE_BYTES as usize + 1];
    let by_client = producer.send(TOPIC, 0, b"k", &huge, &[]).await.unwrap_err();
    broker.fail(Request::Produce, &[Fault::TooLarge]).unwrap();
    let by_broker = send(&producer, 0).await.unwrap_err();
    for error in [by_client, by_broker] {
        assert_eq!((error.code(), error.is_retriable()), ("TOP-0103", false), "{error:?}");
    }
    broker.fail(Request::Produce, &[Fault::NotAuthorized]).unwrap();
    assert_eq!(send(&producer, 0).await.unwrap_err().code(), "TOP-0106");
    send_until_acknowledged(&producer).await;
}

#[tokio::test]
async fn a_full_queue_is_told_apart() {
    let broker = broker();
    let mut settings = broker.settings();
    settings.producer.insert("queue.buffering.max.messages".into(), "2".into());
    let producer = Producer::new(&settings).unwrap();
    broker.set_down(true).unwrap();
    let mut acks = Vec::new();
    let error = loop {
        match producer.enqueue(TOPIC, 0, b"k", Some(b"v"), &[]).await {
            Ok(ack) => acks.push(ack),
            Err(error) => break error,
        }
    };
    assert_eq!((error.code(), error.is_retriable(), acks.len()), ("TOP-0102", true, 2), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_failed_for_good_is_replaced() {
    let broker = broker();
    let producer = producer(&broker);
    send(&producer, 0).await.unwrap();
    broker.fail(Request::Produce, &[Fault::OutOfOrderSequence]).unwrap();
    let error = send(&producer, 0).await.unwrap_err();
    assert!(matches!(error, ProduceError::Fatal(_)), "{error:?}");
    assert_eq!((error.code(), producer.replacements(), producer.is_fatal()), ("TOP-0105", 1, false));
    send_until_acknowledged(&producer).await;
    assert_eq!(producer.replacements(), 1);
}

/// Many callers meet the same failure; each is answered, and there is one new client, not one for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_a_failed_producer_replace_it_once() {
    let broker = broker();
    let producer = producer(&broker);
    send(&producer, 0).await.unwrap();
    broker.fail(Request::Produce, &[Fault::OutOfOrderSequence]).unwrap();
    let callers: Vec<_> = (0..50)
        .map(|n| {
            let producer = producer.clone();
            tokio::spawn(async move { send(&producer, n % 3).await })
        })
        .collect();
    for caller in callers {
        if let Err(error) = caller.await.unwrap() {
            assert!(matches!(error, ProduceError::Fatal(_)), "{error:?}");
        }
    }
    assert_eq!(producer.replacements(), 1);
    send_until_acknowledged(&producer).await;
}
