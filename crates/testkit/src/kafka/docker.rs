//! Kafka's own image in a Docker engine.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::settings::{Place, properties};
use super::{Options, VERSION};
use crate::free_port;
use crate::process::Watchdog;

const ENGINE_WITHIN: Duration = Duration::from_secs(3);
const START_WITHIN: Duration = Duration::from_secs(90);
const READY: &str = "Kafka Server started";
const POLL: Duration = Duration::from_millis(100);
const REMOVE: &str = r#"read -r _; "$1" rm --force --volumes "$2""#;

/// Whether a Docker engine answers soon: the client alone is of no use, and may wait long for a dead engine.
pub(super) fn engine_answers(docker: &str) -> bool {
    let info = Command::new(docker)
        .arg("info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut info) = info else { return false };
    let deadline = Instant::now() + ENGINE_WITHIN;
    loop {
        match info.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL / 2),
            _ => {
                // the client hangs; there is nothing to learn from how it ends
                drop(info.kill().and_then(|()| info.wait()));
                return false;
            }
        }
    }
}

/// A broker in a container that is removed on drop, or when the test process ends.
#[derive(Debug)]
pub(super) struct Container {
    docker: String,
    id: String,
    port: u16,
    _watchdog: Watchdog,
}

impl Container {
    pub(super) fn start(docker: &str, options: &Options) -> anyhow::Result<Self> {
        let (port, controller) = (free_port()?, free_port()?);
        let voters = format!("1@127.0.0.1:{controller}");
        let place =
            Place { port, controller, id: 1, voters: &voters, bind: "0.0.0.0", data: "/tmp/kafka-data" };
        let mut run = Command::new(docker);
        run.args(["run", "--detach", "--publish", &format!("127.0.0.1:{port}:{port}")]);
        if let Some(detour) = options.detour {
            run.args(["--publish", &format!("127.0.0.1:{0}:{0}", detour.listen)]);
        }
        run.args(["--env", &format!("KAFKA_HEAP_OPTS=-Xmx{}m", options.heap_mib)]);
        for (name, value) in properties(&place, options) {
            run.args(["--env", &format!("{}={value}", variable(&name))]);
        }
        let id = output(run.arg(format!("apache/kafka:{VERSION}")))?.trim().to_owned();
        let watchdog = Watchdog::arm(REMOVE, &[docker.as_ref(), id.as_ref()])?;
        let container = Self { docker: docker.to_owned(), id, port, _watchdog: watchdog };
        container.ready(0)?;
        Ok(container)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Runs `docker <command> <container>`.
    pub(super) fn command(&self, command: &str) -> anyhow::Result<()> {
        output(Command::new(&self.docker).args([command, &self.id])).map(drop)
    }

    pub(super) fn restart(&self) -> anyhow::Result<()> {
        let starts_before = self.logs().matches(READY).count();
        self.command("restart")?;
        self.ready(starts_before)
    }

    /// Everything the broker has printed since the container was made.
    pub(super) fn logs(&self) -> String {
        let said = Command::new(&self.docker).args(["logs", &self.id]).stdin(Stdio::null()).output();
        said.map_or_else(|error| error.to_string(), |said| String::from_utf8_lossy(&said.stdout).into_owned())
    }

    fn ready(&self, starts_before: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        while self.logs().matches(READY).count() <= starts_before {
            let in_time = Instant::now() < deadline;
            anyhow::ensure!(
                in_time,
                "Kafka's container is not ready after {START_WITHIN:?}:\n{}",
                self.logs()
            );
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let removed = output(Command::new(&self.docker).args(["rm", "--force", "--volumes", &self.id]));
        if let Err(error) = removed {
            eprintln!("testkit: {error:#}");
        }
    }
}

/// The image turns `KAFKA_LOG_DIRS` into `log.dirs`.
fn variable(property: &str) -> String {
    format!("KAFKA_{}", property.replace('_', "__").replace('.', "_").to_uppercase())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output().context("the Docker client cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "the Docker client failed: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::Scratch;

    /// A client that keeps its calls in a file, and says what the real one would.
    fn docker(scratch: &Scratch) -> String {
        let (program, calls) = (scratch.path().join("docker"), scratch.path().join("calls"));
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {calls}\ncase $1 in\nrun) echo 0123abcd ;;\n\
             logs) grep -cE '^(run|restart)' {calls} | xargs seq | sed 's/.*/{READY}/' ;;\nesac\n",
            calls = calls.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_container_publishes_on_loopback_and_is_removed() {
        let scratch = Scratch::new().unwrap();
        let docker = docker(&scratch);
        assert!(engine_answers(&docker));
        let container = Container::start(&docker, &Options::default()).unwrap();
        let port = container.port();
        container.command("kill").unwrap();
        container.restart().unwrap();
        drop(container);
        let calls = std::fs::read_to_string(scratch.path().join("calls")).unwrap();
        assert!(calls.contains(&format!("--publish 127.0.0.1:{port}:{port} ")), "{calls}");
        assert!(calls.contains(&format!("KAFKA_ADVERTISED_LISTENERS=CLIENT://127.0.0.1:{port} ")), "{calls}");
        assert!(calls.contains("kill 0123abcd\n") && calls.contains("restart 0123abcd\n"), "{calls}");
        assert!(calls.ends_with("rm --force --volumes 0123abcd\n"), "{calls}");
    }

    #[test]
    fn no_client_means_no_engine() {
        assert!(!engine_answers("/nonexistent/docker"));
    }
}
