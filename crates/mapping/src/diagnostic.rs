//! Why a program does not compile.

use std::fmt;

use crate::payload::Source;

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

    /// A program reads what its input does not have.
    pub(crate) const UNKNOWN_FIELD: &str = "CFG-0220";
    /// A rule does not say yes or no.
    pub(crate) const NO_RULE: &str = "CFG-0221";
    /// What a mapping makes does not fit the connector's object.
    pub(crate) const MISFIT: &str = "CFG-0222";
    /// A file is no test of a mapping.
    pub(crate) const CASE: &str = "CFG-0223";
    /// A mapping refers to an object that its connector cannot look up.
    pub(crate) const LOOKUP: &str = "CFG-0224";
    /// The definition of a signature does not fit.
    pub(crate) const DEFINITION: &str = "CFG-0206";

    /// The definition of a signature cannot be read.
    pub(crate) fn definition_form(file: &str, error: &serde_saphyr::Error) -> Self {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default();
        let first = first.split_once(": line ").map_or(first, |(_, rest)| rest);
        let message = match meant(&said) {
            Some(meant) => format!("{first}; did you mean `{meant}`?"),
            None => first.to_owned(),
        };
        let (line, column) = error.location().map_or((1, 1), |at| (at.line() as usize, at.column() as usize));
        Self { program: file.to_owned(), line, column, message, code: Self::DEFINITION }
    }

    /// A `field` of the definition of a signature does not fit.
    pub(crate) fn definition(file: &str, text: &str, field: &str, message: &str) -> Self {
        let begins = |line: &str| line.strip_prefix(field).is_some_and(|rest| rest.starts_with(':'));
        let line = text.lines().position(begins).map_or(1, |at| at + 1);
        let message = message.to_owned();
        Self { program: file.to_owned(), line, column: 1, message, code: Self::DEFINITION }
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

    /// A program reads a field that its input, of type `kind`, cannot have.
    pub(crate) fn unknown_field(
        program: &str,
        source: &str,
        path: &vrl::path::OwnedTargetPath,
        kind: &vrl::value::Kind,
    ) -> Self {
        let text = path.to_string();
        let offset = source.find(&text).or_else(|| source.find(path.path.to_string().as_str()));
        let (line, column) = place(source, offset.unwrap_or(0));
        let mut message = format!("there is no `{text}`");
        if let Some(near) = nearest(&path.path, kind) {
            message.push_str(&format!("; did you mean `{near}`?"));
        }
        Self { program: program.to_owned(), line, column, message, code: Self::UNKNOWN_FIELD }
    }

    /// Something about a program that stands nowhere in it.
    pub(crate) fn whole(program: &str, code: &'static str, message: String) -> Self {
        Self { program: program.to_owned(), line: 1, column: 1, message, code }
    }

    /// What one of `programs`, the last one first, makes at `path` of a payload is no field of the object, or of another type.
    pub(crate) fn misfit(programs: &[&Source], path: &str, message: String) -> Self {
        let name = path.rsplit('.').next().unwrap_or_default();
        let forms = [format!(".{path}"), format!("\"{name}\""), format!(".{name}")];
        let found = forms.iter().filter(|_| !name.is_empty()).find_map(|form| {
            programs.iter().find_map(|program| Some((*program, program.text.find(form.as_str())?)))
        });
        match found.or_else(|| Some((*programs.first()?, 0))) {
            None => Self::whole("", Self::MISFIT, message),
            Some((program, offset)) => {
                let (line, column) = place(&program.text, offset);
                Self { program: program.name.clone(), line, column, message, code: Self::MISFIT }
            }
        }
    }

    /// A program refers, at a byte offset, to an object that its connector cannot look up.
    pub(crate) fn lookup(program: &Source, offset: usize, message: String) -> Self {
        let (line, column) = place(&program.text, offset);
        Self { program: program.name.clone(), line, column, message, code: Self::LOOKUP }
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

/// The name that an author may have meant, where the parser lists the ones that there are.
fn meant(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("unknown ")?;
    let mut parts = rest.lines().next()?.splitn(3, '`').skip(1);
    let (given, rest) = (parts.next()?, parts.next()?);
    let (_, names) = rest.split_once("expected ")?;
    let names = names.trim_start_matches("one of ").split(", ").map(|name| name.trim_matches('`'));
    let nearest = names.max_by(|a, b| strsim::jaro(given, a).total_cmp(&strsim::jaro(given, b)))?;
    (strsim::jaro(given, nearest) > 0.7).then(|| nearest.to_owned())
}

/// The field that is spelt most like the first segment of `path` that is not there.
fn nearest(path: &vrl::path::OwnedValuePath, kind: &vrl::value::Kind) -> Option<String> {
    let mut here = vrl::path::OwnedValuePath::root();
    for segment in &path.segments {
        let parent = kind.at_path(&here);
        here.push_segment(segment.clone());
        if !kind.at_path(&here).without_undefined().is_never() {
            continue;
        }
        let vrl::path::OwnedSegment::Field(wrong) = segment else { return None };
        let known = parent.as_object()?.known().keys().map(|field| field.to_string());
        let scored = known.map(|name| (strsim::normalized_damerau_levenshtein(&name, wrong), name));
        return scored
            .filter(|(score, _)| *score > 0.5)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name);
    }
    None
}
