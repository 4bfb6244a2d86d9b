//! Why a record cannot be read.

/// A record value cannot be read as an event or outcome. Permanent: the same bytes will not read better later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The value does not start with a zero byte and a schema id.
    #[error("the record value is not in the Confluent wire format ({length} bytes, first byte {first:?})")]
    Wire {
        /// Length of the value, in bytes.
        length: usize,
        /// Its first byte, which should be 0.
        first: Option<u8>,
    },
    /// The bytes do not fit their schema.
    #[error("the datum is damaged: {0}")]
    Damaged(&'static str),
    /// The schema is registered, but is not that of an event (or outcome) of ours.
    #[error("schema {id} describes {name}, not {wanted}")]
    Foreign {
        /// Id of the schema in the registry.
        id: u32,
        /// Full name of the record it describes.
        name: String,
        /// What was to be read.
        wanted: &'static str,
    },
    /// A field of the envelope or outcome has a value that ours cannot have.
    #[error("field `{name}` {what}")]
    Field {
        /// The field.
        name: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl DecodeError {
    /// The stable code; see docs/errors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Wire { .. } => "CON-0201",
            Self::Damaged(_) => "CON-0202",
            Self::Foreign { .. } => "CON-0203",
            Self::Field { .. } => "CON-0204",
        }
    }
}
