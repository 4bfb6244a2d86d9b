//! `counterfoil topics` and `counterfoil up` on a real Apache Kafka.
#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, path::Path, process::Command, time::Duration};

use common::{ACME_KEY, Ended, PATIENCE, counterfoil, customer, lines, run, run_beside, write, write_tenant};
use registry::EmbeddedRegistry;
use serde_json::Value;
use testkit::{Process, kafka, wait_until};

fn topics(action: &str, region: &str, dir: &Path, more: &[&str]) -> Ended {
    let bootstrap = kafka::shared().unwrap().bootstrap();
    let mut command =
        counterfoil(&["topics", action, "--bootstrap", bootstrap, "--region", region, "--replication", "1"]);
    command.args(["--tenants", dir.join("tenants").to_str().unwrap()]);
    run(command.args(["--topics", dir.join("topics").to_str().unwrap()]).args(more))
}

/// A folder with tenant acme in `region`, and the specifications of this repository.
fn installation(region: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_tenant(&dir.path().join("tenants"), "acme", region, "{events_per_second: 1000, burst: 1000}");
    write_tenant(&dir.path().join("tenants"), "far", "elsewhere", "{events_per_second: 1000, burst: 1000}");
    fs::create_dir(dir.path().join("topics")).unwrap();
    dir
}

/// Changes the specification of an object's topic.
fn specify(dir: &Path, from: &str, to: &str) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topics/price.yaml");
    let text = fs::read_to_string(shipped).unwrap();
    assert!(text.contains(from));
    write(&dir.join("topics/price.yaml"), &text.replace(from, to));
}

#[test]
fn topics_are_planned_applied_and_never_changed_behind_anyones_back() {
    const REGION: &str = "cli-topics";
    let dir = installation(REGION);
    let topics = |action: &str, more: &[&str]| topics(action, REGION, dir.path(), more);

    let planned = topics("plan", &[]);
    let price = format!("+ cf.{REGION}.catalog.price.v1: 12 partitions, 1 replicas, ");
    assert!(planned.has_code(2).out.contains(&price), "{planned:?}");
    assert!(
        planned.out.contains(&format!("+ cf.{REGION}.dlq.acme.v1")) && !planned.out.contains("dlq.far"),
        "{planned:?}"
    );
    let plan = topics("plan", &["--json"]).json();
    let hash = plan["plan"].as_str().unwrap();
    assert!(planned.out.ends_with(&format!("plan {hash}\n")), "{planned:?}");
    // 14 objects with their ledgers, outcomes, and two dead-letter topics.
    assert_eq!(plan["create"].as_array().unwrap().len(), 32);

    topics("apply", &["--plan", "0123"]).failed_with("TOP-0006", hash);
    assert_eq!(topics("plan", &["--json"]).json()["plan"], hash, "a stale plan touches nothing");
    let applied = topics("apply", &["--plan", hash, "--json"]);
    assert_eq!(applied.has_code(0).json()["applied"], true);
    assert!(topics("plan", &[]).has_code(0).out.ends_with("nothing to do\n"));
    topics("apply", &["--plan", hash]).failed_with("TOP-0006", "stale");
    assert_eq!(topics("apply", &["--yes", "--json"]).has_code(0).json()["applied"], false);

    specify(dir.path(), "retention: 7d", "retention: 3d");
    let changed = topics("plan", &[]);
    assert!(changed.has_code(2).out.contains("retention.ms: 604800000 -> 259200000"), "{changed:?}");
    topics("apply", &["--yes"]).has_code(0);
    topics("plan", &[]).has_code(0);

    specify(dir.path(), "partitions: ", "partitions: 1");
    let refused = topics("plan", &[]);
    assert!(refused.has_code(2).out.contains("partitions is refused (TOP-0003)"), "{refused:?}");
    topics("apply", &["--yes"]).failed_with("TOP-0003", "cannot be changed in place");
}

#[test]
fn a_cluster_that_is_away_is_named_so() {
    let dir = installation("eu");
    let bootstrap = format!("127.0.0.1:{}", testkit::free_port().unwrap());
    let tenants = dir.path().join("tenants");
    let mut command =
        counterfoil(&["topics", "plan", "--bootstrap", &bootstrap, "--tenants", tenants.to_str().unwrap()]);
    run(&mut command).failed_with("TOP-0101", "did not answer in time");
}

/// `counterfoil up --init --sandbox` in a process of its own, with the URL of each of its parts.
struct Up {
    process: Process,
    events: String,
    sandbox: String,
}

impl Up {
    fn start(dir: &Path, region: &str, registry: &str) -> Self {
        let sandbox = format!("127.0.0.1:{}", testkit::free_port().unwrap());
        let connection = format!(
            "connection: erp\nconnector: sandbox\nbase_url: http://{sandbox}/acme\nclass: keyed\negress: {{allow_private: true}}\nlimits: {{concurrency: 4}}\ntimeout: 5s\n"
        );
        write(&dir.join("tenants/acme/connections/erp.yaml"), &connection);
        write(
            &dir.join("tenants/acme/routes/customers.yaml"),
            "route: customers\non: [\"customer.*\"]\nto: erp\n",
        );
        let mut command = Self::command(dir, region, registry);
        command.env("COUNTERFOIL_SANDBOX__LISTEN", &sandbox);
        let process = Process::spawn("counterfoil up", command, &dir.join("up.log")).unwrap();
        let line = process.wait_for_line("events    http://", Duration::from_secs(60)).unwrap();
        let events = line.split_whitespace().nth(1).unwrap().trim_end_matches("/v1/events").to_owned();
        Self { process, events, sandbox: format!("http://{sandbox}") }
    }

    fn command(dir: &Path, region: &str, registry: &str) -> Command {
        let mut command =
            counterfoil(&["up", "--init", "--sandbox", "--replication", "1", "--listen", "127.0.0.1:0"]);
        command
            .args([
                "--bootstrap",
                kafka::shared().unwrap().bootstrap(),
                "--registry",
                registry,
                "--region",
                region,
            ])
            .args(["--tenants", dir.join("tenants").to_str().unwrap()])
            .args(["--ledger-dir", dir.join("ledger").to_str().unwrap()])
            .envs([("ACME_KEY", ACME_KEY), ("FAR_KEY", "far-key-0123456789")])
            .env("COUNTERFOIL_SINK__GROUP", format!("{region}-sink"));
        for service in ["GATEWAY", "SINK", "SANDBOX"] {
            command.env(format!("COUNTERFOIL_{service}__ADMIN_LISTEN"), "127.0.0.1:0");
        }
        command
    }

    async fn totals(&self) -> Value {
        let summary = reqwest::get(format!("{}/admin/summary", self.sandbox)).await.unwrap();
        summary.json::<Value>().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_takes_an_event_from_the_file_to_the_erp_and_drains_on_sigterm() {
    const REGION: &str = "cli-up";
    tokio::task::spawn_blocking(|| kafka::shared().map(drop)).await.unwrap().unwrap();
    let dir = installation(REGION);
    let registry = EmbeddedRegistry::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (path, url) = (dir.path().to_owned(), registry.url());
    let up = tokio::task::spawn_blocking(move || Up::start(&path, REGION, &url)).await.unwrap();

    let events: Vec<Value> = (1..=20).map(|n| customer(&format!("U-{n}"), 1)).collect();
    let file = dir.path().join("events.jsonl");
    write(&file, &lines(&events));
    let mut send = counterfoil(&["send", "--url", &up.events, "--key", "env:KEY"]);
    send.arg(&file).env("KEY", ACME_KEY);
    run_beside(send).await.has_code(0);
    let all =
        wait_until(PATIENCE, "20 documents in the ERP", async || up.totals().await["documents"] == 20).await;
    assert!(all.is_ok(), "{all:?}: {}: {}", up.totals().await, up.process.tail());
    let totals = up.totals().await;
    assert_eq!((&totals["effects"], &totals["duplicates"]), (&20.into(), &0.into()), "{totals}");

    let status = tokio::task::spawn_blocking(move || {
        up.process.sigterm().unwrap();
        (up.process.wait(PATIENCE).unwrap(), up.process.tail())
    });
    let (status, log) = status.await.unwrap();
    assert!(status.success(), "{status}: {log}");
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("no `{words}` in {log}"));
    assert!(at("gateway drained") < at("sandbox stopped"), "{log}");
}
