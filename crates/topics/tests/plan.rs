//! The plan: what is created, altered, refused and left alone, and how it reads.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use topics::{ActualTopic, Specs, TopicPlan, plan};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn want(name: &str, partitions: i32) -> TopicPlan {
    let configs = map(&[("cleanup.policy", "delete"), ("retention.ms", "604800000")]);
    TopicPlan { name: name.into(), partitions, replication: 1, configs }
}

/// The topic as the cluster shows it: with what is specified and a default beside it.
fn have(want: &TopicPlan) -> ActualTopic {
    let mut configs = want.configs.clone();
    configs.insert("segment.bytes".into(), "1073741824".into());
    let overridden = want.configs.keys().cloned().collect();
    let TopicPlan { name, partitions, replication, .. } = want.clone();
    ActualTopic { name, partitions, replication, configs, overridden }
}

#[test]
fn what_is_missing_is_created_and_then_nothing_is_left() {
    let desired = Specs::embedded().unwrap().all_for("eu", &["acme".parse().unwrap()]).unwrap();
    let first = plan(&desired, &[]);
    assert_eq!(first.create, desired);
    first.check().unwrap();
    let actual: Vec<ActualTopic> = desired.iter().map(have).collect();
    let second = plan(&desired, &actual);
    assert!(second.is_empty() && second.unchanged == desired.len(), "{second}");
    assert_eq!(
        second.to_string(),
        format!("0 to create, 0 to alter, 0 refused, {} unchanged", desired.len())
    );
}

#[test]
fn another_partition_count_is_refused_by_name() {
    let desired = [want("cf.eu.sales.order.v1", 24), want("cf.eu.sales.contract.v1", 6)];
    let actual = [have(&want("cf.eu.sales.order.v1", 12)), have(&want("cf.eu.sales.contract.v1", 12))];
    let plan = plan(&desired, &actual);
    assert_eq!((plan.refused.len(), plan.is_empty()), (2, false));
    let error = plan.check().unwrap_err();
    assert_eq!(error.code(), "TOP-0003");
    assert!(
        error.to_string().starts_with("topic cf.eu.sales.order.v1 has 12 partitions and 24 are specified")
    );
}

#[test]
fn an_alteration_repeats_what_others_set_on_the_topic() {
    let desired = [want("cf.eu.sales.order.v1", 12)];
    let mut actual = have(&desired[0]);
    actual.configs.extend(map(&[("retention.ms", "1000"), ("segment.bytes", "1048576"), ("flush.ms", "9")]));
    actual.overridden.insert("segment.bytes".into());
    let plan = plan(&desired, &[actual]);
    let alteration = &plan.alter[0];
    assert_eq!(alteration.changes, [("retention.ms".into(), Some("1000".into()), "604800000".into())]);
    let full = [("cleanup.policy", "delete"), ("retention.ms", "604800000"), ("segment.bytes", "1048576")];
    assert_eq!(alteration.full, map(&full));
}

#[test]
fn replicas_and_strangers_are_reported_and_left_alone() {
    let desired = [want("cf.eu.sales.order.v1", 12)];
    let mut drifted = have(&desired[0]);
    drifted.replication = 2;
    let strangers = ["cf.eu.dlq.gone.v1", "cf.us.sales.order.v1", "cf.eux.sales.order.v1", "other", "cf."];
    let mut actual = vec![drifted];
    actual.extend(strangers.iter().map(|name| have(&want(name, 1))));
    let plan = plan(&desired, &actual);
    assert_eq!(plan.unknown, ["cf.eu.dlq.gone.v1"]);
    assert_eq!((plan.drift[0].actual, plan.drift[0].desired), (2, 1));
    assert!(plan.is_empty());
    plan.check().unwrap();
}

#[test]
fn the_diff_reads_and_its_hash_follows_it() {
    let desired = [want("cf.eu.a.new.v1", 3), want("cf.eu.b.changed.v1", 3), want("cf.eu.c.grown.v1", 6)];
    let mut changed = have(&desired[1]);
    changed.configs.insert("retention.ms".into(), "1".into());
    let actual = [changed, have(&want("cf.eu.c.grown.v1", 3)), have(&want("cf.eu.d.odd.v1", 1))];
    let diff = plan(&desired, &actual);
    assert_eq!(
        diff.to_string(),
        "+ cf.eu.a.new.v1: 3 partitions, 1 replicas, cleanup.policy=delete, retention.ms=604800000\n\
         ~ cf.eu.b.changed.v1\n    retention.ms: 1 -> 604800000\n\
         ! cf.eu.c.grown.v1: 3 -> 6 partitions is refused (TOP-0003)\n\
         ? cf.eu.d.odd.v1: not specified, left alone\n\
         1 to create, 1 to alter, 1 refused, 0 unchanged"
    );
    assert_eq!(diff.hash().len(), 64);
    assert_eq!(diff.hash(), plan(&desired, &actual).hash());
    assert_ne!(diff.hash(), plan(&desired[..2], &actual).hash());
}
