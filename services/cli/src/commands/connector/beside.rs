//! What stands beside a definition: its base mappings, and the cases that it must hold.

use std::path::Path;

use mapping::payload::{Lookups, Source};
use target::{
    Connector,
    cases::{AnswerCase, BulkCase, Case, CaseError, ChangesCase, RequestCase, read},
};

use super::check::{Told, within};
use crate::error::{self, CommandError};

/// A case that does not hold, or is none.
pub(super) const CASE: &str = "CFG-0215";

/// What base mappings refer to, and the connector cannot look up.
pub(super) fn references(connector: &Connector, folder: &Path) -> anyhow::Result<Vec<Told>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let lookups = Lookups::new(connector.lookups());
    let mut told = Vec::new();
    for file in within(folder, "vrl").map_err(error::command)? {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file)
            .map_err(|source| error::command(CommandError::Input { file: name.clone(), source }))?;
        let found = lookups.misspelt(&Source { name, text });
        told.extend(found.into_iter().map(|found| Told {
            file: found.program,
            line: found.line,
            column: found.column,
            error: true,
            code: found.code,
            what: found.message,
        }));
    }
    Ok(told)
}

/// Runs the cases of a folder: how many there are, and those that do not hold.
pub(super) fn cases(connector: &Connector, folder: &Path) -> (usize, Vec<Told>) {
    let all = [
        of::<AnswerCase>(connector, folder),
        of::<RequestCase>(connector, folder),
        of::<BulkCase>(connector, folder),
        of::<ChangesCase>(connector, folder),
    ];
    let number = all.iter().map(|(number, _)| number).sum();
    (number, all.into_iter().flat_map(|(_, told)| told).collect())
}

fn of<C: Case>(connector: &Connector, folder: &Path) -> (usize, Vec<Told>) {
    let file = folder.join(C::FILE);
    let told = |(line, column): (usize, usize), what: String| Told {
        file: file.display().to_string(),
        line,
        column,
        error: true,
        code: CASE,
        what,
    };
    let cases = match read::<C>(folder) {
        Ok(cases) => cases,
        Err(error) => return (0, vec![told(place(&error), reason(&error))]),
    };
    let yaml = std::fs::read_to_string(&file).unwrap_or_default();
    let wrong = cases.iter().filter_map(|case| {
        let what = case.run(connector).err()?;
        Some(told((line(&yaml, case.name()), 1), format!("{}: {what}", case.name())))
    });
    (cases.len(), wrong.collect())
}

/// The line where a case begins.
pub(super) fn line(yaml: &str, name: &str) -> usize {
    let begins = |line: &str| {
        let rest = line.trim_start_matches("- ").trim_start().strip_prefix("name:");
        rest.is_some_and(|rest| rest.trim().trim_matches(['"', '\'']) == name)
    };
    yaml.lines().position(begins).map_or(1, |at| at + 1)
}

fn place(error: &CaseError) -> (usize, usize) {
    match error {
        CaseError::Form(source) => {
            source.location().map_or((1, 1), |at| (at.line() as usize, at.column() as usize))
        }
        CaseError::Unreadable(_) => (1, 1),
    }
}

fn reason(error: &CaseError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let what = format!("{error}: {}", source.lines().next().unwrap_or_default());
    match target::meant(&source) {
        Some(meant) => format!("{what}; did you mean `{meant}`?"),
        None => what,
    }
}
