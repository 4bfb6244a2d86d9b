//! Nothing that the kit started survives a test process that is killed.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Process, Scratch, wait_until};

const CHILD: &str = "COUNTERFOIL_TESTKIT_ORPHANS";

/// Runs itself again; the second process starts a program with a child of its own and is then killed.
#[tokio::test]
async fn a_killed_test_process_leaves_neither_processes_nor_directories() {
    if std::env::var_os(CHILD).is_some() {
        return start_something_and_hang();
    }
    let mut killed = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "a_killed_test_process_leaves_neither_processes_nor_directories"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines().map(Result::unwrap);
    let started = lines.find_map(|line| line.strip_prefix("started ").map(str::to_owned)).unwrap();
    let [leader, child, directory] = started.split(' ').collect::<Vec<_>>().try_into().unwrap();
    assert!(alive(leader) && alive(child) && Path::new(directory).exists());

    killed.kill().unwrap();
    killed.wait().unwrap();

    let all_gone = || std::future::ready(!alive(leader) && !alive(child) && !Path::new(directory).exists());
    wait_until(Duration::from_secs(10), "everything to be gone", all_gone).await.unwrap();
}

fn start_something_and_hang() {
    let scratch = Scratch::new().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 300 & echo child $!; wait"]);
    let process = Process::spawn("a shell", command, &scratch.path().join("log")).unwrap();
    let line = process.wait_for_line("child ", Duration::from_secs(10)).unwrap();
    println!("started {} {} {}", process.pid(), &line["child ".len()..], scratch.path().display());
    loop {
        std::thread::park();
    }
}

/// A zombie does not count: whoever adopted it may be slow to reap it.
fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
