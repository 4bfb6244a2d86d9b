//! A small run of `faults tryton`: a kill, lost answers, and one posted invoice for every event.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn every_event_becomes_one_posted_invoice() {
    let output = Command::new(env!("CARGO_BIN_EXE_faults"))
        .args(["tryton", "--events", "12", "--kills", "1", "--seed", "7", "--json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let figures: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no figures: {said}"));
    let figure = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures}"));
    assert_eq!([figure("events"), figure("invoices"), figure("kills")], [12, 12, 1], "{figures}\n{said}");
    for wrong in ["duplicates", "lost", "wrong_state", "wrong_content", "not_committed", "behind"] {
        assert_eq!(figure(wrong), 0, "{wrong}: {figures}\n{said}");
    }
    assert!(figure("tried_again") > 0, "no answer was lost: {figures}\n{said}");
    assert!(output.status.success(), "{figures}\n{said}");
}
