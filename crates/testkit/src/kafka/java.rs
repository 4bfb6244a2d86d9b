//! Kafka from its Java archives.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Context as _;

use super::settings::{Place, properties};
use super::{Options, VERSION};
use crate::{Process, Scratch, cache, free_port, maven};

const POM: &str = include_str!("../../assets/kafka-pom.xml");
const LOGGING: &str = include_str!("../../assets/log4j2.properties");
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/// Base64url of a UUID; any will do, but the tool takes one that starts with `-` for an option.
const CLUSTER_ID: &str = "Y291bnRlcmZvaWwtdGVzdA";
/// The line comes after the controller has un-fenced the broker, so that it can lead partitions.
const READY: &str = "Kafka Server started";
const START_WITHIN: Duration = Duration::from_secs(90);
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A broker in a JVM of its own, with its data in a temporary directory.
#[derive(Debug)]
pub(super) struct Broker {
    port: u16,
    classes: PathBuf,
    heap_mib: u32,
    process: Mutex<Process>,
    scratch: Scratch,
}

/// A node's place among the controllers.
pub(super) struct Node<'a> {
    pub(super) id: usize,
    /// The port of its own controller.
    pub(super) controller: u16,
    /// `id@host:port` of every controller.
    pub(super) voters: &'a str,
}

impl Broker {
    pub(super) fn start(options: &Options) -> anyhow::Result<Self> {
        let controller = free_port()?;
        let voters = format!("1@127.0.0.1:{controller}");
        let broker = Self::launch(&Node { id: 1, controller, voters: &voters }, options)?;
        broker.ready()?;
        Ok(broker)
    }

    /// Starts it and does not wait for it.
    pub(super) fn launch(node: &Node<'_>, options: &Options) -> anyhow::Result<Self> {
        maven::java()?;
        let classes = install()?;
        let scratch = Scratch::new()?;
        let port = free_port()?;
        fs::write(configuration(scratch.path()), properties_file(scratch.path(), port, node, options))
            .context("cannot write the broker's configuration")?;
        fs::write(logging(scratch.path()), LOGGING)
            .context("cannot write the broker's logging configuration")?;
        format(&classes, scratch.path())?;
        let process = Mutex::new(run(&classes, scratch.path(), options.heap_mib)?);
        Ok(Self { port, classes, heap_mib: options.heap_mib, process, scratch })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn stop(&self) -> anyhow::Result<()> {
        self.process().stop(STOP_WITHIN).map(drop)
    }

    pub(super) fn kill9(&self) -> anyhow::Result<()> {
        self.process().sigkill()
    }

    pub(super) fn pause(&self) -> anyhow::Result<()> {
        self.process().pause()
    }

    pub(super) fn resume(&self) -> anyhow::Result<()> {
        self.process().resume()
    }

    pub(super) fn restart(&self) -> anyhow::Result<()> {
        self.relaunch()?;
        self.ready()
    }

    /// Starts it again and does not wait for it.
    pub(super) fn relaunch(&self) -> anyhow::Result<()> {
        self.stop()?;
        *self.process() = run(&self.classes, self.scratch.path(), self.heap_mib)?;
        Ok(())
    }

    pub(super) fn tail(&self) -> String {
        self.process().tail()
    }

    /// Waits until it accepts clients.
    pub(super) fn ready(&self) -> anyhow::Result<()> {
        self.process().wait_for_line(READY, START_WITHIN)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        TcpStream::connect(address)
            .with_context(|| format!("Kafka started but refuses clients at {address}"))?;
        Ok(())
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn install() -> anyhow::Result<PathBuf> {
    cache::installed(&format!("kafka-{VERSION}"), |place| {
        let output = format!("-DoutputDirectory={}", place.display());
        maven::run(POM, place, &[COPY, "-DincludeScope=runtime", &output])
    })
}

fn configuration(directory: &Path) -> PathBuf {
    directory.join("server.properties")
}

fn logging(directory: &Path) -> PathBuf {
    directory.join("log4j2.properties")
}

fn properties_file(directory: &Path, port: u16, node: &Node<'_>, options: &Options) -> String {
    let data = directory.join("data").display().to_string();
    let Node { id, controller, voters } = *node;
    let place = Place { port, controller, id, voters, bind: "127.0.0.1", data: &data };
    properties(&place, options).iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// Class path entries ending in `*` mean all archives of a directory.
fn class_path(classes: &Path) -> PathBuf {
    classes.join("*")
}

fn format(classes: &Path, directory: &Path) -> anyhow::Result<()> {
    let output = Command::new("java")
        .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(class_path(classes))
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
        .arg(configuration(directory))
        .stdin(Stdio::null())
        .output()
        .context("cannot start Kafka's storage tool")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "Kafka's storage tool failed:\n{said}");
    Ok(())
}

fn run(classes: &Path, directory: &Path, heap_mib: u32) -> anyhow::Result<Process> {
    let mut java = Command::new("java");
    java.args(["-Xms64m", &format!("-Xmx{heap_mib}m"), "-Xss512k"])
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .arg(format!("-Dlog4j2.configurationFile={}", logging(directory).display()))
        .arg("-cp")
        .arg(class_path(classes))
        .arg("kafka.Kafka")
        .arg(configuration(directory));
    Process::spawn("Kafka", java, &directory.join("kafka.log"))
}
