//! No system is known by name: what is special about one stands in connectors/, and the program would not notice if it were called
//! something else.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use testkit::workspace_root;

/// Where systems are named for what they are there: the kit starts them, demo and examples are about them.
const ABOUT_THEM: [&str; 4] =
    ["crates/testkit", "crates/sandbox", "services/cli/src/demo", "crates/tenancy/src/example.rs"];

/// The systems of connectors/, definitions and folders, but our own sandbox.
fn systems() -> BTreeSet<String> {
    let paths = fs::read_dir(workspace_root().join("connectors")).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "yaml"));
    let names = paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
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

/// The lines of code: not comments, and not modules of tests. Whatever else is only for tests counts, and so does what stands behind a
/// module of tests.
fn code(text: &str) -> Vec<&str> {
    let (mut code, mut lines, mut for_tests) = (Vec::new(), text.lines(), false);
    while let Some(line) = lines.next() {
        if for_tests && line.starts_with("mod ") && line.ends_with('{') {
            lines.by_ref().find(|line| *line == "}");
        } else if !line.trim().starts_with("//") {
            code.push(line.trim());
        }
        for_tests = line == "#[cfg(test)]" || for_tests && line.starts_with("#[");
    }
    code
}

/// The lines of code that name a system, with underscores or without.
fn named(text: &str, systems: &BTreeSet<String>) -> Vec<String> {
    let names = |line: &str| {
        let line = line.to_lowercase();
        systems.iter().any(|system| line.contains(system.as_str()) || line.contains(&system.replace('_', "")))
    };
    code(text).into_iter().filter(|line| names(line)).map(str::to_owned).collect()
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
    for system in &systems {
        let line = format!("if connector == \"{system}\" {{");
        let hidden = format!("    // {system}\n#[cfg(test)]\nmod tests {{\n    let of = \"{system}\";\n}}\n");
        assert_eq!(named(&hidden, &systems), [""; 0], "{system}");
        // Before a module of tests, and behind one; as a type, whose name has no underscores.
        assert_eq!(named(&format!("    {line}\n{hidden}"), &systems), [line.as_str()]);
        assert_eq!(named(&format!("{hidden}{line}"), &systems), [line.as_str()]);
        let other = format!("#[cfg(test)]\nuse x;\nstruct {};", system.replace('_', "").to_uppercase());
        assert_eq!(named(&other, &systems).len(), 1, "{system}");
    }
}
