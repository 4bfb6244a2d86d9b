//! `counterfoil connector new`: files to begin with.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use crate::{
    error::{self, CommandError},
    out,
};

/// Flags of `counterfoil connector new`.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Name of the system: small letters, digits and `_`
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// How the system is spoken to
    #[arg(long, value_enum, default_value = "rest")]
    style: Style,
    /// Begin with webhooks too: how they are verified, and what events they become
    #[arg(long)]
    webhook: bool,
    /// Folder of connector definitions
    #[arg(long, value_name = "DIR", default_value = "connectors")]
    dir: PathBuf,
}

/// How a system is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Style {
    /// Documents by our reference.
    Rest,
    /// A list that is searched.
    Search,
    /// JSON-RPC.
    Jsonrpc,
    /// GraphQL.
    Graphql,
    /// Forms.
    Form,
}

/// The definition of a style, and its cases: answers, then requests.
macro_rules! template {
    ($style:literal) => {
        [
            include_str!(concat!("templates/", $style, ".yaml")),
            include_str!(concat!("templates/", $style, ".answers.yaml")),
            include_str!(concat!("templates/", $style, ".requests.yaml")),
        ]
    };
}

impl Style {
    fn template(self) -> [&'static str; 3] {
        match self {
            Self::Rest => template!("rest"),
            Self::Search => template!("search"),
            Self::Jsonrpc => template!("jsonrpc"),
            Self::Graphql => template!("graphql"),
            Self::Form => template!("form"),
        }
    }
}

const MAPPING: &str = include_str!("templates/invoice.vrl");

/// What a webhook half begins with, below the connector's folder.
const WEBHOOK: [(&str, &str); 9] = [
    ("webhook.yaml", include_str!("templates/webhook.yaml")),
    ("webhook.vrl", include_str!("templates/webhook.vrl")),
    ("tests/signatures.yaml", include_str!("templates/webhook.signatures.yaml")),
    ("tests/customer.created.json", include_str!("templates/webhook.customer.json")),
    ("tests/customer.created.expected.json", include_str!("templates/webhook.customer.expected.json")),
    ("tests/customer.viewed.json", include_str!("templates/webhook.ignored.json")),
    ("tests/customer.viewed.expected.json", include_str!("templates/webhook.ignored.expected.json")),
    ("tests/customer.nameless.json", include_str!("templates/webhook.nameless.json")),
    ("tests/customer.nameless.expected.json", include_str!("templates/webhook.nameless.expected.json")),
];

/// The files to write with their templates. Beside a definition that is there already, the webhook half alone.
fn files(args: &NewArgs) -> Vec<(PathBuf, &'static str)> {
    let (definition, folder) = (args.dir.join(format!("{}.yaml", args.name)), args.dir.join(&args.name));
    let [yaml, answers, requests] = args.style.template();
    let mut files = Vec::new();
    if !(args.webhook && definition.exists()) {
        files.push((definition, yaml));
        files.push((folder.join("mappings/invoice.vrl"), MAPPING));
        files.push((folder.join("tests/answers.yaml"), answers));
        files.push((folder.join("tests/requests.yaml"), requests));
    }
    if args.webhook {
        files.extend(WEBHOOK.map(|(path, text)| (folder.join(path), text)));
    }
    files
}

pub(super) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let files: Vec<(PathBuf, String)> =
        files(args).into_iter().map(|(path, text)| (path, text.replace("NAME", &args.name))).collect();
    for (path, _) in &files {
        if path.exists() {
            let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(error::command(CommandError::Output { path: path.clone(), source }));
        }
    }
    for (path, text) in &files {
        write(path, text)
            .map_err(|source| error::command(CommandError::Output { path: path.clone(), source }))?;
        out::line(format!("wrote {}", path.display()));
    }
    out::line(format!("next: counterfoil connector check {}", files[0].0.display()));
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    std::fs::write(path, text)
}

fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match text {
        "" => Err("a name is needed".to_owned()),
        text if text.len() > 40 => Err("at most 40 characters".to_owned()),
        text if text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_lowercase()) => {
            Ok(text.to_owned())
        }
        _ => Err("small letters, digits and `_`, beginning with a letter".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use contract::Contracts;
    use event::ObjectKind;
    use mapping::{
        Mapping,
        payload::{Parts, Source},
    };

    use super::*;

    /// Whoever begins with it begins with a mapping that holds against the contract.
    #[test]
    fn the_mapping_compiles() {
        let data = Contracts::embedded().object(ObjectKind::Invoice).data_type();
        let base = Some(Source { name: "invoice.vrl".into(), text: MAPPING.into() });
        assert!(Mapping::compile_for(&data, &Parts { base, ..Parts::default() }).unwrap().is_some());
    }
}
