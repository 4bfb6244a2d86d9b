//! The webhook half of a connector: how its webhooks are verified, what events they become, and the cases of both.

use std::path::{Path, PathBuf};

use gateway::webhook::{Vector, faults};
use mapping::{Diagnostic, Program, Signature, connectors::embedded_file, recorded, signature::Verify};

use super::{
    beside::{self, CASE},
    check::{Checked, Told},
};
use crate::error::{self, CommandError};

const SIGNATURE: &str = "webhook.yaml";
const PROGRAM: &str = "webhook.vrl";
const VECTORS: &str = "signatures.yaml";
/// A finding that is no error.
const ODD: &str = "CFG-0211";

/// Whether a file is one of a webhook half.
pub(super) fn is_file(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == SIGNATURE || name == PROGRAM)
}

/// Whether a folder has a webhook half.
pub(super) fn is_half(folder: &Path) -> bool {
    folder.join(SIGNATURE).is_file() || folder.join(PROGRAM).is_file()
}

/// Reads, compiles and runs what stands in a connector's folder.
pub(super) fn check(folder: &Path) -> anyhow::Result<Checked> {
    let mut checked = Checked::default();
    let tests = folder.join("tests");
    let signature = text(folder, SIGNATURE)?;
    if let Some((file, text)) = &signature {
        match Signature::parse(file, text) {
            Ok(how) => {
                checked.told.extend(weak(&how).map(|(field, what)| odd(file, top(text, field), what)));
                vectors(&how, &tests, &mut checked);
            }
            Err(found) => checked.told.push(of(found)),
        }
    }
    if let Some((file, text)) = text(folder, PROGRAM)? {
        if signature.is_none() && !is_built_in(folder) {
            let what =
                "no webhook.yaml says how its webhooks are verified: each connection must name a `scheme`";
            checked.told.push(odd(&file, 1, what));
        }
        match Program::compile(&file, &text) {
            Ok(program) => payloads(&program, &tests, &mut checked),
            Err(found) => checked.told.extend(found.into_iter().map(of)),
        }
    }
    Ok(checked)
}

/// Whether the program itself brings the way of verifying that a folder over its own leaves out.
fn is_built_in(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    embedded_file(&format!("{name}/{SIGNATURE}")).is_some()
}

/// What is weaker than it need be, if the system knows another way: the field, and why.
fn weak(how: &Signature) -> Option<(&'static str, &'static str)> {
    if how.verify == Verify::HashConcat {
        let what = "a hash over secret and body can be continued by whoever has seen one; take an hmac where the system has it";
        return Some(("verify", what));
    }
    let what = "a secret in the address gets into the logs of all who forward it; take a header where the system can";
    (how.verify == Verify::SharedSecret && how.query.is_some()).then_some(("query", what))
}

/// The line of a field.
fn top(yaml: &str, field: &str) -> usize {
    let begins = |line: &str| line.strip_prefix(field).is_some_and(|rest| rest.starts_with(':'));
    yaml.lines().position(begins).map_or(1, |at| at + 1)
}

fn odd(file: &str, line: usize, what: &str) -> Told {
    Told { file: file.to_owned(), line, column: 1, error: false, code: ODD, what: what.to_owned() }
}

/// A file of the folder with its name for messages, if it is there.
fn text(folder: &Path, name: &str) -> anyhow::Result<Option<(String, String)>> {
    let path = folder.join(name);
    let file = path.display().to_string();
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|source| error::command(CommandError::Input { file: file.clone(), source }))?;
    Ok(Some((file, text)))
}

fn of(found: Diagnostic) -> Told {
    Told {
        file: found.program,
        line: found.line,
        column: found.column,
        error: true,
        code: found.code,
        what: found.message,
    }
}

/// Holds the way of signing against signatures from elsewhere.
fn vectors(signature: &Signature, tests: &Path, checked: &mut Checked) {
    let file = tests.join(VECTORS);
    let Ok(yaml) = std::fs::read_to_string(&file) else { return };
    let told = |(line, column): (usize, usize), what: String| Told {
        file: file.display().to_string(),
        line,
        column,
        error: true,
        code: CASE,
        what,
    };
    let vectors: Vec<Vector> = match serde_saphyr::from_str(&yaml) {
        Ok(vectors) => vectors,
        Err(error) => {
            let at = error.location().map_or((1, 1), |at| (at.line() as usize, at.column() as usize));
            let said = error.to_string();
            let what = format!("it is no list of signatures: {}", said.lines().next().unwrap_or_default());
            checked.told.push(told(at, what));
            return;
        }
    };
    checked.cases += vectors.len();
    checked.told.extend(vectors.iter().filter_map(|vector| {
        let what = vector.run(signature).err()?;
        Some(told((beside::line(&yaml, &vector.name), 1), format!("{}: {what}", vector.name)))
    }));
}

/// Holds the program against recorded webhooks, and what it makes of them against the contracts.
fn payloads(program: &Program, tests: &Path, checked: &mut Checked) {
    let told = |file: PathBuf, what: String| Told {
        file: file.display().to_string(),
        line: 1,
        column: 1,
        error: true,
        code: CASE,
        what,
    };
    let (recorded, wrong) = recorded::read(tests);
    if recorded.is_empty() && wrong.is_empty() {
        let what = "no recorded webhook shows what it does: tests/<name>.json with <name>.expected.json";
        checked.told.push(odd(program.name(), 1, what));
    }
    checked.cases += recorded.len();
    checked.told.extend(wrong.into_iter().map(|wrong| told(wrong.file, wrong.what)));
    for one in &recorded {
        match one.run(program) {
            Err(wrong) => checked.told.push(told(wrong.file, wrong.what)),
            Ok(events) => {
                let refused = events.iter().enumerate().flat_map(|(at, event)| {
                    faults(event).into_iter().map(move |fault| {
                        format!("the gateway refuses events[{at}]: {}: {}", fault.path, fault.message)
                    })
                });
                checked.told.extend(refused.map(|what| told(one.expectation.clone(), what)));
            }
        }
    }
}
