//! Packages from PyPI, in a directory of their own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

/// Fetches the packages of `requirements` into `place`, for `PYTHONPATH`.
///
/// Into a plain directory: a virtual environment cannot be moved into place, and Debian's Python may be unable to
/// make one. Where Python itself has no pip, the one of a virtual environment does it.
pub(crate) fn install(place: &Path, requirements: &str) -> anyhow::Result<()> {
    let list = place.join("requirements.txt");
    std::fs::write(&list, requirements).context("cannot write the requirements")?;
    if python(&["-m".as_ref(), "pip".as_ref(), "--version".as_ref()]).is_ok() {
        return pip("python3".as_ref(), place, &list);
    }
    let environment = tempfile::tempdir().context("cannot create a directory for a virtual environment")?;
    python(&["-m".as_ref(), "venv".as_ref(), environment.path()])
        .context("Python has neither pip nor ensurepip; one of them is needed to fetch packages once")?;
    pip(&environment.path().join("bin").join("python"), place, &list)
}

/// Runs a command to its end, and gives what it printed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().context("python3 cannot be started; it is needed")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?} failed:\n{said}");
    Ok(output.stdout)
}

fn pip(python: &Path, place: &Path, requirements: &Path) -> anyhow::Result<()> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
    run(pip.arg(place).arg("--requirement").arg(requirements))
        .context("pip could not fetch packages (network?)")?;
    Ok(())
}

fn python(arguments: &[&Path]) -> anyhow::Result<()> {
    run(Command::new("python3").args(arguments)).map(drop)
}
