//! A child process with captured output that cannot outlive the test.

mod output;
mod watchdog;

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use output::Output;
pub(crate) use watchdog::Watchdog;

/// The group is killed, so that a launcher script's children go too.
const KILL_GROUP: &str = r#"read -r _; kill -s KILL -- "-$1""#;
const EXIT_POLL: Duration = Duration::from_millis(20);

/// A running program: the leader of its own process group, with its output kept in a file and, the last lines, in
/// memory. Killed on drop, and also when the test process ends without dropping it.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    log: PathBuf,
    output: Output,
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Disarmed as soon as the child is reaped: its id may then belong to somebody else.
    watchdog: Option<Watchdog>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` with no standard input; both output streams are appended to the file `log`.
    ///
    /// # Errors
    /// When the program cannot be started or the log cannot be written.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let pid = Pid::from_raw(i32::try_from(child.id()).context("a process id beyond i32")?);
        let running = Mutex::new(Running { child, watchdog: None, status: None });
        let process =
            Self { name: name.to_owned(), pid, log: log.to_path_buf(), output: Output::default(), running };
        // from here on, an early return drops the process and so kills it
        let watchdog = Watchdog::arm(KILL_GROUP, &[process.pid().to_string().as_ref()])?;
        process.running().watchdog = Some(watchdog);
        process.output.capture(log, stdout, stderr)?;
        Ok(process)
    }

    /// The process id, which is also the id of its process group.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// The file with everything it printed.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last lines it printed, on either stream.
    pub fn tail(&self) -> String {
        self.output.tail()
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn status(&self) -> anyhow::Result<Option<ExitStatus>> {
        let mut running = self.running();
        if running.status.is_none()
            && let Some(status) = running.child.try_wait().context("cannot ask for an exit status")?
        {
            running.status = Some(status);
            running.watchdog = None;
        }
        Ok(running.status)
    }

    /// Waits for a printed line that contains `text` and returns it; lines printed before the call count.
    ///
    /// # Errors
    /// When the process ends or `within` is over first; the text shows the last lines.
    pub fn wait_for_line(&self, text: &str, within: Duration) -> anyhow::Result<String> {
        let deadline = Instant::now() + within;
        let mut from = 0;
        loop {
            let ended = self.status()?;
            if let Some(line) = self.output.find(text, &mut from, ended.is_some(), EXIT_POLL) {
                return Ok(line);
            }
            if let Some(status) = ended {
                anyhow::bail!("{} ended ({status}) before it printed {text:?}:\n{}", self.name, self.tail());
            }
            if Instant::now() >= deadline {
                anyhow::bail!("{} did not print {text:?} within {within:?}:\n{}", self.name, self.tail());
            }
        }
    }

    /// Waits for it to end.
    ///
    /// # Errors
    /// When `within` is over first; the text shows the last lines.
    pub fn wait(&self, within: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                anyhow::bail!("{} still runs after {within:?}:\n{}", self.name, self.tail());
            }
            std::thread::sleep(EXIT_POLL);
        }
    }

    /// Asks it to end (SIGTERM to the process itself, as an orchestrator does).
    ///
    /// # Errors
    /// When it has already ended.
    pub fn sigterm(&self) -> anyhow::Result<()> {
        self.alive("terminate")?;
        nix::sys::signal::kill(self.pid, Signal::SIGTERM)
            .with_context(|| format!("cannot terminate {}", self.name))
    }

    /// Stops its group where it is (SIGSTOP).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn sigstop(&self) -> anyhow::Result<()> {
        self.alive("stop")?;
        self.signal_group(Signal::SIGSTOP)
    }

    /// Lets a stopped group go on (SIGCONT).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn sigcont(&self) -> anyhow::Result<()> {
        self.alive("continue")?;
        self.signal_group(Signal::SIGCONT)
    }

    /// Kills its group (SIGKILL) and waits until it is gone. Nothing happens if it has already ended.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn sigkill(&self) -> anyhow::Result<()> {
        if self.status()?.is_none() {
            self.signal_group(Signal::SIGKILL)?;
            self.wait(Duration::from_secs(10))?;
        }
        Ok(())
    }

    /// Freezes it (SIGSTOP): its connections stay open, nothing answers.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.alive("pause")?;
        self.signal_group(Signal::SIGSTOP)
    }

    /// Lets it go on after [`pause`](Self::pause) (SIGCONT).
    ///
    /// # Errors
    /// When it has already ended.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.alive("resume")?;
        self.signal_group(Signal::SIGCONT)
    }

    /// Asks it to end, and kills it when it still runs after `within`. Returns its exit status.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn stop(&self, within: Duration) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.status()? {
            return Ok(status);
        }
        self.sigterm()?;
        match self.wait(within) {
            Ok(status) => Ok(status),
            Err(_) => {
                self.sigkill()?;
                self.wait(Duration::from_secs(10))
            }
        }
    }

    /// Whether the process ended because of SIGKILL.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn was_killed(&self) -> anyhow::Result<bool> {
        Ok(self.status()?.and_then(|status| status.signal()) == Some(Signal::SIGKILL as i32))
    }

    fn alive(&self, to: &str) -> anyhow::Result<()> {
        match self.status()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("cannot {to} {}: it has ended ({status})", self.name),
        }
    }

    fn signal_group(&self, signal: Signal) -> anyhow::Result<()> {
        killpg(self.pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.sigkill() {
            eprintln!("testkit: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests;
