//! The shipped topic specifications, and what happens to wrong ones.
#![allow(clippy::unwrap_used)]

use std::{error::Error as _, fs, path::Path};

use event::ObjectKind;
use topics::{Specs, TopicPlan, TopicsError, names};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../topics");

fn named<'a>(topics: &'a [TopicPlan], name: &str) -> &'a TopicPlan {
    topics.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no topic {name}"))
}

/// The error of loading a folder that holds `file` with `text` in it.
fn load_error(file: &str, text: &str) -> TopicsError {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(file), text).unwrap();
    Specs::load(dir.path()).unwrap_err()
}

fn shipped(file: &str) -> String {
    fs::read_to_string(Path::new(FOLDER).join(file)).unwrap()
}

#[test]
fn every_file_of_the_folder_is_in_the_binary() {
    let files = fs::read_dir(FOLDER)
        .unwrap()
        .filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "yaml"));
    let specs = Specs::embedded().unwrap();
    assert_eq!(files.count(), specs.iter().count());
    let folder = Specs::load(Path::new(FOLDER)).unwrap();
    assert!(specs.iter().eq(folder.iter()));
}

#[test]
fn a_region_has_every_topic() {
    let tenants = ["acme".parse().unwrap(), "globex".parse().unwrap()];
    let topics = Specs::embedded().unwrap().all_for("eu", &tenants).unwrap();
    assert_eq!(topics.len(), 2 * ObjectKind::ALL.len() + 2 + 3);
    for object in ObjectKind::ALL {
        let input = named(&topics, &names::object_topic("eu", object));
        let ledger = named(&topics, &names::ledger(&input.name));
        assert_eq!(input.partitions, ledger.partitions);
        assert_eq!(input.configs["cleanup.policy"], "delete");
        assert_eq!(input.configs["retention.ms"], "604800000");
        assert_eq!(
            (ledger.configs["cleanup.policy"].as_str(), ledger.configs["retention.ms"].as_str()),
            ("compact", "-1")
        );
        assert_eq!((ledger.replication, ledger.configs["min.insync.replicas"].as_str()), (3, "2"));
    }
    for name in ["cf.eu.dlq.acme.v1", "cf.eu.dlq.globex.v1", "cf.eu.dlq.unattributed.v1"] {
        let dlq = named(&topics, name);
        assert_eq!((dlq.partitions, dlq.configs["max.message.bytes"].as_str()), (1, "2097152"));
    }
    named(&topics, "cf.eu.platform.outcome.v1");
    let control = named(&topics, "cf.eu.platform.control.v1");
    assert_eq!((control.partitions, control.configs["cleanup.policy"].as_str()), (1, "compact"));
}

#[test]
fn a_tenant_given_twice_has_one_topic() {
    let acme = "acme".parse().unwrap();
    let specs = Specs::embedded().unwrap();
    let once = specs.all_for("eu", std::slice::from_ref(&acme)).unwrap();
    assert_eq!(specs.all_for("eu", &[acme.clone(), acme]).unwrap(), once);
}

#[test]
fn wrong_regions_and_reserved_tenants_are_refused() {
    let specs = Specs::embedded().unwrap();
    assert_eq!(specs.all_for("EU", &[]).unwrap_err().code(), "TOP-0005");
    assert_eq!(specs.all_for("eu", &["unattributed".parse().unwrap()]).unwrap_err().code(), "TOP-0005");
}

#[test]
fn a_small_cluster_is_an_explicit_choice() {
    for (replication, in_sync) in [(1, "1"), (2, "1"), (3, "2"), (5, "2")] {
        let topics = Specs::embedded().unwrap().with_replication(replication).all_for("eu", &[]).unwrap();
        for topic in topics {
            assert_eq!(
                (topic.replication, topic.configs["min.insync.replicas"].as_str()),
                (replication, in_sync)
            );
        }
    }
}

#[test]
fn a_folder_overrides_the_binary_file_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let text = shipped("invoice.yaml").replace("partitions: 12", "partitions: 48").replace("7d", "36h");
    fs::write(dir.path().join("invoice.yaml"), text).unwrap();
    fs::write(dir.path().join("README.md"), "not a specification").unwrap();
    let topics = Specs::load(dir.path()).unwrap().all_for("eu", &[]).unwrap();
    let invoice = named(&topics, "cf.eu.finance.invoice.v1");
    assert_eq!((invoice.partitions, invoice.configs["retention.ms"].as_str()), (48, "129600000"));
    assert_eq!(named(&topics, "cf.eu.finance.invoice.v1.ledger").partitions, 48);
    assert_eq!(named(&topics, "cf.eu.sales.order.v1").partitions, 12);
}

#[test]
fn a_broken_rule_names_the_file_and_the_field() {
    for (file, from, to, field) in [
        ("invoice.yaml", "topic: \"cf.{region}.finance.invoice.v1\"", "topic: invoices", "topic"),
        ("invoice.yaml", "invoice.v1-value", "invoices-value", "subject"),
        ("invoice.yaml", "subject: \"cf.{region}.finance.invoice.v1-value\"\n", "", "subject"),
        ("invoice.yaml", "key: tenant/object/entity", "key: entity", "key"),
        ("invoice.yaml", "owner: finance", "owner: \"\"", "owner"),
        ("invoice.yaml", "placement: pooled", "placement: per_tenant", "placement"),
        ("invoice.yaml", "partitions: 12", "partitions: 0", "partitions"),
        ("invoice.yaml", "partitions: 12\n", "", "partitions"),
        ("invoice.yaml", "replication: 3", "replication: 0", "replication"),
        ("invoice.yaml", "min_insync_replicas: 2", "min_insync_replicas: 4", "min_insync_replicas"),
        ("invoice.yaml", "max_message_bytes: 1048576", "max_message_bytes: 99999999", "max_message_bytes"),
        ("control.yaml", "cleanup: compact\nretention: forever", "cleanup: delete\nretention: 7d", "cleanup"),
        ("ledger.yaml", "placement: per_input", "placement: per_input\npartitions: 3", "partitions"),
        ("ledger.yaml", "retention: forever", "retention: 7d", "retention"),
        ("ledger.yaml", "cleanup: compact", "cleanup: delete", "cleanup"),
    ] {
        let good = shipped(file);
        assert!(good.contains(from), "{file} has no `{from}`");
        let error = load_error(file, &good.replace(from, to));
        assert_eq!(error.code(), "TOP-0002", "{from} -> {to}: {error}");
        assert!(error.to_string().starts_with(&format!("{file}: `{field}` ")), "{from} -> {to}: {error}");
    }
}

#[test]
fn what_is_no_specification_says_where() {
    let good = shipped("order.yaml");
    for (from, to) in [
        ("partitions: 12", "partitions: many"),
        ("owner:", "onwer:"),
        ("7d", "7 days"),
        ("7d", "0d"),
        ("7d", "d"),
    ] {
        let error = load_error("order.yaml", &good.replace(from, to));
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("TOP-0001", "order.yaml is not a topic specification")
        );
        assert!(error.source().unwrap().to_string().contains("line"), "{:?}", error.source());
    }
    assert_eq!(Specs::load(Path::new("/nowhere")).unwrap_err().code(), "TOP-0001");
}

#[test]
fn two_files_for_one_topic_are_refused() {
    let error = load_error("orders.yaml", &shipped("order.yaml"));
    assert_eq!(error.code(), "TOP-0004");
    assert_eq!(
        error.to_string(),
        "order.yaml and orders.yaml both specify the topic cf.{region}.sales.order.v1"
    );
}
