//! The service in this process, and the binary as a process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandbox::{Change, Idempotency};
use sandbox_service::{Options, Service, StartError};
use serde_json::{Value, json};
use service_kit::Shutdown;

const BINARY: &str = env!("CARGO_BIN_EXE_counterfoil-sandbox");

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn options() -> Options {
    Options { listen: any_port(), admin_listen: any_port(), ..Options::default() }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn text(url: String) -> String {
    client().get(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn it_serves_configured_accounts_health_and_metrics_until_shutdown() {
    let mut options = Options { control_listen: Some(any_port()), ..options() };
    let upsert = Change { idempotency: Some(Idempotency::Upsert), ..Change::default() };
    options.accounts.insert("acme".to_owned(), upsert);
    let service = Service::build(options).await.unwrap();
    let (erp, control, admin) = (service.addr(), service.control_addr(), service.admin_addr());
    let shutdown = Shutdown::new();
    let running = tokio::spawn(service.run(shutdown.clone()));

    for expected in [201, 409] {
        let post = client().post(format!("http://{erp}/acme/api/v1/customers")).json(&json!({"id": "C-1"}));
        assert_eq!(post.send().await.unwrap().status(), expected);
    }
    let summary: Value =
        serde_json::from_str(&text(format!("http://{control}/admin/summary")).await).unwrap();
    assert_eq!((&summary["effects"], &summary["requests"]), (&json!(1), &json!(2)));
    assert!(text(format!("http://{control}/")).await.contains("Sandbox ERP"));
    assert!(text(format!("http://{admin}/health/ready")).await.contains("\"ready\""));

    let wanted = "counterfoil_sandbox_requests_count{account=\"acme\"} 2";
    let deadline = Instant::now() + Duration::from_secs(10);
    while !text(format!("http://{admin}/metrics")).await.contains(wanted) {
        assert!(Instant::now() < deadline, "the metrics never show `{wanted}`");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    shutdown.trigger();
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("it drains").unwrap();
    assert!(tokio::net::TcpStream::connect(erp).await.is_err());
}

#[tokio::test]
async fn a_taken_address_and_a_bad_account_are_named() {
    let taken = tokio::net::TcpListener::bind(any_port()).await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = Service::build(Options { listen: address, ..options() }).await.err().unwrap();
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));

    let mut options = options();
    options.accounts.insert("acme".to_owned(), Change { fail_rate: Some(2.0), ..Change::default() });
    let error = Service::build(options).await.err().unwrap();
    assert!(matches!(&error, StartError::Account { account, .. } if account == "acme"), "{error}");
}

/// Ends the process when the test does, however it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is what the tests want.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn the_binary_serves_and_ends_cleanly_on_sigterm() {
    let child = Command::new(BINARY)
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .env("COUNTERFOIL_LOG_FORMAT", "json")
        .env("RUST_LOG", "info")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let erp = loop {
        let line: Value = serde_json::from_str(&lines.next().expect("it listens").unwrap()).unwrap();
        if let Some(erp) = line["erp"].as_str() {
            break erp.to_owned();
        }
    };
    assert!(text(format!("http://{erp}/")).await.contains("Sandbox ERP"));

    kill(Pid::from_raw(running.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    for line in lines {
        line.unwrap();
    }
    assert!(running.0.wait().unwrap().success());
}

#[test]
fn flags_override_the_environment_and_secrets_are_not_printed() {
    let output = Command::new(BINARY)
        .args(["--print-config", "--listen", "127.0.0.1:4711"])
        .env("COUNTERFOIL_LISTEN", "127.0.0.1:1")
        .env("COUNTERFOIL_ACCOUNTS__ACME__TOKEN", "sesame-open")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(printed.contains("listen = \"127.0.0.1:4711\""), "{printed}");
    assert!(printed.contains("[accounts.acme]") && !printed.contains("sesame"), "{printed}");
}

#[test]
fn accounts_can_come_from_one_variable() {
    let output = Command::new(BINARY)
        .arg("--print-config")
        .env("COUNTERFOIL_ACCOUNTS", r#"{acme={idempotency="upsert"},initech={idempotency="neither"}}"#)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("[accounts.initech]\nidempotency = \"neither\""), "{printed}");
}

#[test]
fn help_names_the_flags() {
    let output = Command::new(BINARY).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in ["--listen", "--control-listen", "--admin-listen", "--config", "--print-config"] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
}
