//! Every stable error code of the source has its page in docs/errors, and every page has its code.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const FAMILIES: [&str; 7] = ["CFG", "CON", "GTW", "REG", "SNK", "SRC", "TOP"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Rust files below `dir`. Tests name codes that do not exist, and are left out.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap();
        if path.is_dir() {
            if name != "tests" {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The codes in the lines of `text`. Comments, and a module of tests at the end of a file, are left out.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|l| l.split(|c: char| c != '-' && !c.is_ascii_alphanumeric())).filter(|word| is_code(word))
}

fn is_code(word: &str) -> bool {
    word.split_once('-').is_some_and(|(family, number)| {
        FAMILIES.contains(&family) && number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit())
    })
}

fn in_source() -> BTreeMap<String, PathBuf> {
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    sources(&root().join("services"), &mut files);
    let mut found = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        found.extend(codes(&text).map(|code| (code.to_owned(), file.clone())));
    }
    found
}

fn in_pages() -> BTreeSet<String> {
    let files = fs::read_dir(root().join("docs/errors")).unwrap();
    files.map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".md", "")).collect()
}

#[test]
fn every_code_has_a_page() {
    let (codes, pages) = (in_source(), in_pages());
    assert!(codes.len() > 100, "only {} codes were found", codes.len());
    let without: Vec<_> = codes.iter().filter(|(code, _)| !pages.contains(*code)).collect();
    assert!(without.is_empty(), "no page in docs/errors: {without:?}");
}

#[test]
fn every_page_has_a_code() {
    let codes = in_source();
    let without: Vec<_> = in_pages().into_iter().filter(|page| !codes.contains_key(page)).collect();
    assert!(without.is_empty(), "pages of codes that nothing uses: {without:?}");
}

#[test]
fn every_page_begins_with_its_code_and_is_short() {
    for page in in_pages() {
        let text = fs::read_to_string(root().join(format!("docs/errors/{page}.md"))).unwrap();
        assert!(text.starts_with(&format!("# {page}: ")), "{page}.md begins otherwise");
        let lines = text.lines().count();
        assert!((3..=8).contains(&lines), "{page}.md has {lines} lines");
    }
}

#[test]
fn codes_are_told_from_other_words() {
    let text = "a(\"SNK-0001\") \"SNK-1\" \"ABC-0001\" \"why (GTW-0052)\"\n  // SNK-0003\n";
    let tests = "#[cfg(test)]\nmod tests { \"SNK-9999\" }";
    assert_eq!(codes(&format!("{text}{tests}")).collect::<Vec<_>>(), ["SNK-0001", "GTW-0052"]);
}
