//! Flags that several commands have, and what they do.

use std::path::PathBuf;

use serde::Serialize;

/// How figures are printed.
#[derive(Clone, Debug, clap::Args)]
pub struct Print {
    /// Print the figures as one JSON object, and nothing else on standard output
    #[arg(long)]
    json: bool,
}

/// What stays behind.
#[derive(Clone, Debug, clap::Args)]
pub struct Keep {
    /// Keep logs and ledgers in this folder, which must not exist yet
    #[arg(long = "keep", value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl Print {
    pub fn figures(&self, figures: &impl Serialize) -> anyhow::Result<()> {
        print(self.json, figures)
    }
}

/// One line with `json`, else one that people can read.
pub fn print(json: bool, figures: &impl Serialize) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string(figures) } else { serde_json::to_string_pretty(figures) };
    println!("{}", text?);
    Ok(())
}
