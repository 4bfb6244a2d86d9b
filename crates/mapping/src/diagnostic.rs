//! Why a program does not compile.

use std::fmt;

/// One thing wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The program's name, such as the path of its file.
    pub program: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, with VRL's own number (`E103`) in front.
    pub message: String,
    /// Stable code; docs/errors has a page for each.
    pub code: &'static str,
}

impl Diagnostic {
    /// The program does not compile.
    pub(crate) const REFUSED: &str = "CFG-0201";
    /// The program's file cannot be read.
    pub(crate) const UNREADABLE: &str = "CFG-0202";

    /// The definition of a signature does not fit.
    pub(crate) const DEFINITION: &str = "CFG-0206";

    /// The definition of a signature does not fit; `message` names the line where that is known.
    pub(crate) fn definition(file: &str, message: String) -> Self {
        Self { program: file.to_owned(), line: 1, column: 1, message, code: Self::DEFINITION }
    }

    pub(crate) fn new(program: &str, source: &str, found: &vrl::diagnostic::Diagnostic) -> Self {
        let primary = found.labels.iter().find(|l| l.primary).or(found.labels.first());
        let (line, column) = place(source, primary.map_or(0, |l| l.span.start()));
        let mut message = format!("E{:03} {}", found.code, found.message);
        for label in found.labels.iter().filter(|l| !l.message.is_empty() && l.message != found.message) {
            message.push_str("; ");
            message.push_str(&label.message);
        }
        Self { program: program.to_owned(), line, column, message, code: Self::REFUSED }
    }

    pub(crate) fn unreadable(program: &str, why: &std::io::Error) -> Self {
        let message = format!("cannot be read: {why}");
        Self { program: program.to_owned(), line: 1, column: 1, message, code: Self::UNREADABLE }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: {}", self.program, self.line, self.column, self.code, self.message)
    }
}

/// Line and column of a byte offset.
fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
