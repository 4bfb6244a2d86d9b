//! What a payload of an object can have.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// A field of a payload: its type by a word, or with what else is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "PayloadFieldFile")]
#[schemars(with = "PayloadFieldFile")]
pub struct PayloadField {
    /// Its type.
    pub kind: PayloadType,
    /// Whether every payload has it.
    pub required: bool,
    /// The most characters of a text.
    pub max_len: Option<usize>,
    /// Of an object, or of the objects in a list: their fields. Absent: nobody knows.
    pub fields: Option<BTreeMap<String, PayloadField>>,
    /// Of those: names that others may have; `*` stands for anything.
    pub other_fields: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum PayloadFieldFile {
    Word(PayloadType),
    Whole(PayloadFieldMap),
}

/// A field with what is known of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PayloadFieldMap {
    /// Its type; `text` unless said.
    #[serde(default, rename = "type")]
    kind: PayloadType,
    /// Whether every payload has it.
    #[serde(default)]
    required: bool,
    /// The most characters of a text.
    max_len: Option<usize>,
    /// Of an object, or of the objects in a list: their fields. Absent: nobody knows.
    fields: Option<BTreeMap<String, PayloadField>>,
    /// Of those: names that others may have; `*` stands for anything.
    #[serde(default)]
    other_fields: Vec<String>,
}

impl From<PayloadFieldFile> for PayloadField {
    fn from(file: PayloadFieldFile) -> Self {
        match file {
            PayloadFieldFile::Word(kind) => Self { kind, ..Self::default() },
            PayloadFieldFile::Whole(PayloadFieldMap { kind, required, max_len, fields, other_fields }) => {
                Self { kind, required, max_len, fields, other_fields }
            }
        }
    }
}

/// The type of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PayloadType {
    /// A text; dates and instants are texts.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// Any number, or a text that is one.
    Decimal,
    /// True or false.
    Boolean,
    /// A list.
    List,
    /// An object.
    Object,
    /// Anything.
    Any,
}
