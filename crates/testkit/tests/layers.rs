//! The layers of ARCHITECTURE.md: which of our crates may use which, and who alone uses a foreign one.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;
use testkit::workspace_root;

/// What each crate may use of ours, lowest layer first. A crate that is not listed has no place yet.
const MAY_USE: [(&str, &[&str]); 21] = [
    ("event", &[]),
    // test only; of ours it knows nothing, so that every crate's tests can use it
    ("testkit", &[]),
    ("delivery", &["event"]),
    ("topics", &["event"]),
    ("contract", &["event"]),
    ("kafka", &["event", "topics"]),
    ("ledger", &["event", "delivery"]),
    ("target", &["event", "delivery"]),
    ("mapping", &["event", "contract"]),
    ("registry", &["event", "contract"]),
    ("sandbox", &["event"]),
    ("tenancy", &["event", "topics"]),
    ("control", &["event", "contract", "kafka", "tenancy"]),
    ("telemetry", &["event"]),
    ("service-kit", &["event", "telemetry"]),
    (
        "gateway",
        &[
            "event",
            "topics",
            "contract",
            "kafka",
            "mapping",
            "tenancy",
            "control",
            "telemetry",
            "service-kit",
        ],
    ),
    (
        "sink",
        &[
            "event",
            "delivery",
            "topics",
            "contract",
            "kafka",
            "ledger",
            "target",
            "mapping",
            "tenancy",
            "control",
            "telemetry",
            "service-kit",
        ],
    ),
    (
        "source",
        &[
            "event",
            "kafka",
            "topics",
            "delivery",
            "target",
            "mapping",
            "tenancy",
            "control",
            "telemetry",
            "service-kit",
        ],
    ),
    ("sandbox-service", &["event", "sandbox", "telemetry", "service-kit"]),
    (
        "cli",
        &[
            "event",
            "delivery",
            "topics",
            "contract",
            "kafka",
            "ledger",
            "target",
            "mapping",
            "registry",
            "sandbox",
            "tenancy",
            "control",
            "telemetry",
            "service-kit",
            "gateway",
            "sink",
            "source",
            "sandbox-service",
        ],
    ),
    // a test that is a program: it runs the services as processes of its own, and looks at both ends
    ("faults", &["event", "delivery", "ledger", "testkit", "topics", "contract", "kafka", "sandbox", "cli"]),
];

/// The only user of each foreign crate, tests included.
const OWNERS: [(&str, &str); 9] = [
    ("rdkafka", "kafka"),
    ("rdkafka-sys", "kafka"),
    ("apache-avro", "contract"),
    ("schema_registry_converter", "contract"),
    ("redb", "ledger"),
    ("sled", "ledger"),
    ("vrl", "mapping"),
    ("prometheus", "telemetry"),
    ("fail", "sink"),
];

/// Deployables: only `cli`, which runs them all in one process, may build on them, and tests of their own layer.
const SERVICES: [&str; 5] = ["gateway", "sink", "source", "sandbox-service", "cli"];

#[derive(Debug, Clone)]
struct Edge {
    from: String,
    to: String,
    /// Used by tests only.
    dev: bool,
    /// The used crate is of this workspace.
    ours: bool,
}

/// With it a process dies, or breaks the protocol, where its environment says so.
const FAILPOINTS: &str = "failpoints";
/// With it a crate can be broken on purpose. The sink's `failpoints` brings `target`'s with it.
const MUTANTS: &str = "mutants";

/// Every dependency of a workspace crate, as its manifest declares it.
fn edges() -> Vec<Edge> {
    packages().iter().flat_map(edges_of).collect()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        .current_dir(workspace_root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn edges_of(package: &Value) -> Vec<Edge> {
    let from = package["name"].as_str().unwrap();
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    let edge = |dependency: &Value| Edge {
        from: from.to_owned(),
        to: dependency["name"].as_str().unwrap().to_owned(),
        dev: dependency["kind"] == "dev",
        ours: dependency["path"].is_string(),
    };
    dependencies.map(edge).collect()
}

/// What is wrong with an edge, if anything.
fn fault(edge: &Edge) -> Option<String> {
    let Edge { from, to, dev, ours } = edge;
    if !ours {
        let (_, owner) = OWNERS.iter().find(|(foreign, _)| foreign == to)?;
        return (owner != from).then(|| format!("{from} uses {to}, which is for {owner} alone"));
    }
    let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| name == from) else {
        return Some(format!("{from} has no layer yet: give it one in this test"));
    };
    let allowed = may_use.contains(&to.as_str());
    if *dev {
        // a test may stand its crate on anything that is not deployed, and a service on its peers
        let of_services = SERVICES.contains(&to.as_str()) && !SERVICES.contains(&from.as_str());
        let below = from == "testkit" || of_services;
        return below.then(|| format!("the tests of {from} use {to}, which is above it"));
    }
    (!allowed).then(|| format!("{from} uses {to}, which is not below it"))
}

#[test]
fn no_edge_goes_against_the_layers() {
    let edges = edges();
    assert!(
        edges.iter().any(|edge| edge.from == "contract" && edge.to == "event"),
        "cargo metadata said little"
    );
    let faults: Vec<_> = edges.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Every crate of the workspace, and only those, has a place.
#[test]
fn the_table_is_complete() {
    let mut named: Vec<_> = MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut present: Vec<_> = edges().into_iter().map(|edge| edge.from).collect();
    named.sort();
    present.sort();
    present.dedup();
    assert_eq!(named, present);
}

/// The image and the demo are built of packages by name; tests/faults alone asks for it.
#[test]
fn nothing_that_is_shipped_dies_on_command() {
    assert_eq!(askers(FAILPOINTS), ["faults"]);
}

#[test]
fn nothing_that_is_shipped_can_be_broken_on_purpose() {
    assert_eq!(askers(MUTANTS), [""; 0]);
}

/// Packages that ask a dependency for the feature. None has it by default.
fn askers(feature: &str) -> Vec<String> {
    let lists = |list: &Value| {
        let mut names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.any(|name| name.rsplit('/').next() == Some(feature))
    };
    let mut askers = Vec::new();
    for package in packages() {
        assert!(!lists(&package["features"]["default"]), "{}: it is on by default", package["name"]);
        let mut dependencies = package["dependencies"].as_array().unwrap().iter();
        if dependencies.any(|dependency| lists(&dependency["features"])) {
            askers.push(package["name"].as_str().unwrap().to_owned());
        }
    }
    askers
}

#[test]
fn the_table_has_no_cycle() {
    for (place, (name, may_use)) in MAY_USE.iter().enumerate() {
        for used in *may_use {
            let below = MAY_USE[..place].iter().any(|(lower, _)| lower == used);
            assert!(below, "{name} may use {used}, which is not listed before it");
        }
    }
}

#[test]
fn a_wrong_edge_is_found() {
    let edge = |from: &str, to: &str, dev, ours| Edge { from: from.into(), to: to.into(), dev, ours };
    let wrong = [
        edge("delivery", "kafka", false, true),
        edge("event", "contract", false, true),
        edge("gateway", "sink", false, true),
        edge("kafka", "gateway", true, true),
        edge("kafka", "testkit", false, true),
        edge("brand-new", "event", false, true),
        edge("sink", "rdkafka", false, false),
        edge("target", "prometheus", true, false),
    ];
    for edge in wrong {
        assert!(fault(&edge).is_some(), "{edge:?}");
    }
    let right = [
        edge("sink", "delivery", false, true),
        edge("kafka", "testkit", true, true),
        edge("gateway", "registry", true, true),
        edge("cli", "gateway", false, true),
        edge("kafka", "rdkafka", false, false),
        edge("sink", "tokio", false, false),
    ];
    for edge in right {
        assert_eq!(fault(&edge), None, "{edge:?}");
    }
}
