#![allow(clippy::unwrap_used)]

use super::*;
use crate::Scratch;

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> (Scratch, Process) {
    let scratch = Scratch::new().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let process = Process::spawn("the script", command, &scratch.path().join("log")).unwrap();
    (scratch, process)
}

fn exists(pid: u32) -> bool {
    // a zombie that nobody has reaped yet does not count
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn stopped(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

fn soon(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + SOON;
    while !condition() && Instant::now() < deadline {
        std::thread::sleep(EXIT_POLL);
    }
    condition()
}

#[test]
fn output_of_both_streams_is_kept_in_memory_and_in_the_file() {
    let (_scratch, process) = shell("echo out; echo err >&2");
    process.wait_for_line("out", SOON).unwrap();
    process.wait_for_line("err", SOON).unwrap();
    let log = std::fs::read_to_string(process.log_path()).unwrap();
    assert!(log.contains("out\n") && log.contains("err\n"), "{log}");
}

#[test]
fn an_early_end_is_reported_with_the_last_lines() {
    let (_scratch, process) = shell("echo cannot bind; exit 3");
    let error = process.wait_for_line("ready", SOON).unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("cannot bind"), "{error}");
}

#[test]
fn a_deadline_that_passes_is_reported_with_the_last_lines() {
    let (_scratch, process) = shell("echo still loading; exec sleep 60");
    process.wait_for_line("loading", SOON).unwrap();
    let error = process.wait_for_line("ready", Duration::from_millis(50)).unwrap_err().to_string();
    assert!(error.contains("within 50ms") && error.contains("still loading"), "{error}");
}

#[test]
fn terminate_reaches_the_process_and_kill_needs_no_consent() {
    let (_scratch, polite) = shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
    polite.wait_for_line("up", SOON).unwrap();
    assert_eq!(polite.stop(SOON).unwrap().code(), Some(7));
    assert!(polite.sigterm().is_err());

    let (_scratch, stubborn) = shell("trap '' TERM; echo up; while :; do sleep 0.05; done");
    stubborn.wait_for_line("up", SOON).unwrap();
    stubborn.stop(Duration::from_millis(100)).unwrap();
    assert!(stubborn.was_killed().unwrap());
}

#[test]
fn a_paused_process_stands_still_until_it_is_resumed() {
    // without a child: stopped between vfork and exec, a child leaves its parent in state D in place of T
    let (_scratch, process) = shell("echo up; exec sleep 60");
    process.wait_for_line("up", SOON).unwrap();
    process.pause().unwrap();
    assert!(soon(|| stopped(process.pid())));
    process.resume().unwrap();
    assert!(soon(|| !stopped(process.pid())));
}

#[test]
fn drop_kills_the_whole_group() {
    let (_scratch, process) = shell("sleep 60 & echo child $!; wait");
    let line = process.wait_for_line("child", SOON).unwrap();
    let grandchild = line.rsplit(' ').next().unwrap().parse().unwrap();
    let pid = process.pid();
    drop(process);
    assert!(soon(|| !exists(pid) && !exists(grandchild)));
}
