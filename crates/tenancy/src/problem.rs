//! One thing wrong with the configuration, and where.

use std::{cell::RefCell, fmt};

/// A place in a file; both numbers start at 1. Line 0 means the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable code, `CFG-xxxx`; docs/errors has a page for each.
    pub code: &'static str,
    /// The file, as a path below the folder that was loaded, with that folder in front.
    pub file: String,
    /// Where in the file.
    pub at: Position,
    /// What is wrong. Never holds the value of a secret.
    pub message: String,
    /// What was probably meant, as a full clause: "did you mean `connection`?".
    pub suggestion: Option<String>,
}

impl Problem {
    /// What to do about it: the suggestion, or what helps against every problem of its code.
    pub fn advice(&self) -> &str {
        self.suggestion.as_deref().unwrap_or(match self.code {
            code::UNREADABLE => "create the file, or let it be read",
            code::NOT_YAML => "look at indentation, quotes and colons here and in the line above",
            code::MISSING_FIELD => "add the field; docs/configuration.md shows its form",
            code::WRONG_TYPE => "write it in the form that is asked for",
            code::UNKNOWN_REFERENCE => "name a connection of this tenant that has a `base_url`",
            code::DUPLICATE => "give each its own, or remove one",
            code::SECRET_UNRESOLVED => {
                "write env:NAME or file:/path, and set the variable or create the file"
            }
            code::SECRET_WEAK => "put a longer secret behind the reference",
            code::DOUBLE_DELIVERY => "narrow the `on` of one, remove one, or give them different objects",
            code::STRAY_FILE => "move it to where it is read, or remove it",
            _ => "docs/configuration.md shows what fits",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.at.line > 0 {
            write!(f, ":{}:{}", self.at.line, self.at.column)?;
        }
        write!(f, ": {}: {}", self.code, self.message)?;
        self.suggestion.iter().try_for_each(|s| write!(f, "; {s}"))
    }
}

/// The codes of this crate. Stable: docs/errors and users' scripts refer to them.
pub(crate) mod code {
    pub const UNREADABLE: &str = "CFG-0101";
    pub const NOT_YAML: &str = "CFG-0102";
    pub const UNKNOWN_FIELD: &str = "CFG-0103";
    pub const MISSING_FIELD: &str = "CFG-0104";
    pub const WRONG_TYPE: &str = "CFG-0105";
    pub const BAD_VALUE: &str = "CFG-0106";
    pub const NAME_MISMATCH: &str = "CFG-0107";
    pub const UNKNOWN_REFERENCE: &str = "CFG-0108";
    pub const DUPLICATE: &str = "CFG-0109";
    pub const SECRET_UNRESOLVED: &str = "CFG-0110";
    pub const SECRET_WEAK: &str = "CFG-0111";
    pub const VARIABLE_UNSET: &str = "CFG-0112";
    pub const DOUBLE_DELIVERY: &str = "CFG-0113";
    pub const STRAY_FILE: &str = "CFG-0114";
}

/// Collects the problems of one file.
#[derive(Clone, Copy)]
pub(crate) struct Report<'a> {
    pub file: &'a str,
    pub sink: &'a RefCell<Vec<Problem>>,
}

impl Report<'_> {
    pub fn add(&self, code: &'static str, at: Position, message: impl Into<String>) {
        self.add_with(code, at, message, None);
    }

    pub fn add_with(
        &self,
        code: &'static str,
        at: Position,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        let file = self.file.to_owned();
        self.sink.borrow_mut().push(Problem { code, file, at, message: message.into(), suggestion });
    }
}

/// "did you mean `x`?", if one of `known` is close enough to `given` to be a slip of the pen.
pub(crate) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let longest_slip = (given.chars().count() / 3).clamp(1, 3);
    let (distance, best) =
        known.into_iter().map(|k| (strsim::damerau_levenshtein(given, k), k)).min_by_key(|(d, _)| *d)?;
    (distance <= longest_slip).then(|| format!("did you mean `{best}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page() {
        let source = include_str!("problem.rs");
        let codes: Vec<_> = source.split("&str = \"").skip(1).filter_map(|rest| rest.get(..8)).collect();
        assert!(codes.contains(&code::UNREADABLE) && codes.contains(&code::STRAY_FILE), "{codes:?}");
        for code in codes.iter().filter(|c| c.starts_with("CFG-")) {
            let page = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&page).exists(), "{page}");
        }
    }

    #[test]
    fn only_near_misses_are_suggested() {
        let known = ["connection", "route", "on", "to"];
        assert_eq!(did_you_mean("conection", known).as_deref(), Some("did you mean `connection`?"));
        assert_eq!(did_you_mean("ruote", known).as_deref(), Some("did you mean `route`?"));
        assert_eq!(did_you_mean("policy", known), None);
        assert_eq!(did_you_mean("x", []), None);
    }
}
