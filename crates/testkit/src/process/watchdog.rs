//! A shell that acts when the test process is gone.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// Holds one end of a pipe; the kernel closes it when this process ends in any way, and then the shell at the other
/// end goes on from its `read` and cleans up. Dropping it first calls that off.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Starts a shell with `script`, which must begin by reading from standard input, and its arguments `$1`, ….
    pub(crate) fn arm(script: &str, arguments: &[&OsStr]) -> anyhow::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", script, "testkit-watchdog"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // its own group: an interrupt from the terminal must not end it before its work
            .process_group(0)
            .spawn()
            .context("cannot start a watchdog shell")?;
        Ok(Self { shell })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Err(error) = self.shell.kill().and_then(|()| self.shell.wait()) {
            eprintln!("testkit: cannot call off a watchdog: {error}");
        }
    }
}
