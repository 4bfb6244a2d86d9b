//! `counterfoil tenants validate`: every problem with its place, and each route's guarantee.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Value, json};
use sink::{Examined, Guarantee, Span};
use tenancy::{Environment, Offline, Problem, SecretSource, TenantSet};

use crate::out;

/// Flags of `counterfoil tenants validate`.
#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Folder of the tenants' configuration
    #[arg(long, value_name = "DIR", default_value = "tenants")]
    dir: PathBuf,
    /// Folder of connectors on top of the built-in ones: a file of it counts in the place of theirs
    #[arg(long, value_name = "DIR")]
    connectors: Option<PathBuf>,
    /// Resolve secrets and variables on this machine too; without it references are checked for their form only
    #[arg(long)]
    resolve_secrets: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ValidateArgs) -> ExitCode {
    let source: &dyn SecretSource = if args.resolve_secrets { &Environment } else { &Offline };
    let Examined { guarantees, problems, .. } = examine(&args.dir, args.connectors.as_deref(), source);
    if args.json {
        let document = json!({
            "valid": problems.is_empty(),
            "problems": problems.iter().map(problem_json).collect::<Value>(),
            "routes": guarantees.iter().map(guarantee_json).collect::<Value>(),
        });
        out::line(format_args!("{document:#}"));
    } else {
        problems.iter().for_each(|problem| out::line(line(problem)));
        table(&guarantees);
        out::line(match problems.len() {
            0 => format!("{}: valid", args.dir.display()),
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        });
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is wrong with a folder, and what its routes guarantee.
fn examine(dir: &Path, connectors: Option<&Path>, source: &dyn SecretSource) -> Examined {
    match TenantSet::load(dir, source) {
        Ok(set) => sink::examine(&set, &dir.display().to_string(), connectors),
        Err(errors) => Examined { problems: errors.problems().to_vec(), ..Examined::default() },
    }
}

/// `file:line:column: code: what; what to do`, for editors to jump to.
pub(super) fn line(problem: &Problem) -> String {
    let Problem { code, file, at, message, .. } = problem;
    let (line, column) = (at.line.max(1), at.column.max(1));
    format!("{file}:{line}:{column}: {code}: {message}; {}", problem.advice())
}

fn problem_json(problem: &Problem) -> Value {
    json!({
        "code": problem.code,
        "file": problem.file,
        "line": problem.at.line.max(1),
        "column": problem.at.column.max(1),
        "message": problem.message,
        "suggestion": problem.advice(),
    })
}

fn guarantee_json(guarantee: &Guarantee) -> Value {
    json!({
        "tenant": guarantee.tenant.as_str(),
        "route": guarantee.route,
        "objects": guarantee.objects.iter().map(|object| object.name()).collect::<Vec<_>>(),
        "connection": guarantee.connection,
        "connector": guarantee.connector,
        "class": guarantee.letter().to_string(),
        "gives": guarantee.gives.name(),
        "key_window_ms": guarantee.key_window_ms(),
        "lag_ms": guarantee.lag_ms,
        "on_unknown": guarantee.on_unknown(),
        "limits": guarantee.limits(),
        "together": guarantee.together,
    })
}

fn table(guarantees: &[Guarantee]) {
    const HEAD: [&str; 9] =
        ["TENANT", "ROUTE", "OBJECTS", "CONNECTION", "CLASS", "GIVES", "KEY WINDOW", "ON UNKNOWN", "LIMITS"];
    if guarantees.is_empty() {
        return;
    }
    let rows: Vec<[String; 9]> = guarantees.iter().map(row).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([HEAD[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let print = |cells: &[String; 9]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out::line(padded.join("  ").trim_end());
    };
    print(&HEAD.map(str::to_owned));
    rows.iter().for_each(print);
}

fn row(guarantee: &Guarantee) -> [String; 9] {
    let objects: Vec<&str> = guarantee.objects.iter().map(|object| object.name()).collect();
    let window = guarantee.key_window_ms().map_or_else(|| "-".to_owned(), |ms| Span(ms).to_string());
    [
        guarantee.tenant.to_string(),
        guarantee.route.clone(),
        objects.join(", "),
        format!("{} ({})", guarantee.connection, guarantee.connector),
        guarantee.letter().to_string(),
        guarantee.gives.to_string(),
        window,
        guarantee.on_unknown(),
        guarantee.limits(),
    ]
}
