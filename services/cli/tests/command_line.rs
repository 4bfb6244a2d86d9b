//! Help, settings in layers, and errors, on the real binary.
#![allow(clippy::unwrap_used)]

mod common;

use common::{counterfoil, run, write};

#[test]
fn every_command_explains_itself_with_an_example() {
    let commands: [&[&str]; 16] = [
        &[],
        &["up"],
        &["serve"],
        &["serve", "gateway"],
        &["serve", "sink"],
        &["serve", "sandbox"],
        &["topics", "plan"],
        &["topics", "apply"],
        &["tenants", "plan"],
        &["tenants", "apply"],
        &["tenants", "list"],
        &["tenants", "show"],
        &["tenants", "export"],
        &["schemas", "check"],
        &["schemas", "register"],
        &["send"],
    ];
    for command in commands {
        let ended = run(counterfoil(command).arg("--help"));
        ended.has_code(0);
        let usage = ["Usage: counterfoil", command.join(" ").as_str()].join(" ");
        assert!(ended.out.contains(usage.trim()), "{command:?}: {}", ended.out);
        assert!(ended.out.contains("Example"), "{command:?}: {}", ended.out);
    }
    let plan = run(&mut counterfoil(&["topics", "plan", "--help"])).out;
    assert!(plan.contains("Exit code 0: nothing to do. 2: changes are pending."), "{plan}");
}

/// The defaults are an interface: whoever changes one changes this file too.
#[test]
fn the_defaults_are_these() {
    let snapshot = include_str!("snapshots/up.toml");
    let printed = run(&mut counterfoil(&["up", "--print-config"]));
    assert_eq!(printed.has_code(0).out, snapshot);
    for command in [&["topics", "plan"], &["schemas", "check"]] {
        let printed = run(counterfoil(command).arg("--print-config"));
        assert_eq!(printed.has_code(0).out, snapshot, "one settings file serves all: {command:?}");
    }
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("counterfoil.toml");
    write(
        &file,
        "region = 'us'\nreplication = 2\ntenants = 'file'\n[kafka]\nbootstrap = 'file:1'\n[kafka.properties]\n'sasl.password' = 'hunter2'\n\
         [gateway]\nlisten = '127.0.0.1:1'\n[sink]\ngroup = 'file'\nwindow = 7\n",
    );
    let mut command = counterfoil(&["up", "--print-config", "--tenants", "flag", "--listen", "127.0.0.1:3"]);
    command
        .env("COUNTERFOIL_CONFIG", &file)
        .env("COUNTERFOIL_TENANTS", "environment")
        .env("COUNTERFOIL_KAFKA__BOOTSTRAP", "environment:1")
        .env("COUNTERFOIL_SINK__GROUP", "environment")
        .env("COUNTERFOIL_GATEWAY__LISTEN", "127.0.0.1:2");
    let printed = run(&mut command);
    for line in [
        "region = \"us\"",
        "replication = 2",
        "tenants = \"flag\"",
        "bootstrap = \"environment:1\"",
        "listen = \"127.0.0.1:3\"",
        "group = \"environment\"",
        "window = 7",
    ] {
        assert!(printed.has_code(0).out.lines().any(|l| l == line), "{line}: {}", printed.out);
    }
    assert!(!printed.out.contains("hunter2"), "{}", printed.out);
}

#[test]
fn serve_takes_the_settings_of_the_service_alone() {
    for (service, line) in [
        ("gateway", "[limits]"),
        ("sink", "group = \"counterfoil-sink\""),
        ("sandbox", "listen = \"127.0.0.1:8085\""),
    ] {
        let mut command = counterfoil(&["serve", service, "--print-config", "--admin-listen", "127.0.0.1:9"]);
        let printed = run(&mut command);
        assert!(printed.has_code(0).out.contains(line), "{service}: {}", printed.out);
        assert!(printed.out.contains("admin_listen = \"127.0.0.1:9\""), "{service}: {}", printed.out);
        let wrong = run(command.env("COUNTERFOIL_ADMIN_LISTE", "x"));
        wrong.failed_with("CFG-1003", "COUNTERFOIL_ADMIN_LISTE");
    }
}

#[test]
fn what_is_wrong_comes_in_one_line_with_its_code() {
    let up = |name: &str, value: &str| run(counterfoil(&["up"]).env(name, value));
    up("COUNTERFOIL_SINK__WINDW", "1").failed_with("CFG-1003", "did you mean `window`?");
    up("COUNTERFOIL_SINK__WINDOW", "many").failed_with("CFG-1004", "COUNTERFOIL_SINK__WINDOW");
    run(&mut counterfoil(&["up", "--config", "/nowhere.toml"])).failed_with("CFG-1001", "No such file");
    let topics = |arguments: &[&str]| run(counterfoil(&["topics", "plan"]).args(arguments));
    topics(&["--tenants", "/nowhere"]).failed_with("CFG-0301", "/nowhere: No such file");
    topics(&["--topics", "/nowhere"]).failed_with("TOP-0001", "/nowhere: No such file");
    let dir = tempfile::tempdir().unwrap();
    topics(&["--region", "E U", "--tenants", dir.path().to_str().unwrap()]).failed_with("TOP-0005", "region");
}

#[test]
fn a_wrong_command_line_has_an_exit_code_of_its_own() {
    for wrong in [
        &["topics", "apply"][..],
        &["topics", "apply", "--yes", "--plan", "x"],
        &["send", "f", "--batch", "0"],
        &[],
    ] {
        let ended = run(&mut counterfoil(wrong));
        assert!(!ended.has_code(64).err.is_empty());
    }
    run(&mut counterfoil(&["--version"])).has_code(0);
}
