//! `faults points`: a crash at each of twelve points, for each class of target. Nothing is lost or double, and K and U need nobody.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use serde_json::Value;

#[test]
fn a_crash_at_any_point_loses_nothing_and_doubles_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_faults"))
        .args(["points", "--json"])
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
        assert_eq!(points.len(), 12, "{class}: {points:?}\n{said}");
    }
    for wrong in ["unexpected", "manual_steps", "violations"] {
        assert_eq!(figures[wrong], 0, "{wrong}: {figures}\n{said}");
    }
    assert!(output.status.success(), "{figures}\n{said}");
}
