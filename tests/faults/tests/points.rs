//! A small run of `faults points`: nothing is lost or double, and K and U need nobody. The whole of it is a step of `.ci/run`.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use serde_json::Value;

/// Of thirteen, those that no other test meets on purpose.
const POINTS: [&str; 5] = ["dlq_sent", "half_sent", "mid_restore", "outcome_acked", "wedged"];

#[test]
fn a_crash_at_any_point_loses_nothing_and_doubles_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_faults"))
        .args(["points", "--json"])
        .args(POINTS.iter().flat_map(|point| ["--point", point]))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let figures: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no figures: {said}"));
    let cells = figures["cells"].as_array().unwrap();
    for class in ["keyed", "upsert", "neither"] {
        let of_class = cells.iter().filter(|cell| cell["class"] == class);
        let points: BTreeSet<_> = of_class.map(|cell| cell["point"].as_str().unwrap()).collect();
        assert_eq!(points, BTreeSet::from(POINTS), "{class}\n{said}");
    }
    for wrong in ["unexpected", "manual_steps", "violations"] {
        assert_eq!(figures[wrong], 0, "{wrong}: {figures}\n{said}");
    }
    assert!(output.status.success(), "{figures}\n{said}");
}
