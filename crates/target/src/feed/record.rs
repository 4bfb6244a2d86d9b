//! Records that have changed, and where they stand among the others.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A system's own id of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordId {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(Box<str>),
}

/// Where a record stands among the others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The moment of its last change: microseconds since 1970-01-01 UTC.
    pub modified_us: i64,
    /// The system's own id of it.
    pub id: RecordId,
}

/// A record that has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where it stands among the others.
    pub place: Place,
    /// The record, as the system gave it.
    pub record: Value,
}

/// A page of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Its records, but for those that were changed before the walk's beginning.
    pub changes: Vec<Change>,
    /// How far the system was read once these records are told; none where only a later page can say.
    pub read_to: Option<Place>,
}

impl Place {
    /// Before all records of a moment.
    pub fn before(modified_us: i64) -> Self {
        Self { modified_us, id: RecordId::Number(i64::MIN) }
    }
}

impl From<i64> for RecordId {
    fn from(id: i64) -> Self {
        Self::Number(id)
    }
}

impl From<&str> for RecordId {
    fn from(id: &str) -> Self {
        Self::Text(id.into())
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(f, "{id}"),
            Self::Text(id) => f.write_str(id),
        }
    }
}
