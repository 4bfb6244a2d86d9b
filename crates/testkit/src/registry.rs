//! A real schema registry with the Confluent-compatible API: Apicurio Registry.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use crate::{Process, Scratch, cache, free_port, maven};

/// The release that is run; it is the last line that needs no Java newer than 17.
pub const VERSION: &str = "2.6.13.Final";

/// Environment variable with the API's base URL of a running registry to use in place of one started here.
pub const URL_VARIABLE: &str = "REGISTRY_URL";

const POM: &str = include_str!("../assets/apicurio-pom.xml");
const UNPACK: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack";
const READY: &str = "Listening on: http://";
const START_WITHIN: Duration = Duration::from_secs(120);
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A registry that answers, or did until it was stopped. It ends on drop.
///
/// Its compatibility level is NONE until a client sets one.
#[derive(Debug)]
pub struct Apicurio {
    url: String,
    /// None: a registry that was not started here.
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    port: u16,
    jar: PathBuf,
    process: Mutex<Process>,
    scratch: Scratch,
}

impl Apicurio {
    /// The registry that all tests of this process share; it must not be stopped. Subjects must have names of their
    /// own.
    ///
    /// # Errors
    /// When none can be started; the text says what is missing. Every caller gets it, without another try.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceLock<Result<Apicurio, String>> = OnceLock::new();
        let started = SHARED.get_or_init(|| match std::env::var(URL_VARIABLE) {
            Ok(url) => Ok(Self { url: url.trim_end_matches('/').to_owned(), server: None }),
            Err(_) => Self::start().map_err(|error| format!("{error:#}")),
        });
        started.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))
    }

    /// Starts a registry of its own, whatever the environment names, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started; the text says what is missing on this machine.
    pub fn start() -> anyhow::Result<Self> {
        let server = Server::start().map_err(|error| {
            error.context(format!(
                "no schema registry for this test: Apicurio's Java archives do not run; \
                 name a running registry with {URL_VARIABLE}=http://host:port/apis/ccompat/v7 to use that one"
            ))
        })?;
        Ok(Self { url: format!("http://127.0.0.1:{}/apis/ccompat/v7", server.port), server: Some(server) })
    }

    /// The base URL of the API, without a final slash. It stays the same across restarts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the registry and waits until it is gone.
    ///
    /// # Errors
    /// When it was not started by this kit, or cannot be signalled.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.server()?.process().stop(STOP_WITHIN).map(drop)
    }

    /// Starts the registry again, with the schemas and ids it had, and waits until it answers. One that still runs
    /// is stopped first.
    ///
    /// # Errors
    /// As [`stop`](Self::stop), and when it does not come back.
    pub fn restart(&self) -> anyhow::Result<()> {
        self.stop()?;
        let server = self.server()?;
        *server.process() = run(&server.jar, server.scratch.path(), server.port)?;
        server.ready()
    }

    fn server(&self) -> anyhow::Result<&Server> {
        let server = self.server.as_ref();
        server.ok_or_else(|| anyhow::anyhow!("the registry at {} was not started by the test kit", self.url))
    }
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        maven::java()?;
        let jar = install()?;
        let scratch = Scratch::new()?;
        let port = free_port()?;
        let process = Mutex::new(run(&jar, scratch.path(), port)?);
        let server = Self { port, jar, process, scratch };
        server.ready()?;
        Ok(server)
    }

    fn ready(&self) -> anyhow::Result<()> {
        self.process().wait_for_line(READY, START_WITHIN).map(drop)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn install() -> anyhow::Result<PathBuf> {
    let place = cache::installed(&format!("apicurio-{VERSION}"), |place| {
        let artifact = format!("-Dartifact=io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all");
        let output = format!("-DoutputDirectory={}", place.display());
        maven::run(POM, place, &[UNPACK, &artifact, &output])
    })?;
    Ok(place.join(format!("apicurio-registry-app-{VERSION}-runner.jar")))
}

fn run(jar: &Path, directory: &Path, port: u16) -> anyhow::Result<Process> {
    let mut java = maven::java()?;
    java.args(["-Xms64m", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar"])
        .arg(jar)
        .current_dir(directory)
        .env("QUARKUS_HTTP_HOST", "127.0.0.1")
        .env("QUARKUS_HTTP_PORT", port.to_string())
        // a file in place of memory, so that a restart keeps ids
        .env("REGISTRY_DATASOURCE_URL", format!("jdbc:h2:file:{}", directory.join("registry").display()));
    Process::spawn("Apicurio Registry", java, &directory.join("registry.log"))
}
