//! Every problem of a configuration at once.

use std::fmt;

use crate::problem::Problem;

/// Why a configuration was refused: every problem that was found, ordered by file and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (&a.file, a.at, a.code).cmp(&(&b.file, b.at, b.code)));
        Self(problems)
    }

    /// The problems; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    /// The stable code of the first problem.
    pub fn code(&self) -> &'static str {
        self.0.first().map_or(crate::problem::code::UNREADABLE, |p| p.code)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "the tenant configuration has {} problem{plural}", self.0.len())?;
        self.0.iter().try_for_each(|p| write!(f, "\n  {p}"))
    }
}

impl std::error::Error for ConfigErrors {}
