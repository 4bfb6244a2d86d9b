//! How strictly a registry compares versions.

use std::{fmt, str::FromStr};

/// The compatibility levels of the Confluent API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// Anything goes.
    None,
    /// The new schema reads data of the last one.
    Backward,
    /// The new schema reads data of all before it.
    BackwardTransitive,
    /// The last schema reads data of the new one.
    Forward,
    /// All schemas before it read data of the new one.
    ForwardTransitive,
    /// Both, with the last one.
    Full,
    /// Both, with all before it.
    FullTransitive,
}

impl Compatibility {
    /// Every level.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Whether the new schema must read data of older ones.
    pub const fn is_backward(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// Whether older schemas must read data of the new one.
    pub const fn is_forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// Whether all older versions count, not only the last.
    pub const fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compatibility {
    type Err = UnknownCompatibility;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|l| l.name() == text).ok_or_else(|| UnknownCompatibility(text.to_owned()))
    }
}

/// A text names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a compatibility level: use NONE, BACKWARD, FORWARD or FULL, the last three also with _TRANSITIVE"
)]
pub struct UnknownCompatibility(pub String);
