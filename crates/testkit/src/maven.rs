//! Java archives from Maven Central, through the ordinary client.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

/// Runs a goal of a project whose `pom.xml` is `pom`: offline when the local repository already has everything.
pub(crate) fn run(pom: &str, directory: &Path, goal: &[&str]) -> anyhow::Result<()> {
    let file = directory.join("pom.xml");
    std::fs::write(&file, pom).context("cannot write a Maven project")?;
    let maven = |offline: &[&str]| {
        Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(&file)
            .args(offline)
            .args(goal)
            .stdin(Stdio::null())
            .output()
            .context("mvn (Apache Maven) cannot be started; it is needed to fetch the Java archives once")
    };
    if maven(&["-o"])?.status.success() {
        return Ok(());
    }
    let online = maven(&[])?;
    let said = String::from_utf8_lossy(&online.stdout);
    anyhow::ensure!(online.status.success(), "mvn could not fetch the Java archives (network?):\n{said}");
    Ok(())
}

/// Fails, saying so in plain words, when there is no Java at all.
pub(crate) fn java() -> anyhow::Result<Command> {
    let version = Command::new("java").arg("-version").stdin(Stdio::null()).output();
    version.context("java cannot be started; a Java run time, version 17 or later, is needed")?;
    Ok(Command::new("java"))
}
