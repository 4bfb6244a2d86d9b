//! A real Apache Kafka broker, one node in KRaft mode; or three of them ([`Trio`]).
//!
//! It comes from the first of: the cluster that `KAFKA_BOOTSTRAP` names; a Docker engine, if one answers; Kafka's
//! Java archives, fetched through `mvn`.

mod docker;
mod java;
mod settings;
mod trio;

use std::sync::OnceLock;

use anyhow::Context as _;

use docker::Container;
use java::Broker;
pub use trio::{NODES, Trio};

/// The release that is run.
pub const VERSION: &str = "4.3.1";

/// Environment variable that names a running cluster (`host:port,…`) to use in place of one started here.
pub const BOOTSTRAP_VARIABLE: &str = "KAFKA_BOOTSTRAP";

/// How to start a broker.
#[derive(Debug, Clone)]
pub struct Options {
    /// Start one even if `KAFKA_BOOTSTRAP` names a cluster, which could not be killed or restarted.
    pub owned: bool,
    /// Largest heap of the JVM, in MiB.
    pub heap_mib: u32,
    /// More broker properties, or other values for those of the kit.
    pub properties: Vec<(String, String)>,
    /// A second listener, for clients that come through a proxy.
    pub detour: Option<Detour>,
}

/// A listener whose clients are sent to another port, where a proxy stands before it.
#[derive(Clone, Copy, Debug)]
pub struct Detour {
    /// Where the broker listens.
    pub listen: u16,
    /// Where it tells clients to come.
    pub advertise: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { owned: false, heap_mib: 256, properties: Vec::new(), detour: None }
    }
}

impl Options {
    /// For a test that stops, kills or freezes the broker.
    pub fn owned() -> Self {
        Self { owned: true, ..Self::default() }
    }
}

/// A broker that accepts clients, or did until it was stopped, killed or paused. It ends on drop.
#[derive(Debug)]
pub struct Kafka {
    bootstrap: String,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    External,
    Docker(Container),
    Java(Broker),
}

/// The broker that all tests of this process share; it must not be stopped. Topics must have names of their own.
///
/// # Errors
/// When no broker can be started; the text says what is missing. Every caller gets it, without another try.
pub fn shared() -> anyhow::Result<&'static Kafka> {
    static SHARED: OnceLock<Result<Kafka, String>> = OnceLock::new();
    let started =
        SHARED.get_or_init(|| Kafka::start(&Options::default()).map_err(|error| format!("{error:#}")));
    started.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))
}

impl Kafka {
    /// Starts a broker and waits until it accepts clients.
    ///
    /// # Errors
    /// When none can be started; the text says what is missing on this machine.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        if let Some(bootstrap) = std::env::var(BOOTSTRAP_VARIABLE).ok().filter(|_| !options.owned) {
            return Ok(Self { bootstrap, backend: Backend::External });
        }
        let docker = match docker::engine_answers("docker") {
            true => Container::start("docker", options).context("Docker answers, but it could not run Kafka"),
            false => Err(anyhow::anyhow!("no Docker engine answers")),
        };
        let no_docker = match docker {
            Ok(container) => return Ok(Self::of(container.port(), Backend::Docker(container))),
            Err(error) => error,
        };
        let broker = Broker::start(options).with_context(|| {
            format!(
                "no Kafka for this test: {no_docker:#}, and the Java archives do not run; \
                 name a running cluster with {BOOTSTRAP_VARIABLE}=host:port to use that one"
            )
        })?;
        Ok(Self::of(broker.port(), Backend::Java(broker)))
    }

    fn of(port: u16, backend: Backend) -> Self {
        Self { bootstrap: format!("127.0.0.1:{port}"), backend }
    }

    /// The value for a client's `bootstrap.servers`. It stays the same across restarts.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Ends the broker in an orderly way and waits until it is gone.
    ///
    /// # Errors
    /// When the broker was not started by this kit, or cannot be signalled.
    pub fn stop(&self) -> anyhow::Result<()> {
        match &self.backend {
            Backend::External => self.not_ours("stopped"),
            Backend::Docker(container) => container.command("stop"),
            Backend::Java(broker) => broker.stop(),
        }
    }

    /// Kills the broker (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn kill9(&self) -> anyhow::Result<()> {
        match &self.backend {
            Backend::External => self.not_ours("killed"),
            Backend::Docker(container) => container.command("kill"),
            Backend::Java(broker) => broker.kill9(),
        }
    }

    /// Freezes the broker: connections stay open and nothing answers.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn pause(&self) -> anyhow::Result<()> {
        match &self.backend {
            Backend::External => self.not_ours("paused"),
            Backend::Docker(container) => container.command("pause"),
            Backend::Java(broker) => broker.pause(),
        }
    }

    /// Lets a paused broker go on.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn resume(&self) -> anyhow::Result<()> {
        match &self.backend {
            Backend::External => self.not_ours("resumed"),
            Backend::Docker(container) => container.command("unpause"),
            Backend::Java(broker) => broker.resume(),
        }
    }

    /// Starts the broker again, on the same data and the same port, and waits until it accepts clients. One that
    /// still runs is stopped first.
    ///
    /// # Errors
    /// As [`stop`](Self::stop), and when the broker does not come back.
    pub fn restart(&self) -> anyhow::Result<()> {
        match &self.backend {
            Backend::External => self.not_ours("restarted"),
            Backend::Docker(container) => container.restart(),
            Backend::Java(broker) => broker.restart(),
        }
    }

    /// The last lines of the broker's log, for a failing test to show.
    pub fn log_tail(&self) -> String {
        match &self.backend {
            Backend::External => format!("({} was not started by the test kit)", self.bootstrap),
            Backend::Docker(container) => container.logs(),
            Backend::Java(broker) => broker.tail(),
        }
    }

    fn not_ours(&self, done: &str) -> anyhow::Result<()> {
        anyhow::bail!(
            "the Kafka at {} was not started by the test kit and is not {done} by it",
            self.bootstrap
        )
    }
}
