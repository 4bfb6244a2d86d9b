//! The refusals in `connectors/tryton/tests/errors/`, which the connector's own tests classify.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::tryton::Answer;
use testkit::workspace_root;

/// Writes the files instead of comparing with them.
const RECORD: &str = "COUNTERFOIL_RECORD_TRYTON";

/// The refusals that this run has seen, to be the same as the recorded ones.
pub fn check(name: &str, answer: &Answer) {
    let path = directory().join(format!("{name}.json"));
    let kept = kept(answer);
    if std::env::var_os(RECORD).is_some() {
        std::fs::write(&path, format!("{kept:#}\n")).unwrap();
    }
    let recorded = std::fs::read_to_string(&path)
        .unwrap_or_else(|_| panic!("{} is missing; {RECORD}=1 writes it", path.display()));
    let recorded: Value = serde_json::from_str(&recorded).unwrap();
    assert_eq!(kept, recorded, "{name}: Tryton answers otherwise than recorded ({RECORD}=1 writes it anew)");
}

/// Every name of a recorded refusal.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn directory() -> PathBuf {
    workspace_root().join("connectors/tryton/tests/errors")
}

/// Status, body, and of the headers those that tell errors apart.
fn kept(answer: &Answer) -> Value {
    let mut headers = answer.headers.clone();
    headers.retain(|name, _| matches!(name.as_str(), "content-type" | "www-authenticate" | "retry-after"));
    let body = serde_json::from_str(&answer.body).unwrap_or_else(|_| Value::String(answer.body.clone()));
    json!({ "status": answer.status, "headers": headers, "body": body })
}
