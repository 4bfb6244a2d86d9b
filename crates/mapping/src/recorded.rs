//! Recorded webhooks, and what must come of them: `connectors/<system>/tests/<name>.json`, and beside it `<name>.expected.json`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Program;

/// The largest file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
const INPUT: &str = ".json";
const EXPECTED: &str = ".expected.json";

/// A recorded webhook.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The file of its payload.
    pub file: PathBuf,
    /// The file of what must come of it.
    pub expectation: PathBuf,
    input: Value,
    expected: Expected,
}

/// What must come of a webhook: a list of events, none where it is ignored, or a refusal.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Expected {
    Events(Vec<Value>),
    Refused(Refused),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    /// What the message of the refusal must hold.
    refused: String,
}

/// Why a file is no recorded webhook, or does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub what: String,
}

/// The recorded webhooks of a folder in order of their names, and the files that are none. No folder: none.
pub fn read(folder: &Path) -> (Vec<Recorded>, Vec<Wrong>) {
    let (mut recorded, mut wrong) = (Vec::new(), Vec::new());
    for name in names(folder) {
        match one(folder, &name) {
            Ok(one) => recorded.push(one),
            Err(found) => wrong.push(found),
        }
    }
    (recorded, wrong)
}

/// The names of payloads and of expectations, each once.
fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |file: fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        name.strip_suffix(EXPECTED).or_else(|| name.strip_suffix(INPUT)).map(str::to_owned)
    };
    let mut names: Vec<String> = files.filter_map(name).collect();
    names.sort();
    names.dedup();
    names
}

fn one(folder: &Path, name: &str) -> Result<Recorded, Wrong> {
    let (file, expectation) =
        (folder.join(format!("{name}{INPUT}")), folder.join(format!("{name}{EXPECTED}")));
    let payload = json_of(&file)?;
    let expected = serde_json::from_value(json_of(&expectation)?).map_err(|_| Wrong {
        file: expectation.clone(),
        what: "it must be a list of events, or {\"refused\": a part of the message}".to_owned(),
    })?;
    // A payload is a body, or the request around it where headers matter.
    let whole = payload.get("headers").is_some_and(Value::is_object) && payload.get("body").is_some();
    let input = if whole { payload } else { json!({"headers": {}, "body": payload}) };
    Ok(Recorded { file, expectation, input, expected })
}

fn json_of(file: &Path) -> Result<Value, Wrong> {
    let wrong = |what: String| Wrong { file: file.to_owned(), what };
    let size = fs::metadata(file).map_err(|error| wrong(format!("cannot be read: {error}")))?.len();
    if size > MAX_FILE {
        return Err(wrong("it is larger than 1 MiB".to_owned()));
    }
    let bytes = fs::read(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    serde_json::from_slice(&bytes).map_err(|error| wrong(format!("it is no JSON: {error}")))
}

impl Recorded {
    /// The program's input.
    pub fn input(&self) -> &Value {
        &self.input
    }

    /// Runs the program over it, twice, for the same webhook must give the same events.
    ///
    /// # Errors
    /// What comes of it is not what must come.
    pub fn run(&self, program: &Program) -> Result<Vec<Value>, Wrong> {
        let wrong = |what: String| Err(Wrong { file: self.expectation.clone(), what });
        let found = program.run(self.input.clone());
        if program.run(self.input.clone()) != found {
            return wrong("the same webhook does not give the same events".to_owned());
        }
        match (&self.expected, found) {
            (Expected::Events(expected), Ok(events)) => {
                let (expected, found) = (Value::Array(expected.clone()), Value::Array(events.clone()));
                difference("events", &expected, &found).map_or(Ok(events), wrong)
            }
            (Expected::Events(_), Err(refused)) => wrong(format!("it is refused: {refused}")),
            (Expected::Refused(Refused { refused }), Err(error)) => {
                let said = error.to_string();
                if said.contains(refused) {
                    Ok(Vec::new())
                } else {
                    wrong(format!("it is refused with other words: {said}"))
                }
            }
            (Expected::Refused(_), Ok(events)) => {
                wrong(format!("it must be refused, and {} events come of it", events.len()))
            }
        }
    }
}

/// The first place where two values differ.
fn difference(path: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let of = |object: &serde_json::Map<String, Value>| object.get(name).cloned();
                at(&format!("{path}.{name}"), of(one), of(other))
            })
        }
        (Value::Array(one), Value::Array(other)) => (0..one.len().max(other.len()))
            .find_map(|n| at(&format!("{path}[{n}]"), one.get(n).cloned(), other.get(n).cloned())),
        _ if expected == found => None,
        _ => Some(format!("`{path}` is {found}, and must be {expected}")),
    }
}

fn at(path: &str, expected: Option<Value>, found: Option<Value>) -> Option<String> {
    match (expected, found) {
        (Some(expected), Some(found)) => difference(path, &expected, &found),
        (Some(expected), None) => Some(format!("`{path}` is missing, and must be {expected}")),
        (None, Some(found)) => Some(format!("`{path}` is {found}, and nothing must stand there")),
        (None, None) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PROGRAM: &str = "if .body.kind == \"bad\" { abort \"it is bad\" }\n\
                           if .body.kind == \"dull\" { return null }\n\
                           {\"id\": .body.id, \"from\": .headers.from}";

    fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    /// What the files of one case come to.
    fn outcome(payload: &str, expected: &str) -> Result<usize, String> {
        let dir = written(&[("a.json", payload), ("a.expected.json", expected), ("answers.yaml", "[]")]);
        let program = Program::compile("webhook.vrl", PROGRAM).unwrap();
        let (recorded, wrong) = read(dir.path());
        match (&recorded[..], &wrong[..]) {
            ([one], []) => one.run(&program).map(|events| events.len()).map_err(|wrong| wrong.what),
            ([], [wrong]) => Err(wrong.what.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_case_holds_or_says_where_it_does_not() {
        let says = |payload: &str, expected: &str, what: &str| {
            let found = outcome(payload, expected).unwrap_err();
            assert!(found.contains(what), "{found}");
        };
        assert_eq!(outcome(r#"{"id": 1}"#, r#"[{"id": 1, "from": null}]"#), Ok(1));
        let whole = r#"{"headers": {"from": "x"}, "body": {"id": 1}}"#;
        assert_eq!(outcome(whole, r#"[{"id": 1, "from": "x"}]"#), Ok(1));
        assert_eq!(outcome(r#"{"kind": "dull"}"#, "[]"), Ok(0));
        assert_eq!(outcome(r#"{"kind": "bad"}"#, r#"{"refused": "is bad"}"#), Ok(0));
        says(whole, r#"[{"id": 2, "from": "x"}]"#, "`events[0].id` is 1, and must be 2");
        says(whole, r#"[{"id": 1}]"#, "`events[0].from` is \"x\", and nothing must stand there");
        says(whole, r#"[{"id": 1, "from": "x", "to": "y"}]"#, "`events[0].to` is missing");
        says(whole, "[]", "`events[0]` is ");
        says(r#"{"kind": "bad"}"#, "[]", "it is refused: ");
        says(r#"{"kind": "bad"}"#, r#"{"refused": "is good"}"#, "with other words");
        says(r#"{"kind": "dull"}"#, r#"{"refused": "is bad"}"#, "it must be refused");
        says(r#"{"kind": "dull"}"#, r#"{"rejected": "is bad"}"#, "a list of events");
        says("{", "[]", "it is no JSON");
    }

    #[test]
    fn half_of_a_case_is_told() {
        for half in ["a.json", "a.expected.json"] {
            let (recorded, wrong) = read(written(&[(half, "[]")]).path());
            assert_eq!((recorded.len(), wrong.len()), (0, 1));
            assert!(wrong[0].what.starts_with("cannot be read"), "{wrong:?}");
            assert_ne!(wrong[0].file.file_name().unwrap(), half);
        }
        assert!(read(Path::new("/no/such/folder")).0.is_empty());
    }
}
