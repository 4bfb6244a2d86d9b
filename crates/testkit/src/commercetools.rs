//! commercetools-mock: a server with the API of commercetools, of which optimistic locking is used: a change names the
//! version that it was made for, and one that names an old version is refused (409 ConcurrentModification).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use crate::{Process, Scratch, cache};

const VERSION: &str = "4.4.0";
const PACKAGE: &str = include_str!("../assets/commercetools/package.json");
const LOCK: &str = include_str!("../assets/commercetools/package-lock.json");
const SERVER: &str = include_str!("../assets/commercetools/server.mjs");
const START_WITHIN: Duration = Duration::from_secs(30);
const READY: &str = "listening ";

/// A running server with an empty project. It ends on drop.
#[derive(Debug)]
pub struct Commercetools {
    url: String,
    _process: Process,
    _scratch: Scratch,
}

impl Commercetools {
    /// Starts a server, installing it with npm on first use, and waits until it listens. Blocks.
    ///
    /// # Errors
    /// When node or npm is missing, the install fails or the server does not start.
    pub fn start() -> anyhow::Result<Self> {
        let place = install()?;
        let scratch = Scratch::new()?;
        let script = scratch.path().join("server.mjs");
        std::fs::write(&script, SERVER).context("cannot write the server's script")?;
        let mut node = Command::new("node");
        node.arg(&script).arg(place.join("node_modules/@labdigital/commercetools-mock/dist/index.mjs"));
        let process = Process::spawn("commercetools-mock", node, &scratch.path().join("mock.log"))?;
        let line = process.wait_for_line(READY, START_WITHIN)?;
        let url = format!("http://127.0.0.1:{}/shop", line.trim_start_matches(READY));
        Ok(Self { url, _process: process, _scratch: scratch })
    }

    /// The address of the project, without a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn install() -> anyhow::Result<PathBuf> {
    cache::installed(&format!("commercetools-mock-{VERSION}"), |place| {
        for (file, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK)] {
            std::fs::write(place.join(file), text).with_context(|| format!("cannot write {file}"))?;
        }
        npm(place)
    })
}

/// Fetches what the lock file names, and runs nothing of it.
fn npm(place: &Path) -> anyhow::Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(place).stdin(Stdio::null());
    let output =
        npm.output().context("npm cannot be started; it is needed to fetch commercetools-mock once")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "npm could not fetch commercetools-mock (network?):\n{said}");
    Ok(())
}
