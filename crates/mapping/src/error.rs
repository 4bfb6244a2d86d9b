//! Why a program gave no output.

/// Why a program gave no output for an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The program gave up (`abort`), or a call failed that it did not expect to fail (`f!(…)`).
    #[error("mapping `{program}` refused its input: {message}")]
    Refused {
        /// The program's name.
        program: String,
        /// What the program or the failed function says.
        message: String,
    },
    /// The output is neither an object, nor a list of objects, nor null.
    #[error("mapping `{program}` must yield an event, a list of events or null, but yields {found}")]
    Shape {
        /// The program's name.
        program: String,
        /// What it yields instead.
        found: String,
    },
    /// The output is larger than allowed.
    #[error("mapping `{program}` yields more than {limit}")]
    TooLarge {
        /// The program's name.
        program: String,
        /// The limit that is exceeded.
        limit: &'static str,
    },
    /// The program ran for too long.
    #[error("mapping `{program}` ran for more than {steps} steps")]
    TooLong {
        /// The program's name.
        program: String,
        /// How many steps a program may take.
        steps: u32,
    },
}

impl MappingError {
    /// Stable code; docs/errors has a page for each.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "CFG-0203",
            Self::Shape { .. } => "CFG-0204",
            Self::TooLarge { .. } | Self::TooLong { .. } => "CFG-0205",
        }
    }
}
