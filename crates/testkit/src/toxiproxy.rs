//! Toxiproxy: TCP proxies that cut, stall and mangle what goes through them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{Process, Scratch, cache, free_port};

/// The release that is run.
pub const VERSION: &str = "2.12.0";

const START_WITHIN: Duration = Duration::from_secs(30);
const READY: &str = "Starting Toxiproxy HTTP server";

/// A running server without proxies. It ends on drop.
#[derive(Debug)]
pub struct Toxiproxy {
    api: String,
    http: reqwest::Client,
    _process: Process,
    _scratch: Scratch,
}

/// Which way a fault works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server: requests.
    Up,
    /// From the server to the client: answers.
    Down,
}

/// What can be done to the bytes of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toxic {
    /// Nothing passes, and the connection is closed after so many milliseconds; never, if 0.
    Timeout(u64),
    /// The connection is closed after so many bytes.
    LimitBytes(u64),
    /// The connection is reset (RST) after so many milliseconds.
    Reset(u64),
    /// Everything comes so many milliseconds later.
    Latency(u64),
}

impl Toxic {
    fn describe(self) -> (&'static str, Value) {
        match self {
            Self::Timeout(ms) => ("timeout", json!({ "timeout": ms })),
            Self::LimitBytes(bytes) => ("limit_data", json!({ "bytes": bytes })),
            Self::Reset(ms) => ("reset_peer", json!({ "timeout": ms })),
            Self::Latency(ms) => ("latency", json!({ "latency": ms })),
        }
    }
}

impl Toxiproxy {
    /// Starts a server, building it with Go on first use, and waits until it answers. Blocks.
    ///
    /// # Errors
    /// When Go is missing, the build fails or the server does not start.
    pub fn start() -> anyhow::Result<Self> {
        let scratch = Scratch::new()?;
        let port = free_port()?;
        let mut command = Command::new(install()?);
        command.args(["-host", "127.0.0.1", "-port", &port.to_string()]);
        let process = Process::spawn("toxiproxy", command, &scratch.path().join("toxiproxy.log"))?;
        process.wait_for_line(READY, START_WITHIN)?;
        let api = format!("http://127.0.0.1:{port}");
        // the line comes just before the server listens
        let deadline = std::time::Instant::now() + START_WITHIN;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            anyhow::ensure!(std::time::Instant::now() < deadline, "toxiproxy does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { api, http, _process: process, _scratch: scratch })
    }

    /// A proxy from `127.0.0.1:listen` to `upstream` (`host:port`), open.
    ///
    /// # Errors
    /// When the server refuses it, or the port is taken.
    pub async fn proxy(&self, name: &str, listen: u16, upstream: &str) -> anyhow::Result<()> {
        let listen = format!("127.0.0.1:{listen}");
        let proxy = json!({"name": name, "listen": listen, "upstream": upstream, "enabled": true});
        self.call(self.http.post(format!("{}/proxies", self.api)).json(&proxy)).await
    }

    /// Cuts every connection of a proxy and refuses new ones.
    ///
    /// # Errors
    /// When there is no such proxy.
    pub async fn cut(&self, name: &str) -> anyhow::Result<()> {
        self.switch(name, false).await
    }

    /// Poisons one direction of a proxy, on its present connections and on new ones.
    ///
    /// # Errors
    /// When there is no such proxy.
    pub async fn poison(&self, name: &str, direction: Direction, toxic: Toxic) -> anyhow::Result<()> {
        let (kind, attributes) = toxic.describe();
        let stream = if direction == Direction::Up { "upstream" } else { "downstream" };
        let body = json!({"name": stream, "type": kind, "stream": stream, "attributes": attributes});
        self.call(self.http.post(format!("{}/proxies/{name}/toxics", self.api)).json(&body)).await
    }

    /// Makes a proxy as it was: open, and without any poison. Connections that were poisoned are closed.
    ///
    /// # Errors
    /// When there is no such proxy.
    pub async fn heal(&self, name: &str) -> anyhow::Result<()> {
        let toxics: Vec<Value> = self
            .answer(self.http.get(format!("{}/proxies/{name}/toxics", self.api)))
            .await?
            .json()
            .await
            .context("the list of toxics cannot be read")?;
        if !toxics.is_empty() {
            self.switch(name, false).await?;
        }
        for toxic in toxics.iter().filter_map(|toxic| toxic["name"].as_str()) {
            self.call(self.http.delete(format!("{}/proxies/{name}/toxics/{toxic}", self.api))).await?;
        }
        self.switch(name, true).await
    }

    async fn switch(&self, name: &str, open: bool) -> anyhow::Result<()> {
        let body = json!({ "enabled": open });
        self.call(self.http.post(format!("{}/proxies/{name}", self.api)).json(&body)).await
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> anyhow::Result<()> {
        self.answer(request).await.map(drop)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let answer = request.send().await.context("toxiproxy does not answer")?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        anyhow::bail!("toxiproxy says {status}: {}", answer.text().await.unwrap_or_default())
    }
}

fn install() -> anyhow::Result<PathBuf> {
    let place = cache::installed(&format!("toxiproxy-{VERSION}"), |place| {
        let output = Command::new("go")
            .args(["install", &format!("github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}")])
            .env("GOBIN", place)
            .stdin(Stdio::null())
            .output()
            .context("go cannot be started; it is needed to build toxiproxy")?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "go could not build toxiproxy (network?):\n{said}");
        Ok(())
    })?;
    Ok(place.join("server"))
}
