//! What a child process prints, in a file and in memory.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{ChildStderr, ChildStdout};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Lines kept in memory.
const KEPT: usize = 1_000;
/// Lines shown in an error.
const SHOWN: usize = 40;

#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Lines>,
    printed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    /// Number of lines printed before the first one that is kept.
    dropped: usize,
    /// Streams that have not ended.
    open: usize,
}

impl Output {
    /// Starts reading both streams into the file and into memory.
    pub(super) fn capture(
        &self,
        log: &Path,
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
    ) -> anyhow::Result<()> {
        let file =
            OpenOptions::new().create(true).append(true).open(log).context("cannot open a process log")?;
        if let Some(stream) = stdout {
            self.read(stream, file.try_clone().context("cannot share a process log")?)?;
        }
        if let Some(stream) = stderr {
            self.read(stream, file)?;
        }
        Ok(())
    }

    /// The thread ends when the child, and whoever inherited the stream from it, has closed the stream.
    fn read(&self, stream: impl Read + Send + 'static, mut log: File) -> anyhow::Result<()> {
        self.lines().open += 1;
        let output = self.clone();
        let read = move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if let Err(error) = log.write_all(&line) {
                    eprintln!("testkit: cannot write a process log: {error}");
                }
                output.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
            output.lines().open -= 1;
            output.shared.printed.notify_all();
        };
        std::thread::Builder::new()
            .name("process-output".to_owned())
            .spawn(read)
            .context("cannot start a thread for a process's output")?;
        Ok(())
    }

    fn push(&self, line: String) {
        let mut lines = self.lines();
        if lines.kept.len() == KEPT {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
        lines.kept.push_back(line);
        self.shared.printed.notify_all();
    }

    /// A line with `text` at or after line number `from`, which is moved past the lines looked at. Waits for `pause`
    /// at most; when the process has ended, for the rest of what it printed.
    pub(super) fn find(&self, text: &str, from: &mut usize, ended: bool, pause: Duration) -> Option<String> {
        let until = Instant::now() + if ended { Duration::from_secs(2) } else { pause };
        let mut lines = self.lines();
        loop {
            let skip = from.saturating_sub(lines.dropped);
            if let Some(line) = lines.kept.iter().skip(skip).find(|line| line.contains(text)) {
                return Some(line.clone());
            }
            *from = lines.dropped + lines.kept.len();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.open == 0 {
                return None;
            }
            lines = match self.shared.printed.wait_timeout(lines, left) {
                Ok((lines, _)) => lines,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    pub(super) fn tail(&self) -> String {
        let lines = self.lines();
        let skip = lines.kept.len().saturating_sub(SHOWN);
        lines.kept.iter().skip(skip).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.shared.lines.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
