//! `counterfoil connector schema`: the vocabulary, for editors.

use std::process::ExitCode;

use crate::out;

/// Prints the JSON Schema of a definition.
pub(super) fn run() -> ExitCode {
    out::line(format_args!("{:#}", target::Connector::json_schema()));
    ExitCode::SUCCESS
}
