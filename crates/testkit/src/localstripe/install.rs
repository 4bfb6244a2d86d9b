//! localstripe from PyPI, in a directory of its own.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::{cache, pip};

const VERSION: &str = "1.15.10";
const REQUIREMENTS: &str = include_str!("../../assets/localstripe-requirements.txt");
const LAUNCHER: &str = include_str!("../../assets/localstripe_launcher.py");

/// A command that starts the server; its script is written to `directory`.
pub(super) fn launcher(directory: &Path) -> anyhow::Result<Command> {
    let packages = cache::installed(&format!("localstripe-{VERSION}"), install)?;
    let script = directory.join("localstripe_launcher.py");
    std::fs::write(&script, LAUNCHER).context("cannot write localstripe's launcher")?;
    let mut python = Command::new("python3");
    python.arg(&script).env("PYTHONPATH", packages).env("PYTHONUNBUFFERED", "1");
    Ok(python)
}

fn install(place: &Path) -> anyhow::Result<()> {
    pip::install(place, REQUIREMENTS)
}
