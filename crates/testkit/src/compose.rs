//! Checking a Compose file with an implementation of the Compose specification.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use crate::cache;

/// A Go program on the specification's reference implementation, which is the one inside `docker compose`.
const SOURCES: [(&str, &str); 3] = [
    ("main.go", include_str!("../assets/compose-check/main.go")),
    ("go.mod", include_str!("../assets/compose-check/go.mod")),
    ("go.sum", include_str!("../assets/compose-check/go.sum")),
];
/// Raised with any change of the program, since an installed one is not built again.
const INSTALL: &str = "compose-check-1";

/// Resolves and validates a Compose file as `docker compose config` does, with `environment` besides the process's
/// own, and returns the whole project: variables filled in, env files merged, short forms made long.
///
/// Uses `docker compose` if it is there, else builds the reference implementation with Go on first use. Blocks.
///
/// # Errors
/// When the file is not valid; the text says why. When neither Docker's Compose nor Go can be started.
pub fn resolve(file: &Path, environment: &[(&str, &str)]) -> anyhow::Result<Value> {
    let mut compose = if docker_has_compose() {
        let mut docker = Command::new("docker");
        docker.arg("compose").arg("--file").arg(file).args(["--profile", "*", "config", "--format", "json"]);
        docker
    } else {
        let mut check = Command::new(reference_implementation()?);
        check.arg(file);
        check
    };
    let output = compose
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .context("the Compose implementation cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{} is not a valid Compose file: {said}", file.display());
    serde_json::from_slice(&output.stdout).context("the Compose implementation printed no JSON")
}

fn docker_has_compose() -> bool {
    let version = Command::new("docker").args(["compose", "version"]).stdin(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}

fn reference_implementation() -> anyhow::Result<PathBuf> {
    let place = cache::installed(INSTALL, |place| {
        for (name, text) in SOURCES {
            std::fs::write(place.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        let output = Command::new("go")
            .args(["build", "-o", "compose-check", "."])
            .current_dir(place)
            .stdin(Stdio::null())
            .output()
            .context(
                "neither `docker compose` nor go can be started; one is needed to check a Compose file",
            )?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "go could not build compose-check (network?):\n{said}");
        Ok(())
    })?;
    Ok(place.join("compose-check"))
}
