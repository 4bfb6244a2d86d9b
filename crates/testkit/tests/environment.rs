//! What the environment decides: another cluster is used when it is named, and what is missing is said plainly.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use testkit::kafka::{self, Kafka, Options};
use testkit::registry::Apicurio;

/// Set in the second process, to what it has to do.
const ROLE: &str = "COUNTERFOIL_TESTKIT_ROLE";

/// The environment of a process cannot be changed safely once threads run, so each case is this test program again.
fn again(test: &str, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", test])
        .env(ROLE, "second")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_second() -> bool {
    std::env::var_os(ROLE).is_some()
}

#[test]
fn a_named_cluster_is_used_and_left_alone() {
    if is_second() {
        let kafka = Kafka::start(&Options::default()).unwrap();
        let refused = kafka.kill9().unwrap_err();
        return println!("bootstrap {} and {refused}", kafka.bootstrap());
    }
    let said =
        again("a_named_cluster_is_used_and_left_alone", &[(kafka::BOOTSTRAP_VARIABLE, "127.0.0.1:9092")]);
    assert!(said.contains("bootstrap 127.0.0.1:9092 and "), "{said}");
    assert!(said.contains("was not started by the test kit and is not killed by it"), "{said}");
}

#[test]
fn a_named_registry_is_used_and_left_alone() {
    if is_second() {
        let registry = Apicurio::shared().unwrap();
        let refused = registry.stop().unwrap_err();
        return println!("registry {} and {refused}", registry.url());
    }
    let named = [(testkit::registry::URL_VARIABLE, "http://127.0.0.1:8081/apis/ccompat/v7/")];
    let said = again("a_named_registry_is_used_and_left_alone", &named);
    assert!(said.contains("registry http://127.0.0.1:8081/apis/ccompat/v7 and "), "{said}");
    assert!(said.contains("was not started by the test kit"), "{said}");
}

#[test]
fn a_machine_without_java_is_told_what_is_missing() {
    if is_second() {
        println!("kafka: {:#}", kafka::shared().unwrap_err());
        return println!("registry: {:#}", Apicurio::shared().unwrap_err());
    }
    let said = again("a_machine_without_java_is_told_what_is_missing", &[("PATH", "/nonexistent")]);
    for told in
        ["no Docker engine answers", "java cannot be started", "KAFKA_BOOTSTRAP=host:port", "REGISTRY_URL="]
    {
        assert!(said.contains(told), "{told:?} is not in {said}");
    }
}
