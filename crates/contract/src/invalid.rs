//! What is wrong with an event, field by field.

use std::fmt;

/// At most this many problems of one event are reported.
pub const MAX_PROBLEMS: usize = 20;

/// One problem of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where, such as `data.lines[2].unit_price.amount`.
    pub path: String,
    /// Stable code, `CON-01xx`; see docs/errors.
    pub code: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

/// An event does not satisfy its contract. Nothing was encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// The first [`MAX_PROBLEMS`] problems, in the order of the contract's fields.
    pub errors: Vec<FieldError>,
    /// How many more there are.
    pub more: usize,
}

impl Invalid {
    /// The stable code of the whole; each field has its own.
    pub fn code(&self) -> &'static str {
        "CON-0100"
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the event does not satisfy its contract")?;
        for (i, error) in self.errors.iter().enumerate() {
            write!(f, "{} {}: {}", if i == 0 { ":" } else { ";" }, error.path, error.message)?;
        }
        if self.more > 0 { write!(f, "; and {} more", self.more) } else { Ok(()) }
    }
}

/// The codes of single fields.
pub(crate) mod code {
    pub(crate) const MISSING: &str = "CON-0101";
    pub(crate) const MISTYPED: &str = "CON-0102";
    pub(crate) const UNKNOWN_FIELD: &str = "CON-0103";
    pub(crate) const SYMBOL: &str = "CON-0104";
    pub(crate) const DECIMAL: &str = "CON-0105";
    pub(crate) const DATE: &str = "CON-0106";
    pub(crate) const INSTANT: &str = "CON-0107";
    pub(crate) const CODE_LIST: &str = "CON-0108";
    pub(crate) const UUID: &str = "CON-0109";
    pub(crate) const TOO_LONG: &str = "CON-0110";
    pub(crate) const TOO_FEW: &str = "CON-0111";
    pub(crate) const ID: &str = "CON-0112";
    pub(crate) const CONTRADICTION: &str = "CON-0113";
}

/// Where the walk through an event is. Lives on the stack, and becomes text only when something is wrong.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    up: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(crate) fn root(name: &'a str) -> Self {
        Self { up: None, step: Step::Name(name) }
    }

    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self { up: Some(self), step: Step::Name(name) }
    }

    pub(crate) fn depth(&self) -> usize {
        1 + self.up.map_or(0, Path::depth)
    }

    pub(crate) fn item(&'a self, index: usize) -> Self {
        Self { up: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            up.fmt(f)?;
        }
        match self.step {
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Name(name) => {
                let dot = if self.up.is_some() { "." } else { "" };
                // A key of a map comes from outside: show what of it is harmless.
                let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                write!(f, "{dot}{name}")
            }
        }
    }
}

/// Collects the problems of one event.
#[derive(Default)]
pub(crate) struct Problems {
    errors: Vec<FieldError>,
    more: usize,
}

impl Problems {
    pub(crate) fn add(&mut self, path: &Path<'_>, code: &'static str, message: impl FnOnce() -> String) {
        if self.errors.len() < MAX_PROBLEMS {
            self.errors.push(FieldError { path: path.to_string(), code, message: message() });
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn into_result(self) -> Result<(), Invalid> {
        if self.errors.is_empty() { Ok(()) } else { Err(Invalid { errors: self.errors, more: self.more }) }
    }
}
