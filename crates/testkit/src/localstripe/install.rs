//! localstripe from PyPI, in a directory of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::cache;

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

/// Into a plain directory: a virtual environment cannot be moved into place, and Debian's Python may be unable to
/// make one. Where Python itself has no pip, the one of a virtual environment does it.
fn install(place: &Path) -> anyhow::Result<()> {
    let requirements = place.join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS).context("cannot write the requirements")?;
    if python(&["-m".as_ref(), "pip".as_ref(), "--version".as_ref()]).is_ok() {
        return pip("python3".as_ref(), place, &requirements);
    }
    let environment = tempfile::tempdir().context("cannot create a directory for a virtual environment")?;
    python(&["-m".as_ref(), "venv".as_ref(), environment.path()])
        .context("Python has neither pip nor ensurepip; one of them is needed to fetch localstripe once")?;
    pip(&environment.path().join("bin").join("python"), place, &requirements)
}

fn pip(python: &Path, place: &Path, requirements: &Path) -> anyhow::Result<()> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
    run(pip.arg(place).arg("--requirement").arg(requirements))
        .context("pip could not fetch localstripe (network?)")
}

fn python(arguments: &[&Path]) -> anyhow::Result<()> {
    run(Command::new("python3").args(arguments))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().context("python3 cannot be started; it is needed")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?} failed:\n{said}");
    Ok(())
}
