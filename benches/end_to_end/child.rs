//! The processes that are measured, and what the system says about them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context as _;
use testkit::Process;

use crate::{
    feed::TENANT,
    options::{Class, IN_FLIGHT},
    raw,
    target::LISTENING,
};

/// Clock ticks in a second in /proc; Linux has shown it as 100 on every machine since 2.6.
const TICKS: f64 = 100.0;
const START_WITHIN: Duration = Duration::from_secs(30);

/// CPU seconds, user and system, that a process has used so far; to 10 ms.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = proc_file(pid, "stat")?;
    // The name, in parentheses, may hold anything; state is the first field behind it, utime and stime are 12th and 13th.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|f| f.parse::<f64>().ok());
    let ticks = ticks(11).zip(ticks(12)).context("no CPU times in /proc")?;
    Ok((ticks.0 + ticks.1) / TICKS)
}

/// The most memory that a process ever had resident, in MiB.
pub fn peak_rss_mib(pid: u32) -> anyhow::Result<u64> {
    let status = proc_file(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

fn proc_file(pid: u32, name: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(format!("/proc/{pid}/{name}")).context("the process is gone, or this is no Linux")
}

/// A target, and where it listens.
pub fn start_target(dir: &Path, latency_ms: u64, events: usize) -> anyhow::Result<(Process, SocketAddr)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("target");
    command.args(["--latency-ms", &latency_ms.to_string(), "--events", &events.to_string()]);
    let process = Process::spawn("the target", command, &dir.join("target.log"))?;
    let line = process.wait_for_line(LISTENING, START_WITHIN)?;
    let address = line.trim_start_matches(LISTENING).trim().parse().context("the target's address")?;
    Ok((process, address))
}

/// What a program reads and where it posts.
pub struct Job<'a> {
    pub dir: &'a Path,
    pub bootstrap: &'a str,
    pub region: &'a str,
    pub topic: &'a str,
    pub group: &'a str,
    pub registry: &'a str,
    pub target: SocketAddr,
}

impl Job<'_> {
    /// The raw loop. It has not joined its group yet.
    pub fn start_raw(&self) -> anyhow::Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("raw");
        command.args(["--bootstrap", self.bootstrap, "--topic", self.topic, "--group", self.group]);
        command.args(["--target", &self.target.to_string()]);
        let process = Process::spawn("the raw loop", command, &self.dir.join("raw.log"))?;
        process.wait_for_line(raw::READY, START_WITHIN)?;
        Ok(process)
    }

    /// Our sink, the command as it is shipped. It is about to join its group.
    pub fn start_sink(&self, class: Class) -> anyhow::Result<Process> {
        let config = self.configure(class)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
        command.args(["serve", "sink", "--config"]).arg(config).env_clear();
        let process = Process::spawn("the sink", command, &self.dir.join("sink.log"))?;
        process.wait_for_line("sink has joined", START_WITHIN)?;
        Ok(process)
    }

    fn configure(&self, class: Class) -> anyhow::Result<PathBuf> {
        self.write_tenant(class)?;
        let mut options = sink::Options {
            admin_listen: SocketAddr::from(([127, 0, 0, 1], testkit::free_port()?)),
            region: self.region.to_owned(),
            tenants: self.dir.join("tenants"),
            kafka: kafka::Settings::new(self.bootstrap),
            group: self.group.to_owned(),
            ..sink::Options::default()
        };
        options.registry.url = self.registry.to_owned();
        options.ledger.dir = self.dir.join("ledger");
        let path = self.dir.join("sink.toml");
        std::fs::write(&path, toml::to_string(&options)?)?;
        Ok(path)
    }

    /// One tenant with one connection of 64 requests in flight.
    fn write_tenant(&self, class: Class) -> anyhow::Result<()> {
        let (region, target, class) = (self.region, self.target, class.name());
        let key = self.dir.join("bench.key");
        std::fs::write(&key, "a-key-that-nobody-uses")?;
        let key = key.display();
        let tenant = format!(
            "tenant: {TENANT}\nname: Bench\nregion: {region}\napi_keys: [{{id: a, secret: \"file:{key}\"}}]\n"
        );
        let connection = format!(
            "connection: erp\nconnector: sandbox\nbase_url: \"http://{target}/bench\"\nclass: {class}\negress: {{allow_private: true}}\n\
             limits: {{concurrency: {IN_FLIGHT}}}\ntimeout: 10s\n"
        );
        let route = "route: payments\non: [\"payment.*\"]\nto: erp\n".to_owned();
        let files =
            [("tenant.yaml", tenant), ("connections/erp.yaml", connection), ("routes/payments.yaml", route)];
        for (name, text) in files {
            let path = self.dir.join("tenants").join(TENANT).join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
            std::fs::write(path, text)?;
        }
        Ok(())
    }
}
