//! What can be wrong with topic specifications and plans.

use std::path::PathBuf;

use event::ObjectKind;

/// An error about topics; [`TopicsError::code`] names its page in docs/errors.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// A file or folder of specifications cannot be read.
    #[error("cannot read topic specifications from {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is not a topic specification.
    #[error("{file} is not a topic specification")]
    Syntax {
        /// The file's name.
        file: String,
        /// Where and why.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A specification breaks a rule.
    #[error("{file}: `{field}` {reason}")]
    Rule {
        /// The file's name.
        file: String,
        /// The field.
        field: &'static str,
        /// The rule that it breaks, as a predicate.
        reason: String,
    },
    /// Applying the plan would change a partition count, which moves keys to other partitions.
    #[error(
        "topic {topic} has {actual} partitions and {desired} are specified: a partition count cannot be changed in place"
    )]
    PartitionCount {
        /// The topic.
        topic: String,
        /// Partitions that it has.
        actual: i32,
        /// Partitions that are specified.
        desired: i32,
    },
    /// A canonical object has no specification.
    #[error("no topic is specified for the object `{0}`")]
    MissingObject(ObjectKind),
    /// The template of the dead-letter, outcome or ledger topics is missing.
    #[error("the topic specification {0} is missing")]
    MissingTemplate(&'static str),
    /// Two specifications name the same topic.
    #[error("{first} and {second} both specify the topic {topic}")]
    Duplicate {
        /// The topic template.
        topic: String,
        /// One file.
        first: String,
        /// The other file.
        second: String,
    },
    /// A region that cannot be part of a topic name.
    #[error(
        "region `{0}` is not valid: use 1 to 32 characters of a-z, 0-9 and `-`, starting and ending with a letter or digit"
    )]
    Region(String),
    /// A tenant id that the topic names reserve.
    #[error("tenant id `{0}` is reserved for records whose tenant is unknown")]
    ReservedTenant(String),
}

impl TopicsError {
    /// The stable code, docs/errors/`<code>`.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Syntax { .. } => "TOP-0001",
            Self::Rule { .. } => "TOP-0002",
            Self::PartitionCount { .. } => "TOP-0003",
            Self::MissingObject(_) | Self::MissingTemplate(_) | Self::Duplicate { .. } => "TOP-0004",
            Self::Region(_) | Self::ReservedTenant(_) => "TOP-0005",
        }
    }
}
