//! The files of a configuration folder.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::Path,
};

use crate::problem::{Position, Report, code, did_you_mean};

/// The largest configuration file, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// The folders of a tenant.
const FOLDERS: [&str; 3] = ["connections", "routes", "mappings"];

/// What one tenant's folder holds: file names below it, and their text.
pub(crate) type Folder = crate::revision::Files;

/// Reads the folder of each tenant. What cannot be read, or stands where nothing reads it, is reported.
pub(crate) fn read_all(dir: &Path, report: Report<'_>) -> BTreeMap<String, Folder> {
    let mut tenants = BTreeMap::new();
    for (name, path) in entries(dir, report) {
        if path.is_dir() {
            let report = Report { file: &format!("{}/{name}", report.file), ..report };
            tenants.insert(name, read_tenant(&path, report));
        } else if !ignored(&name) {
            let message = format!("`{name}` is not read: this folder holds one folder for each tenant");
            report.add(code::STRAY_FILE, Position::default(), message);
        }
    }
    tenants
}

fn read_tenant(dir: &Path, report: Report<'_>) -> Folder {
    let mut folder = Folder::new();
    for (name, path) in entries(dir, report) {
        if path.is_dir() && FOLDERS.contains(&name.as_str()) {
            let extension = if name == "mappings" { "vrl" } else { "yaml" };
            for (file, path) in entries(&path, report) {
                if name == "mappings" && file == "tests" {
                    continue; // `counterfoil mapping test` reads them
                }
                read_file(&mut folder, (format!("{name}/{file}"), extension), &path, report);
            }
        } else if name == "tenant.yaml" {
            read_file(&mut folder, (name, "yaml"), &path, report);
        } else if !ignored(&name) && !FOLDERS.contains(&name.as_str()) {
            stray(report, &name, did_you_mean(&name, FOLDERS.into_iter().chain(["tenant.yaml"])));
        }
    }
    folder
}

fn read_file(folder: &mut Folder, (name, extension): (String, &str), path: &Path, report: Report<'_>) {
    if ignored(&name) {
        return;
    }
    let Some(stem) = name.strip_suffix(extension).and_then(|name| name.strip_suffix('.')) else {
        let suggestion = name.strip_suffix(".yml").map(|stem| format!("rename it to `{stem}.yaml`"));
        return stray(report, &name, suggestion);
    };
    if stem.is_empty() {
        return stray(report, &name, None);
    }
    match read_limited(path) {
        Ok(text) => drop(folder.insert(name, text)),
        Err(error) => {
            report.add(code::UNREADABLE, Position::default(), format!("`{name}` cannot be read: {error}"));
        }
    }
}

fn read_limited(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is larger than 256 KiB"));
    }
    Ok(text)
}

fn stray(report: Report<'_>, name: &str, suggestion: Option<String>) {
    report.add_with(
        code::STRAY_FILE,
        Position::default(),
        format!("`{name}` is not read by anything"),
        suggestion,
    );
}

/// Notes for people, and hidden files (a mounted Kubernetes ConfigMap has some).
fn ignored(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.starts_with('.') || last.ends_with(".md")
}

/// The entries of a folder by name, without hidden ones, in the order of their names.
fn entries(dir: &Path, report: Report<'_>) -> BTreeMap<String, std::path::PathBuf> {
    let read = || -> io::Result<BTreeMap<_, _>> {
        fs::read_dir(dir)?
            .map(|entry| entry.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())))
            .filter(|entry| entry.as_ref().map_or(true, |(name, _)| !name.starts_with('.')))
            .collect()
    };
    read().unwrap_or_else(|error| {
        report.add(code::UNREADABLE, Position::default(), format!("the folder cannot be read: {error}"));
        BTreeMap::new()
    })
}
