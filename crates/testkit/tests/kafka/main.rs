//! The kit's broker: it starts, it can be killed, and it comes back with its data.
#![allow(clippy::unwrap_used)]

mod wire;

use std::time::{Duration, Instant};

use testkit::kafka::{self, Kafka, NODES, Options, Trio};

#[test]
fn the_shared_broker_answers_and_is_started_once() {
    let kafka = kafka::shared().unwrap();
    assert!(wire::api_versions(kafka.bootstrap()).is_ok());
    assert_eq!(kafka::shared().unwrap().bootstrap(), kafka.bootstrap());
}

#[test]
fn a_killed_broker_comes_back_with_its_topics_on_the_same_address() {
    let options = Options { properties: vec![("num.partitions".into(), "3".into())], ..Options::owned() };
    let kafka = Kafka::start(&options).unwrap();
    let address = kafka.bootstrap().to_owned();
    assert_eq!(wire::partitions(&address, "kept").unwrap(), None);
    wire::create_topic(&address, "kept", -1).unwrap();
    until("the topic is there", || matches!(wire::partitions(&address, "kept"), Ok(Some(3))));

    kafka.kill9().unwrap();
    assert!(wire::api_versions(&address).is_err());
    kafka.restart().unwrap();
    assert_eq!(kafka.bootstrap(), address);
    until("the topic is back", || matches!(wire::partitions(&address, "kept"), Ok(Some(3))));

    kafka.pause().unwrap();
    assert!(wire::api_versions(&address).is_err(), "a paused broker answered");
    kafka.resume().unwrap();
    until("it answers again", || wire::api_versions(&address).is_ok());

    kafka.stop().unwrap();
    assert!(wire::api_versions(&address).is_err());
}

#[test]
fn two_of_three_go_on_without_the_third_and_it_comes_back_knowing_what_they_did() {
    let trio = Trio::start(&Options::default()).unwrap();
    let addresses: Vec<&str> = trio.bootstrap().split(',').collect();
    assert_eq!(addresses.len(), NODES);
    for address in &addresses {
        assert!(wire::api_versions(address).is_ok());
    }

    trio.kill9(1).unwrap();
    assert!(wire::api_versions(addresses[0]).is_err());
    assert_eq!(trio.bootstrap_without(&[1]), addresses[1..].join(","));
    until("a topic is created without it", || wire::create_topic(addresses[1], "meanwhile", 4).is_ok());
    trio.restart(&[1]).unwrap();
    until("it knows the topic", || matches!(wire::partitions(addresses[0], "meanwhile"), Ok(Some(4))));

    assert!(trio.kill9(4).is_err(), "there are three");
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
