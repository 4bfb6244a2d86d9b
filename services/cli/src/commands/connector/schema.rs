//! `counterfoil connector schema`: the vocabulary, for editors.

use std::process::ExitCode;

use clap::Args;

use crate::out;

/// Flags of `counterfoil connector schema`.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Of `<name>/webhook.yaml`, not of a definition
    #[arg(long)]
    webhook: bool,
}

/// Prints the JSON Schema.
pub(super) fn run(args: &SchemaArgs) -> ExitCode {
    let schema =
        if args.webhook { mapping::Signature::json_schema() } else { target::Connector::json_schema() };
    out::line(format_args!("{schema:#}"));
    ExitCode::SUCCESS
}
