//! No system is known by name: what is special about one stands in connectors/, and the program would not notice if it were called
//! something else.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use testkit::workspace_root;

/// Where systems are named for what they are there: the kit starts them, demo and examples are about them.
const ABOUT_THEM: [&str; 4] =
    ["crates/testkit", "crates/sandbox", "services/cli/src/demo", "crates/tenancy/src/example.rs"];

/// The systems of connectors/, but our own sandbox.
fn systems() -> Vec<String> {
    let entries = fs::read_dir(workspace_root().join("connectors")).unwrap();
    let files =
        entries.map(|entry| entry.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "yaml"));
    let names = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    names.filter(|name| name != "sandbox").collect()
}

/// The sources of the program, without tests.
fn sources() -> Vec<PathBuf> {
    let root = workspace_root();
    let (mut folders, mut files) = (vec![root.join("crates"), root.join("services")], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let place = path.strip_prefix(&root).unwrap();
            let is_test = path.file_name().is_some_and(|name| name == "tests" || name == "tests.rs");
            if is_test || ABOUT_THEM.iter().any(|about| place.starts_with(about)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The lines of code that name a system: not comments, and not a module of tests at the end.
fn named(text: &str, systems: &[String]) -> Vec<String> {
    let code = text.split("#[cfg(test)]\n").next().unwrap_or_default().lines().map(str::trim);
    let code = code.filter(|line| !line.starts_with("//"));
    let names = |line: &str| systems.iter().any(|system| line.to_lowercase().contains(system.as_str()));
    code.filter(|line| names(line)).map(str::to_owned).collect()
}

#[test]
fn no_source_names_a_system() {
    let systems = systems();
    assert!(systems.len() >= 12, "{systems:?}");
    let files = sources();
    assert!(files.len() > 200, "only {} files were read", files.len());
    let of = |file: &Path| {
        let found = named(&fs::read_to_string(file).unwrap(), &systems);
        found.into_iter().map(|line| format!("{}: {line}", file.display())).collect::<Vec<_>>()
    };
    let found: Vec<String> = files.iter().flat_map(|file| of(file)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_name_would_be_found() {
    let systems = systems();
    let line = "    if connector == \"tryton\" {";
    assert_eq!(named(&format!("// tryton\n{line}\n#[cfg(test)]\nlet stripe = 1;"), &systems), [line.trim()]);
}
