//! The sinks: started, killed, stopped, drained, and what they counted on the way.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use parking_lot::Mutex;
use testkit::Process;
use tokio::task::JoinHandle;

use crate::{
    admin::{self, Admin, Series},
    plan::Folder,
    world::address,
};

/// How often a sink's metrics are read: what it counted after the last time is lost with a kill.
const SCRAPE: Duration = Duration::from_millis(250);
/// The signal of `abort`.
const SIGABRT: i32 = 6;
/// For a drain to end.
const DRAIN: Duration = Duration::from_secs(30);
/// Codes with which a sink stops on purpose when its ledger cannot be believed. A person removes the folder then.
const DISTRUSTS_ITS_LEDGER: [&str; 2] = ["SNK-0022", "SNK-0023"];

/// How a sink is started; its settings file apart.
pub type Start = Arc<dyn Fn() -> anyhow::Result<Command> + Send + Sync>;

struct Running {
    process: Process,
    admin: Admin,
    counted: Arc<Mutex<Series>>,
    watch: JoinHandle<()>,
    /// Its folder was empty when it began.
    from_empty: bool,
}

pub struct Sink {
    pub name: String,
    listen: String,
    start: Start,
    folder: PathBuf,
    /// A copy of the folder as it was at an earlier stop.
    copy: PathBuf,
    config: PathBuf,
    log: PathBuf,
    running: Option<Running>,
    http: reqwest::Client,
    /// What its processes that have ended had counted.
    past: Series,
    /// Processes that began with an empty folder and read a ledger back.
    pub restored_from_empty: u64,
    /// Times that it stopped on purpose because of its ledger.
    pub distrusted: u64,
    /// Times that it ended although nobody told it to.
    pub ended_by_itself: Vec<String>,
}

impl Sink {
    pub fn new(name: &str, dir: &Path, start: Start, http: reqwest::Client) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            listen: address()?,
            start,
            folder: dir.join(name),
            copy: dir.join(format!("{name}.copy")),
            config: dir.join(format!("{name}.toml")),
            log: dir.join(format!("{name}.log")),
            running: None,
            http,
            past: Series::new(),
            restored_from_empty: 0,
            distrusted: 0,
            ended_by_itself: Vec::new(),
        })
    }

    /// The settings file, with the parts that differ from sink to sink.
    pub fn configure(&self, common: &str, kafka: &str, store: &str) -> anyhow::Result<()> {
        let Self { listen, folder, .. } = self;
        let own = format!("admin_listen = \"{listen}\"\n");
        let ledger = format!("[ledger]\nstore = \"{store}\"\ndir = \"{}\"\n", folder.display());
        fs::write(&self.config, format!("{own}{common}\n{ledger}\n{kafka}"))
            .with_context(|| format!("cannot write the settings of {}", self.name))
    }

    pub fn spawn(&mut self) -> anyhow::Result<()> {
        self.spawn_with(Vec::new())
    }

    /// The same, with something more in its environment.
    pub fn spawn_with(&mut self, environment: Vec<(&str, String)>) -> anyhow::Result<()> {
        let from_empty = !self.folder.exists();
        let mut command = (self.start)()?;
        command.arg("--config").arg(&self.config).envs(environment);
        let process = Process::spawn(&self.name, command, &self.log)?;
        let admin = Admin::new(self.listen.clone(), self.http.clone());
        let counted = Arc::new(Mutex::new(Series::new()));
        let watch = tokio::spawn(scrape(admin.clone(), Arc::clone(&counted)));
        self.running = Some(Running { process, admin, counted, watch, from_empty });
        Ok(())
    }

    /// SIGKILL, and gone. True if it still ran.
    pub async fn kill(&mut self) -> anyhow::Result<bool> {
        let Some(running) = self.running.take() else { return Ok(false) };
        let Running { process, counted, watch, from_empty, .. } = running;
        let (process, killed) = tokio::task::spawn_blocking(move || {
            process.sigkill()?;
            let killed = process.was_killed()?;
            anyhow::Ok((process, killed))
        })
        .await
        .context("a kill panicked")??;
        watch.abort();
        if !killed {
            self.unexpected(&process);
        }
        self.close(&counted.lock().clone(), from_empty);
        Ok(killed)
    }

    /// It ends by itself, of SIGABRT, and its last line is `saying`.
    pub async fn aborts(&mut self, saying: &str, within: Duration) -> anyhow::Result<()> {
        let running = self.running.take().with_context(|| format!("{} does not run", self.name))?;
        let Running { process, counted, watch, from_empty, .. } = running;
        let ended = tokio::task::spawn_blocking(move || {
            let status = process.wait(within);
            (process, status)
        });
        let (process, status) = ended.await.context("a wait panicked")?;
        watch.abort();
        self.close(&counted.lock().clone(), from_empty);
        let (status, tail) = (status?, process.tail());
        ensure!(status.signal() == Some(SIGABRT), "{} ended otherwise: {status}\n{tail}", self.name);
        ensure!(tail.lines().any(|line| line.starts_with(saying)), "{} died elsewhere:\n{tail}", self.name);
        Ok(())
    }

    /// The last lines that it printed.
    pub fn tail(&self) -> String {
        self.running.as_ref().map(|running| running.process.tail()).unwrap_or_default()
    }

    /// SIGTERM, and it ends well.
    pub async fn drain(&mut self) -> anyhow::Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        let last = running.admin.metrics().await;
        let Running { process, counted, watch, from_empty, .. } = running;
        let ended = tokio::task::spawn_blocking(move || {
            let status = process.sigterm().and_then(|()| process.wait(DRAIN));
            (process, status)
        });
        let (process, status) = ended.await.context("a drain panicked")?;
        watch.abort();
        let counted = last.unwrap_or_else(|| counted.lock().clone());
        self.close(&counted, from_empty);
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => {
                self.unexpected(&process);
                Ok(())
            }
            Err(error) => Err(error.context(format!("{} does not drain", self.name))),
        }
    }

    pub fn freeze(&self) -> anyhow::Result<()> {
        self.running.as_ref().map_or(Ok(()), |running| running.process.sigstop())
    }

    pub fn thaw(&self) -> anyhow::Result<()> {
        self.running.as_ref().map_or(Ok(()), |running| running.process.sigcont())
    }

    /// Starts it again if it has ended by itself. Where it does not trust its ledger, the folder is removed.
    pub fn supervise(&mut self) -> anyhow::Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        if running.process.status()?.is_none() {
            return Ok(());
        }
        let Some(Running { process, counted, watch, from_empty, .. }) = self.running.take() else {
            return Ok(());
        };
        watch.abort();
        self.close(&counted.lock().clone(), from_empty);
        self.unexpected(&process);
        self.spawn()
    }

    /// It ended, and nobody had told it to.
    fn unexpected(&mut self, process: &Process) {
        let tail = process.tail();
        if DISTRUSTS_ITS_LEDGER.iter().any(|code| tail.contains(code)) {
            self.distrusted += 1;
            fs::remove_dir_all(&self.folder).ok(); // as a person does after reading the page of the code
        } else {
            self.ended_by_itself.push(format!("{}: {}", self.name, tail));
        }
    }

    fn close(&mut self, counted: &Series, from_empty: bool) {
        let read = ["counterfoil_sink_restored_records_total", "counterfoil_sink_standby_records_total"];
        if from_empty && read.iter().any(|name| admin::sum(counted, name, "") > 0.0) {
            self.restored_from_empty += 1;
        }
        admin::add(&mut self.past, counted);
    }

    /// What all its processes counted, the running one included.
    pub fn counted(&self) -> Series {
        let mut all = self.past.clone();
        if let Some(running) = &self.running {
            admin::add(&mut all, &running.counted.lock());
        }
        all
    }

    /// The value of a metric of the running process.
    pub async fn now(&self, name: &str, label: &str) -> f64 {
        let Some(running) = &self.running else { return 0.0 };
        running.admin.metrics().await.map_or(0.0, |series| admin::sum(&series, name, label))
    }

    /// The memory of the running process, MiB.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        let running = self.running.as_ref().with_context(|| format!("{} does not run", self.name))?;
        let status = fs::read_to_string(format!("/proc/{}/status", running.process.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok());
        // A process that has ended has no memory.
        Ok(kib.with_context(|| format!("{} ended by itself: {}", self.name, running.process.tail()))?
            / 1_024.0)
    }

    /// Does to the folder of a sink that does not run what the fault says. False if it could not be done.
    pub fn meddle(&self, how: Folder, dice: &mut fastrand::Rng) -> anyhow::Result<bool> {
        ensure!(self.running.is_none(), "{} still runs", self.name);
        match how {
            Folder::Kept => {
                self.keep_copy()?;
                Ok(true)
            }
            Folder::Wiped => {
                fs::remove_dir_all(&self.folder).context("a ledger cannot be wiped")?;
                Ok(true)
            }
            Folder::Older if !self.copy.exists() => {
                self.keep_copy()?;
                Ok(false)
            }
            Folder::Older => {
                fs::remove_dir_all(&self.folder).context("a ledger cannot be replaced")?;
                copy(&self.copy, &self.folder)?;
                Ok(true)
            }
            Folder::Flipped => flip(&self.folder, dice),
        }
    }

    fn keep_copy(&self) -> anyhow::Result<()> {
        if self.copy.exists() {
            fs::remove_dir_all(&self.copy)?;
        }
        if self.folder.exists() {
            copy(&self.folder, &self.copy)?;
        }
        Ok(())
    }

    /// Everything it ever printed.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

async fn scrape(admin: Admin, counted: Arc<Mutex<Series>>) {
    loop {
        if let Some(series) = admin.metrics().await {
            *counted.lock() = series;
        }
        tokio::time::sleep(SCRAPE).await;
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Flips a bit in some places of every larger file.
fn flip(folder: &Path, dice: &mut fastrand::Rng) -> anyhow::Result<bool> {
    let mut flipped = false;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            flipped |= flip(&path, dice)?;
            continue;
        }
        let mut bytes = fs::read(&path)?;
        if bytes.len() < 4_096 {
            continue;
        }
        for _ in 0..32 {
            let place = dice.usize(..bytes.len());
            bytes[place] ^= 1 << dice.u8(..8);
        }
        fs::write(&path, bytes)?;
        flipped = true;
    }
    Ok(flipped)
}
