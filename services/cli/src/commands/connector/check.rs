//! `counterfoil connector check`: what is wrong or odd about a definition and what stands beside it.

use std::{
    collections::BTreeSet,
    error::Error as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Value, json};
use target::{Connector, DefinitionError, Severity};

use super::{beside, webhook};
use crate::{
    error::{self, CommandError},
    out,
};

/// The stable code of a finding that is no error of reading.
const ODD: &str = "CFG-0211";

/// Flags of `counterfoil connector check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Files of definitions, folders of them, or a connector's own folder with its webhooks
    #[arg(value_name = "PATH", default_value = "connectors")]
    paths: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A finding with its place.
pub(super) struct Told {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) error: bool,
    pub(super) code: &'static str,
    pub(super) what: String,
}

/// What was found, what is left out knowingly, and how many cases were run.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) told: Vec<Told>,
    pub(super) gaps: Vec<String>,
    pub(super) cases: usize,
}

impl Checked {
    fn add(&mut self, other: Self) {
        self.told.extend(other.told);
        self.gaps.extend(other.gaps);
        self.cases += other.cases;
    }
}

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let Found { definitions, webhooks } = find(&args.paths).map_err(error::command)?;
    let mut all = Checked::default();
    for file in &definitions {
        let yaml = std::fs::read_to_string(file).map_err(|source| {
            error::command(CommandError::Input { file: file.display().to_string(), source })
        })?;
        all.add(check(file, &yaml)?);
    }
    for folder in &webhooks {
        all.add(webhook::check(folder)?);
    }
    let Checked { told, gaps, cases } = all;
    let good = told.iter().all(|t| !t.error);
    if args.json {
        let findings: Value = told.iter().map(Told::json).collect();
        let document = json!({
            "valid": good, "definitions": definitions.len(), "webhooks": webhooks.len(), "cases": cases,
            "findings": findings, "left_out": gaps,
        });
        out::line(format_args!("{document:#}"));
    } else {
        told.iter().for_each(|t| out::line(t.line()));
        gaps.iter().for_each(out::line);
        let errors = told.iter().filter(|t| t.error).count();
        out::line(format!(
            "{} definitions, {} webhooks, {errors} errors, {} warnings, {cases} cases",
            definitions.len(),
            webhooks.len(),
            told.len() - errors
        ));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(file: &Path, yaml: &str) -> anyhow::Result<Checked> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let at = |line: usize, column: usize, error: bool, what: String| Told {
        file: file.display().to_string(),
        line,
        column,
        error,
        code: ODD,
        what,
    };
    let connector = match Connector::parse(&name, yaml) {
        Ok(connector) => connector,
        Err(error) => {
            let (line, column) = place(&error);
            return Ok(Checked { told: vec![at(line, column, true, reason(&error))], ..Checked::default() });
        }
    };
    let mut told: Vec<Told> = target::lint(&connector, yaml)
        .into_iter()
        .map(|f| at(f.line.unwrap_or(1), 1, f.severity == Severity::Error, f.what))
        .collect();
    if connector.connector != name {
        let what =
            format!("the definition says `connector: {}`, its file is called `{name}`", connector.connector);
        told.insert(0, at(1, 1, true, what));
    }
    let folder = file.with_extension("");
    told.extend(beside::references(&connector, &folder.join("mappings"))?);
    let (cases, wrong) = beside::cases(&connector, &folder.join("tests"));
    told.extend(wrong);
    let gaps = target::gaps(&connector).into_iter().map(|gap| format!("{}: {gap}", file.display()));
    Ok(Checked { told, gaps: gaps.collect(), cases })
}

/// What the parser said, in a line, with the name that was perhaps meant.
fn reason(error: &DefinitionError) -> String {
    let said = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let first = said.lines().next().unwrap_or_default();
    let first = first.split_once(": line ").map_or(first, |(_, rest)| rest);
    let what = first.split_once(": ").map_or(first, |(_, what)| what);
    match target::meant(&said) {
        Some(meant) => format!("{what}; did you mean `{meant}`?"),
        None => what.to_owned(),
    }
}

fn place(error: &DefinitionError) -> (usize, usize) {
    match error {
        DefinitionError::Yaml { source, .. } => {
            source.location().map_or((1, 1), |at| (at.line() as usize, at.column() as usize))
        }
        DefinitionError::File { .. } | DefinitionError::Value { .. } | DefinitionError::Auth { .. } => (1, 1),
    }
}

impl Told {
    fn line(&self) -> String {
        let Self { file, line, column, error, code, what } = self;
        let severity = if *error { code } else { "warning" };
        format!("{file}:{line}:{column}: {severity}: {what}")
    }

    fn json(&self) -> Value {
        json!({
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": if self.error { "error" } else { "warning" },
            "code": self.code,
            "message": self.what,
        })
    }
}

/// What there is to check, each once.
#[derive(Default)]
struct Found {
    /// Files of definitions, in the order in which they were named.
    definitions: Vec<PathBuf>,
    /// Folders with a webhook half.
    webhooks: BTreeSet<PathBuf>,
}

/// The definitions that are named or stand in a named folder, and the webhook halves beside them or without one.
fn find(paths: &[PathBuf]) -> Result<Found, CommandError> {
    let mut found = Found::default();
    for path in paths {
        if webhook::is_half(path) {
            found.webhooks.insert(path.clone());
        } else if path.is_dir() {
            found.definitions.extend(within(path, "yaml")?);
            found.webhooks.extend(entries(path)?.into_iter().filter(|folder| webhook::is_half(folder)));
        } else if webhook::is_file(path) {
            found.webhooks.insert(path.parent().unwrap_or(Path::new("")).to_owned());
        } else {
            found.definitions.push(path.clone());
            found.webhooks.extend(Some(path.with_extension("")).filter(|folder| webhook::is_half(folder)));
        }
    }
    Ok(found)
}

/// The files of a folder with this extension, in order.
pub(super) fn within(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, CommandError> {
    let mut found = entries(folder)?;
    found.retain(|file| file.extension().is_some_and(|e| e == extension));
    Ok(found)
}

/// What a folder holds, in order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let unreadable = |source| CommandError::Input { file: folder.display().to_string(), source };
    let entries =
        std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    let mut found: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}
