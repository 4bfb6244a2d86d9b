//! `counterfoil demo`, as a new user runs it.

use std::{path::PathBuf, process::Command};

use serde_json::Value;
use testkit::{Process, Scratch};

use crate::harness::{
    Cluster, PATIENCE, blocking, counterfoil, region, services::Admin, slot, succeeds, until,
};

/// What the summary must hold, each a number.
const FIELDS: [&str; 10] = [
    "accepted",
    "committed",
    "duplicates_at_target",
    "events_per_second",
    "in_doubt",
    "lost",
    "p50_ms",
    "p99_ms",
    "rejected",
    "superseded",
];

/// Runs it to its end, with its sink killed halfway, and checks its summary.
async fn demo(events: u64, more: &[&str]) {
    let _slot = slot().await;
    let events_text = events.to_string();
    let mut command = counterfoil(&["demo", "--once", "--json", "--events", &events_text]);
    command.args(more);
    let printed = succeeds(command).await;
    println!("{printed}");
    let summary: Value = serde_json::from_str(&printed).unwrap();
    let missing: Vec<_> = FIELDS.iter().filter(|field| !summary[**field].is_number()).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {summary}");
    let count = |field: &str| summary[field].as_u64().unwrap();
    assert_eq!(
        (count("accepted"), count("crashes"), count("lost"), count("duplicates_at_target")),
        (events, 1, 0, 0),
        "{summary}"
    );
    let settled = ["committed", "rejected", "in_doubt", "superseded"].map(count);
    assert_eq!(settled.iter().sum::<u64>(), events, "{summary}");
    assert!(settled[0] > events * 9 / 10, "most of the feed is good: {summary}");
    let number = |field: &str| summary[field].as_f64().unwrap();
    assert!(number("p50_ms") > 0.0 && number("p50_ms") <= number("p99_ms"), "{summary}");
    assert!(number("events_per_second") > 0.0, "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() {
    demo(2_000, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_real_kafka_and_registry() {
    let Cluster { bootstrap, registry } = Cluster::shared().await;
    demo(20_000, &["--bootstrap", &bootstrap, "--registry", &registry, "--region", &region()]).await;
}

/// Without `--once`: the text for people, the addresses, the `curl` line, and Ctrl-C.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stays_up_until_ctrl_c_and_takes_an_event_of_ones_own() {
    let _slot = slot().await;
    let demo = Demo::start(&["--no-crash", "--events", "300"]);
    let demo = demo.says("Ctrl-C ends the demo.").await;
    let text = demo.text();
    for line in [
        "Posted, one example of each kind:",
        "all           300",
        "lost               0",
        "double             0",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("SIGKILL"), "{text}");
    let address = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
        line.trim().to_owned()
    };
    let erp = address("sandbox ERP (a page)");
    for url in [&erp, &address("sink metrics"), &format!("{}/subjects", address("schema registry"))] {
        assert!(reqwest::get(url).await.unwrap().status().is_success(), "{url}");
    }
    let effects = format!("{erp}/admin/accounts/acme/effects?limit=1000");
    let posted = async || reqwest::get(&effects).await.unwrap().text().await.unwrap().contains("CUST-ME");
    assert!(!posted().await);
    let start = text.find("curl -sS").unwrap();
    let line = text[start..].split("\n\n").next().unwrap().to_owned();
    let mut curl = Command::new("sh");
    curl.args(["-c", &line]);
    let answer = succeeds(curl).await;
    assert!(answer.contains("\"entity\":\"CUST-ME\""), "{answer}");
    until("the event at the ERP", posted).await;
    signal("INT", demo.process.pid()).await;
    blocking(move || assert!(demo.process.wait(PATIENCE).unwrap().success(), "{}", demo.process.tail()))
        .await;
}

/// What has no outcome when nothing happens any more is in the summary, not only in a message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_hangs_is_told_by_the_summary() {
    let _slot = slot().await;
    let demo = Demo::start(&["--once", "--json", "--no-crash", "--events", "20000", "--patience", "5"]);
    let pid = demo.process.pid();
    until("a sink", async || sink_of(pid).is_some()).await;
    let (sink, config) = sink_of(pid).unwrap();
    let settings = std::fs::read_to_string(config).unwrap();
    let admin = settings.lines().find_map(|line| line.strip_prefix("admin_listen = ")).unwrap();
    let admin = Admin::new(admin.trim_matches('"').to_owned(), reqwest::Client::new());
    until("a posting", async || admin.metric("counterfoil_sink_postings_total", "").await > 0.0).await;
    signal("STOP", sink).await;
    let (code, text) = blocking(move || (demo.process.wait(PATIENCE).unwrap().code(), demo.text())).await;
    assert_eq!(code, Some(1), "{text}");
    let line = text.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{text}"));
    let summary: Value = serde_json::from_str(line).unwrap();
    let count = |field: &str| summary[field].as_u64().unwrap();
    let settled: u64 = ["committed", "rejected", "in_doubt", "superseded"].map(count).iter().sum();
    assert!(settled > 0 && count("lost") > 0, "{summary}");
    assert!(settled + count("lost") >= count("accepted"), "{summary}");
    assert!(text.contains("no progress for 5s"), "{text}");
}

/// A demo that runs by itself.
struct Demo {
    process: Process,
    dir: Scratch,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let dir = Scratch::new().unwrap();
        let mut command = counterfoil(&["demo"]);
        command.args(more);
        let process = Process::spawn("demo", command, &dir.path().join("demo.log")).unwrap();
        Self { process, dir }
    }

    async fn says(self, text: &'static str) -> Self {
        blocking(move || {
            self.process.wait_for_line(text, PATIENCE).unwrap();
            self
        })
        .await
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("demo.log")).unwrap()
    }
}

async fn signal(name: &str, pid: u32) {
    let mut kill = Command::new("kill");
    kill.args([&format!("-{name}"), &pid.to_string()]);
    succeeds(kill).await;
}

/// The sink that is the demo's child, and its settings file.
fn sink_of(demo: u32) -> Option<(u32, PathBuf)> {
    let threads = std::fs::read_dir(format!("/proc/{demo}/task")).ok()?;
    let children = threads.flatten().filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok());
    let pids: Vec<u32> = children
        .flat_map(|c| c.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>())
        .collect();
    pids.into_iter().find_map(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let arguments: Vec<&str> = line.split('\0').collect();
        let config = arguments.iter().position(|a| *a == "--config")? + 1;
        Some((pid, PathBuf::from(arguments.get(config)?)))
    })
}
