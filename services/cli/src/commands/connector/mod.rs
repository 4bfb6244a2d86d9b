//! `counterfoil connector`: definitions of systems, begun, checked and tried out.

mod attempt;
mod beside;
mod check;
mod new;
mod schema;
mod webhook;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Flags of `counterfoil connector`.
#[derive(Debug, Args)]
pub struct ConnectorArgs {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a definition to begin with, with a mapping and with cases: what goes out, and what answers mean
    #[command(after_help = "\
Styles: rest (documents by our reference), search (a list that is searched), jsonrpc, graphql, form.

With --webhook, how its webhooks are verified and what events they become is begun too, with cases; beside a definition that is there
already, only that.

Example:
  counterfoil connector new acme_erp --style search --webhook --dir connectors")]
    New(new::NewArgs),
    /// Read definitions, run the cases beside them, and say what is wrong or odd; asks nobody
    #[command(after_help = "\
The cases of connectors/<name>.yaml are connectors/<name>/tests/answers.yaml (what an answer means), requests.yaml and bulk.yaml (what goes
out); its base mappings, connectors/<name>/mappings/*.vrl, may refer only to what it can look up. Of its webhooks, <name>/webhook.yaml is
read, webhook.vrl compiled, and held against tests/signatures.yaml and tests/<payload>.json with <payload>.expected.json. Each finding comes as file:line:column: code: what. Exit code 0: no error (there may be warnings). 1: there is one.

Example:
  counterfoil connector check connectors/acme_erp.yaml
  counterfoil connector check connectors/acme_erp/webhook.vrl
  counterfoil connector check connectors")]
    Check(check::CheckArgs),
    /// Show what a route would send for one event, with secrets left out; with --look, ask the target about the document
    #[command(after_help = "\
With --json, `look` has `state` (same, different, unfinished, absent, several, failed), `document`, the target's id of it, and `failure`.
Exit code 0: requests can be made, and the look was answered. 1: the mapping or the definition refuses the event, or the look failed.

Example:
  counterfoil connector try --tenant acme --route customers customer.json")]
    Try(attempt::TryArgs),
    /// Print the JSON Schema of a definition, or with --webhook of a webhook.yaml, for editors
    #[command(after_help = "\
A definition whose first line is `# yaml-language-server: $schema=schema.json` is completed and checked while it is written, and so is a
webhook.yaml that begins with `# yaml-language-server: $schema=../webhook.schema.json`.

Examples:
  counterfoil connector schema > connectors/schema.json
  counterfoil connector schema --webhook > connectors/webhook.schema.json")]
    Schema(schema::SchemaArgs),
}

/// Begins, checks, tries out, or prints the vocabulary.
///
/// # Errors
/// When a file cannot be read or written.
pub async fn run(args: ConnectorArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::New(args) => new::run(&args),
        Action::Check(args) => check::run(&args),
        Action::Try(args) => attempt::run(args).await,
        Action::Schema(args) => Ok(schema::run(&args)),
    }
}
