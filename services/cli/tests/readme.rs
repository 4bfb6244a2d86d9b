//! No command of README.md stands there unseen: the block "Use it for real" is run here, line by line; of the others,
//! [`ELSEWHERE`] says which file runs or checks them, and that file must hold the words.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use registry::EmbeddedRegistry;
use testkit::kafka;

/// The heading of the block that is run here.
const REAL: &str = "## Use it for real";
/// Commands that are run, or checked as far as a test can, somewhere else: a file, and words that it must hold.
const ELSEWHERE: [(&str, &str, &str); 9] = [
    ("cargo run --release -- demo", ".ci/run", "cargo run --release --locked -- demo --once"),
    (
        "cargo run --release -- demo --once --events 20000 --json",
        ".ci/run",
        "cargo run --release --locked -- demo --once --events 20000 --json",
    ),
    (
        "cargo run --release -- demo --bootstrap 127.0.0.1:9092 --registry http://127.0.0.1:8090/apis/ccompat/v7 --region trial",
        "tests/e2e/demo.rs",
        "\"--bootstrap\", &bootstrap, \"--registry\", &registry, \"--region\"",
    ),
    ("cargo test --workspace", ".ci/run", "cargo test --workspace"),
    ("cargo bench", ".ci/run", "cargo bench --locked -- --quick"),
    ("cargo build --release", ".ci/run", "cargo run --release"),
    // No engine to start them with; the file is validated by an implementation of Compose.
    ("cp deploy/secrets.env.example deploy/secrets.env", "crates/testkit/tests/compose.rs", "secrets.env"),
    ("export GRAFANA_ADMIN_PASSWORD=…", "crates/testkit/tests/compose.rs", "GRAFANA_ADMIN_PASSWORD"),
    ("docker compose up --build --wait", "crates/testkit/tests/compose.rs", "compose::resolve"),
];
/// `topics plan` says by it that changes are pending.
const PENDING: i32 = 2;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A line of a `console` block: the heading it stands under, and the command with its continuation lines, without a comment.
#[derive(Debug)]
struct Line {
    heading: String,
    command: String,
}

fn lines(readme: &str) -> Vec<Line> {
    let (mut heading, mut inside, mut found, mut open) = (String::new(), false, Vec::new(), String::new());
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if inside => {
                let line = line.split("  #").next().unwrap_or_default().trim_end();
                open.push_str(line.strip_suffix('\\').unwrap_or(line));
                if !line.ends_with('\\') && !open.is_empty() {
                    found.push(Line { heading: heading.clone(), command: std::mem::take(&mut open) });
                }
            }
            _ if line.starts_with("## ") => heading = line.to_owned(),
            _ => {}
        }
    }
    found
}

#[test]
fn every_command_has_a_place_where_it_is_run_or_checked() {
    let lines = lines(&read("README.md"));
    let others: Vec<&Line> = lines.iter().filter(|line| line.heading != REAL).collect();
    assert!(lines.len() - others.len() >= 8 && others.len() >= 5, "{lines:#?}");
    for line in &others {
        let known = ELSEWHERE.iter().find(|(command, ..)| *command == line.command);
        let (_, file, words) = known.unwrap_or_else(|| panic!("nobody runs `{}`", line.command));
        assert!(read(file).contains(words), "{file} no longer holds `{words}` for `{}`", line.command);
    }
    for (command, ..) in ELSEWHERE {
        assert!(others.iter().any(|line| line.command == command), "`{command}` is no longer in the README");
    }
}

#[test]
fn commands_are_found_with_their_continuations_and_without_comments() {
    let text = "## A\n```console\none \\\n  two  # why\n\nthree\n```\nfour\n```yaml\nfive\n```\n";
    let found: Vec<_> = lines(text).into_iter().map(|line| (line.heading, line.command)).collect();
    let expected = [("## A", "one   two"), ("## A", "three")].map(|(h, c)| (h.to_owned(), c.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn every_link_leads_somewhere() {
    for document in ["README.md", "ARCHITECTURE.md", "GUARANTEES.md", "CONTRIBUTING.md", "docs/adr/README.md"]
    {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let leads = path.is_empty() || path.starts_with("http") || folder.join(path).exists();
            assert!(leads, "{document} links to {link}");
        }
    }
}

/// The keys of a TOML document, with dots, and not those inside of an empty table.
fn keys(prefix: &str, table: &toml::Table, found: &mut Vec<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value.as_table().filter(|below| !below.is_empty()) {
            Some(below) => keys(&key, below, found),
            None => found.push(key),
        }
    }
}

#[test]
fn every_setting_is_documented() {
    let (document, connectors) = (read("docs/configuration.md"), read("docs/connectors.md"));
    let output = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
        .args(["up", "--print-config"])
        .env_clear()
        .output()
        .unwrap();
    let mut found = Vec::new();
    keys("", &String::from_utf8(output.stdout).unwrap().parse().unwrap(), &mut found);
    assert!(found.len() > 30, "{found:?}");
    let missing: Vec<_> = found.iter().filter(|key| !document.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in docs/configuration.md: {missing:?}");
    for line in read("connectors/sandbox.yaml").lines().filter(|line| line.starts_with(char::is_alphabetic)) {
        let field = line.split(':').next().unwrap_or_default();
        assert!(connectors.contains(&format!("\n{field}:")), "`{field}` is not in docs/connectors.md");
    }
}

/// A free address in the place of each of the README's.
fn addresses() -> Vec<(String, String)> {
    ["8080", "8081", "8083", "8085", "9085"]
        .map(|port| (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", testkit::free_port().unwrap())))
        .into()
}

/// A folder that looks like the checkout to the commands, with topics of a region of its own.
fn checkout(region: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let copy = |folder: &str| {
        let status = Command::new("cp").arg("-r").arg(root().join(folder)).arg(dir.path()).status().unwrap();
        assert!(status.success());
    };
    ["tenants", "examples", "connectors"].into_iter().for_each(copy);
    for tenant in ["acme", "globex", "initech"] {
        let file = dir.path().join(format!("tenants/{tenant}/tenant.yaml"));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("region: eu"));
        fs::write(file, text.replace("region: eu", &format!("region: {region}"))).unwrap();
    }
    let release = dir.path().join("target/release");
    fs::create_dir_all(&release).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_counterfoil"), release.join("counterfoil")).unwrap();
    dir
}

/// Behind the last command: the events arrive in their own time.
const ARRIVED: &str = r#"
for i in {1..300}; do
  curl -sS "http://$COUNTERFOIL_SANDBOX__LISTEN/admin/summary" | grep -q '"documents":5,' && echo arrived && break
  sleep 0.1
done
"#;

/// One shell runs the commands, since some of them set its environment; each one's exit status is printed behind it.
/// Whatever it started in the background is drained at its end.
fn script(commands: &[String]) -> String {
    let mut script = String::from("trap 'kill $!; wait' EXIT\n");
    for command in commands {
        script.push_str(&format!("{command}\necho \"::: $?\"\n"));
    }
    script + ARRIVED
}

fn shell(dir: &Path, script: &str, variables: &[(&str, String)]) -> Output {
    let mut bash = Command::new("bash");
    let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
    bash.arg("-c").arg(script).current_dir(dir).envs(variables).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_for_real_use_work_as_they_stand() {
    let region = format!("readme{:08x}", fastrand::u32(..));
    let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let registry = EmbeddedRegistry::start(anywhere).await.unwrap();
    let mut places = addresses();
    let listen = |port: &str| places.iter().find(|(from, _)| from.ends_with(port)).unwrap().1.clone();
    let variables = [
        ("COUNTERFOIL_REGION", region.clone()),
        ("COUNTERFOIL_GATEWAY__LISTEN", listen("8080")),
        ("COUNTERFOIL_GATEWAY__ADMIN_LISTEN", listen("8081")),
        ("COUNTERFOIL_SINK__ADMIN_LISTEN", listen("8083")),
        ("COUNTERFOIL_SANDBOX__LISTEN", listen("8085")),
        ("COUNTERFOIL_SANDBOX__ADMIN_LISTEN", listen("9085")),
        ("COUNTERFOIL_SINK__GROUP", format!("{region}-sink")),
        ("COUNTERFOIL_SANDBOX_URL", format!("http://{}", listen("8085"))),
    ];
    places.push(("http://127.0.0.1:8090/apis/ccompat/v7".to_owned(), registry.url()));
    let output = tokio::task::spawn_blocking(move || {
        places.push(("127.0.0.1:9092".to_owned(), kafka::shared().unwrap().bootstrap().to_owned()));
        let put = |command: String| places.iter().fold(command, |text, (from, to)| text.replace(from, to));
        let real: Vec<Line> = lines(&read("README.md")).into_iter().filter(|l| l.heading == REAL).collect();
        let mut commands: Vec<String> = real.into_iter().map(|line| put(line.command)).collect();
        // `send` is told where the gateway is: here it is not at the default address.
        let url = format!("http://{}", variables[1].1);
        for command in commands.iter_mut().filter(|c| c.contains("counterfoil send")) {
            command.push_str(&format!(" --url {url}"));
        }
        let dir = checkout(&region);
        (shell(dir.path(), &script(&commands), &variables), commands)
    });
    let (Output { stdout, stderr, .. }, commands) = output.await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let ends: Vec<i32> =
        out.lines().filter_map(|line| line.split("::: ").nth(1)).map(|code| code.parse().unwrap()).collect();
    assert_eq!(ends.len(), commands.len(), "{out}\n{err}");
    for (command, code) in commands.iter().zip(ends) {
        let fits = code == if command.contains("topics plan") { PENDING } else { 0 };
        assert!(fits, "`{command}` ended with {code}\n{out}\n{err}");
    }
    let told = [
        "\"accepted\":6",
        "\"accepted\":[{",
        "counterfoil_gateway_events_accepted_total",
        "\"documents\":",
        "arrived",
    ];
    for words in told {
        assert!(out.contains(words), "no `{words}` in\n{out}\n{err}");
    }
}
