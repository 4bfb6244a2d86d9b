//! The gateway as a process: configuration in layers, health, drain on SIGTERM.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use common::{
    ACME_KEY, FAR_KEY, SHOPIFY_SECRET, SLOW_KEY, STRIPE_OLD_SECRET, STRIPE_SECRET, answer, customer,
};
use common::{eventually, free_address, start_broker, write_tenants};
use kafka::embedded::Broker;
use nix::{sys::signal, unistd::Pid};
use registry::EmbeddedRegistry;

fn gateway(tenants: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil-gateway"));
    command
        .env_clear()
        .env("COUNTERFOIL_TENANTS", tenants)
        .envs([("ACME_KEY", ACME_KEY), ("SLOW_KEY", SLOW_KEY), ("FAR_KEY", FAR_KEY)])
        .envs([("STRIPE", STRIPE_SECRET), ("STRIPE_OLD", STRIPE_OLD_SECRET), ("SHOPIFY", SHOPIFY_SECRET)])
        .stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Ends the child with the test, however the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn settings_come_in_layers_and_are_printed_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let text = "region = 'us'\nlisten = '127.0.0.1:1'\n[kafka]\nbootstrap = 'file:9092'\n[kafka.properties]\n'sasl.password' = 'hunter2'\n";
    std::fs::write(&file, text).unwrap();
    let mut command = gateway(dir.path());
    command.env("COUNTERFOIL_KAFKA__BOOTSTRAP", "env:9092").env("COUNTERFOIL_CONFIG", &file);
    let (success, printed, errors) = run(command.args(["--print-config", "--listen", "127.0.0.1:2"]));
    assert!(success, "{errors}");
    for line in
        ["region = \"us\"", "listen = \"127.0.0.1:2\"", "bootstrap = \"env:9092\"", "body_bytes = 1048576"]
    {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn a_wrong_configuration_ends_it_with_a_code() {
    let dir = tempfile::tempdir().unwrap();
    write_tenants(dir.path());
    let check = |command: &mut Command| run(command.arg("--check-config"));
    let (success, _, errors) = check(&mut gateway(dir.path()));
    assert!(success, "{errors}");

    let (success, _, errors) = check(gateway(dir.path()).env("COUNTERFOIL_LIMITS__BODY_BYTE", "1"));
    assert!(
        !success && errors.contains("CFG-1003") && errors.contains("COUNTERFOIL_LIMITS__BODY_BYTE"),
        "{errors}"
    );
    let (success, _, errors) = check(gateway(dir.path()).env("COUNTERFOIL_REGION", "E U"));
    assert!(!success && errors.contains("TOP-0005"), "{errors}");
    let (success, _, errors) = check(gateway(dir.path()).env_remove("ACME_KEY"));
    assert!(!success && errors.contains("ACME_KEY") && errors.contains("CFG-"), "{errors}");
}

const FORMER_KEY: &str = "acme-key-of-this-month";

/// Gives acme a second key, in a file beside the folder.
fn second_key(tenants: &Path) {
    let key = tenants.join(".key");
    std::fs::write(&key, FORMER_KEY).unwrap();
    let file = tenants.join("acme/tenant.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let one = "{id: one, secret: \"env:ACME_KEY\"}";
    assert!(text.contains(one));
    let two = format!("{one}, {{id: two, secret: \"file:{}\"}}", key.display());
    std::fs::write(file, text.replace(one, &two)).unwrap();
}

/// A gateway process with a broker and a registry of its own.
struct Spawned {
    child: Killed,
    listen: SocketAddr,
    admin: SocketAddr,
    client: reqwest::Client,
    _behind: (Broker, EmbeddedRegistry, tempfile::TempDir),
}

impl Spawned {
    async fn ready() -> Self {
        let broker = start_broker();
        let registry = EmbeddedRegistry::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        write_tenants(dir.path());
        second_key(dir.path());
        let (listen, admin) = (free_address(), free_address());
        let mut command = gateway(dir.path());
        command
            .env("COUNTERFOIL_ADMIN_LISTEN", admin.to_string())
            .env("COUNTERFOIL_LIMITS__BODY_READ_TIMEOUT", "10m");
        let listen_text = listen.to_string();
        command.args([
            "--listen",
            &listen_text,
            "--bootstrap",
            &broker.bootstrap(),
            "--registry",
            &registry.url(),
        ]);
        let log = dir.path().join(".log");
        std::fs::write(&log, "").unwrap();
        let appended = || std::fs::File::options().append(true).open(&log).unwrap();
        command.stdout(appended()).stderr(appended());
        let child = Killed(command.spawn().unwrap());
        let client = reqwest::Client::new();
        let spawned = Self { child, listen, admin, client, _behind: (broker, registry, dir) };
        spawned.until("/health/ready", |status, _| status == 200).await;
        spawned
    }

    /// Polls a path of the admin server; the text of the first answer that fits.
    async fn until(&self, path: &str, fits: impl Fn(u16, &str) -> bool) -> String {
        eventually(path, async || {
            let answer = self.client.get(format!("http://{}{path}", self.admin)).send().await.ok()?;
            let (status, text) = (answer.status().as_u16(), answer.text().await.ok()?);
            fits(status, &text).then_some(text)
        })
        .await
    }

    /// Waits for a line of its log.
    async fn says(&self, text: &str) {
        let log = self._behind.2.path().join(".log");
        eventually(text, async || std::fs::read_to_string(&log).unwrap().contains(text).then_some(())).await;
    }

    fn sigterm(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.0.id()).unwrap());
        signal::kill(pid, signal::Signal::SIGTERM).unwrap();
    }

    async fn exit_code(&mut self) -> Option<i32> {
        eventually("it ends", async || self.child.0.try_wait().unwrap()).await.code()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_until_sigterm_and_ends_well() {
    let mut gateway = Spawned::ready().await;
    gateway.until("/health/live", |status, _| status == 200).await;
    let request = gateway.client.post(format!("http://{}/v1/events", gateway.listen)).bearer_auth(ACME_KEY);
    let accepted = answer(request.json(&customer("C-1", 1))).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let counted = |_, text: &str| text.contains("counterfoil_gateway_events_accepted_total{");
    assert!(gateway.until("/metrics", counted).await.contains("process_"));
    gateway.sigterm();
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_cuts_the_drain_short() {
    let mut gateway = Spawned::ready().await;
    let mut stuck = TcpStream::connect(gateway.listen).unwrap();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nx-api-key: {ACME_KEY}\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
    );
    stuck.write_all(head.as_bytes()).unwrap();
    gateway.until("/metrics", |_, text| text.contains("counterfoil_gateway_requests_in_flight 1\n")).await;
    gateway.sigterm();
    gateway.until("/health/ready", |status, text| status == 503 && text.contains("draining")).await;
    assert!(gateway.child.0.try_wait().unwrap().is_none(), "it waits for the request");
    gateway.sigterm();
    assert_eq!(gateway.exit_code().await, Some(70));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_is_in_force_without_a_restart_and_a_lost_one_changes_nothing() {
    const NEW: &str = "acme-key-of-next-month";
    let mut gateway = Spawned::ready().await;
    let door = format!("http://{}/v1/events", gateway.listen);
    let status = async |key: &str| {
        let request = gateway.client.post(&door).bearer_auth(key);
        answer(request.json(&customer("C-1", 1))).await.status.as_u16()
    };
    let file = gateway._behind.2.path().join(".key");
    assert_eq!((status(FORMER_KEY).await, status(NEW).await), (202, 401));
    std::fs::write(&file, NEW).unwrap();
    eventually("the new key lets in", async || (status(NEW).await == 202).then_some(())).await;
    // The other key overlaps; the former one is over.
    assert_eq!((status(FORMER_KEY).await, status(ACME_KEY).await), (401, 202));
    std::fs::remove_file(&file).unwrap();
    gateway.says("GTW-0053").await;
    assert_eq!((status(NEW).await, status(ACME_KEY).await), (202, 202));
    gateway.sigterm();
    assert_eq!(gateway.exit_code().await, Some(0));
}
