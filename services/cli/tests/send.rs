//! `counterfoil send` against a real gateway.
#![allow(clippy::unwrap_used)]

mod common;

use std::{io::Write, path::PathBuf, process::Stdio, time::Instant};

use common::{PATIENCE, SLOW_KEY, World, counterfoil, customer, ended, lines, run, run_beside, write};
use serde_json::{Value, json};
use testkit::wait_until;

/// A file with this text, in a folder that goes away with the test.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    write(&path, text);
    (dir, path)
}

fn counts(summary: &Value) -> [u64; 4] {
    ["lines", "accepted", "rejected", "unreadable"].map(|name| summary[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_arrives_whole_and_in_order_and_a_resend_is_harmless() {
    let world = World::start().await;
    let events: Vec<Value> = (1..=25).flat_map(|v| ["A", "B"].map(|id| customer(id, v))).collect();
    let (_dir, path) = file(&lines(&events));
    let path = path.to_str().unwrap();
    let sent = run_beside(world.send(&[path, "--batch", "7", "--json"])).await;
    assert_eq!(counts(&sent.has_code(0).json()), [50, 50, 0, 0]);
    assert_eq!(sent.err, "", "no progress where there is no terminal");
    let arrived = world.customers(50).await;
    for id in ["A", "B"] {
        let versions: Vec<i64> = arrived.iter().filter(|(entity, _)| entity == id).map(|(_, v)| *v).collect();
        assert_eq!(versions, (1..=25).collect::<Vec<i64>>(), "{id}");
    }
    let again = run_beside(world.send(&[path])).await;
    assert!(again.has_code(0).out.starts_with("50 lines: 50 accepted, 0 rejected, 0 not JSON"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_named_by_its_line_and_the_rest_goes_on() {
    let world = World::start().await;
    let mut nameless = customer("C-4", 1);
    nameless["data"].as_object_mut().unwrap().remove("name");
    nameless["colour"] = json!("red");
    let mut foreign = customer("C-7", 1);
    foreign["tenant"] = json!("globex");
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let text = [
        customer("C-1", 1).to_string(),
        String::new(),
        "{\"type\": ".to_owned(),
        nameless.to_string(),
        customer("C-5", 1).to_string(),
        "[1]".to_owned(),
        foreign.to_string(),
        customer("C-8", 1).to_string(),
        // Well-formed alone, nested too deep inside of a batch: the whole body is refused for it.
        deep,
        customer("C-10", 1).to_string(),
    ];
    let (_dir, path) = file(&text.join("\n"));
    let name = path.to_str().unwrap();
    let sent = run_beside(world.send(&[name, "--json"])).await;
    assert_eq!(counts(&sent.has_code(1).json()), [9, 4, 4, 1], "{sent:?}");
    let mut arrived = world.customers(4).await;
    arrived.sort();
    assert_eq!(arrived, ["C-1", "C-10", "C-5", "C-8"].map(|id| (id.to_owned(), 1)));

    let said = |line: u64, words: &str, code: &str| {
        let begins = format!("{name}:{line}: ");
        let found = sent
            .err
            .lines()
            .any(|l| l.starts_with(&begins) && l.contains(words) && l.ends_with(&format!("({code})")));
        assert!(found, "no {begins}…{words}…({code}) in {}", sent.err);
    };
    said(3, "the line is not JSON: EOF while parsing a value at column", "GTW-0052");
    said(4, "data.name: ", "CON-0101");
    said(4, "colour: ", "GTW-0104");
    said(6, "must be", "GTW-0102");
    said(7, "globex", "GTW-0002");
    said(9, "recursion limit", "GTW-0007");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_slows_it_down_and_a_batch_beyond_the_burst_is_split() {
    let world = World::start().await;
    let events: Vec<Value> = (1..=6).map(|v| customer("S", v)).collect();
    let (_dir, path) = file(&lines(&events));
    let mut command =
        counterfoil(&["send", "--url", &world.url, "--key", "env:KEY", "--batch", "4", "--json"]);
    command.arg(&path).env("KEY", SLOW_KEY);
    let sent = run_beside(command).await;
    let summary = sent.has_code(0).json();
    assert_eq!(counts(&summary), [6, 6, 0, 0]);
    assert!(
        summary["retries"].as_u64().unwrap() >= 1 && summary["seconds"].as_f64().unwrap() >= 1.0,
        "{summary}"
    );
    assert_eq!(world.customers(6).await, (1..=6).map(|v| ("S".to_owned(), v)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_for_brokers_that_are_away() {
    let world = World::start().await;
    let (_dir, path) = file(&lines(&[customer("W", 1)]));
    world.broker.set_down(true).unwrap();
    let sent = tokio::spawn(run_beside(world.send(&[path.to_str().unwrap(), "--json"])));
    let refused = || std::future::ready(world.metrics.encode().unwrap().contains("status=\"5xx\""));
    wait_until(PATIENCE, "an answer of 503", refused).await.unwrap();
    world.broker.set_down(false).unwrap();
    let sent = sent.await.unwrap();
    let summary = sent.has_code(0).json();
    assert_eq!(counts(&summary), [1, 1, 0, 0]);
    assert!(summary["retries"].as_u64().unwrap() >= 1, "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_input_is_sent_as_it_comes() {
    let world = World::start().await;
    let mut command = world.send(&["-", "--batch", "2"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines(&[customer("I", 1), customer("I", 2), customer("I", 3)]).as_bytes()).unwrap();
    wait_until(PATIENCE, "the first batch before the end of the input", async || world.records().await == 2)
        .await
        .unwrap();
    drop(stdin);
    let sent = ended(tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap());
    assert!(sent.has_code(0).out.starts_with("3 lines: 3 accepted"), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_ends_it_at_once() {
    let world = World::start().await;
    let (_dir, path) = file(&format!("\n{}", lines(&[customer("K", 1)])));
    let mut command = world.send(&[path.to_str().unwrap()]);
    command.env("KEY", "not-the-key");
    let sent = run_beside(command).await;
    sent.failed_with("GTW-0001", "events.jsonl:2");
    assert!(!sent.err.contains("not-the-key"), "{sent:?}");
    assert!(sent.out.starts_with("1 lines: 0 accepted"), "{sent:?}");
}

#[test]
fn it_gives_up_where_nobody_answers() {
    let (_dir, path) = file(&lines(&[customer("G", 1)]));
    let url = format!("http://127.0.0.1:{}", testkit::free_port().unwrap());
    let begun = Instant::now();
    let mut command = counterfoil(&["send", "--url", &url, "--key", "env:KEY", "--give-up-after", "1"]);
    let sent = run(command.arg(&path).env("KEY", "k"));
    sent.failed_with("GTW-0050", "events.jsonl:1");
    assert!(sent.err.contains("refused"), "the cause is told: {sent:?}");
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn key_file_and_url_are_checked_first() {
    let (_dir, path) = file("");
    let send =
        |url: &str, key: &str, file: &str| run(&mut counterfoil(&["send", "--url", url, "--key", key, file]));
    let path = path.to_str().unwrap();
    send("http://127.0.0.1:1", "hunter2-hunter2", path).failed_with("CFG-0303", "env:NAME or file:PATH");
    assert!(!send("http://127.0.0.1:1", "hunter2-hunter2", path).err.contains("hunter2"));
    send("http://127.0.0.1:1", "file:/nowhere", path).failed_with("CFG-0303", "/nowhere");
    send("http://127.0.0.1:1", &format!("file:{path}"), path).failed_with("CFG-0303", "empty");
    write(&std::path::Path::new(path).with_extension("key"), "k\n");
    let key = format!("file:{}", std::path::Path::new(path).with_extension("key").display());
    send("localhost:1", &key, path).failed_with("CFG-0305", "localhost:1");
    send("http://127.0.0.1:1", &key, "/nowhere").failed_with("CFG-0304", "/nowhere");
    let empty = send("http://127.0.0.1:1", &key, path);
    assert!(empty.has_code(0).out.starts_with("0 lines"), "{empty:?}");
}
