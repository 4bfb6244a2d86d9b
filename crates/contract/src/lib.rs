//! The contracts of the canonical objects: JSON to and from Avro, compatibility, and the schema registry.
//!
//! This crate alone uses apache-avro and schema_registry_converter. The schemas stand in schemas/.

mod bundle;
mod client;
mod compatibility;
mod contracts;
mod control;
mod data_type;
mod decision;
mod decode;
mod decoder;
mod encode;
mod envelope;
mod error;
pub mod history;
mod invalid;
mod level;
mod outcome;
mod parse;
mod replay;
mod resolve;
mod scalar;
mod shape;
mod wire;
mod writer;

pub use client::{Checked, RegistryClient, RegistryError};
pub use compatibility::{Direction, Incompatibility, check_compatibility, normal_form};
pub use contracts::{Contracts, ObjectContract, OutcomeContract, object_subject, outcome_subject};
pub use control::{Command, Subject, UnreadableCommand, Verb};
pub use data_type::{DataField, DataType};
pub use decision::{DECISION_HEADER, Decision, Verdict};
pub use decoder::Decoder;
pub use encode::{MAX_ENTRIES, MAX_ENTRY_KEY, MAX_ITEMS, MAX_TEXT};
pub use error::DecodeError;
pub use invalid::{FieldError, Invalid, MAX_PROBLEMS};
pub use level::{Compatibility, UnknownCompatibility};
pub use outcome::{Outcome, OutcomeStatus, decode_outcome, encode_outcome};
pub use replay::{REPLAY_HEADER, Replay, ReplayShare};
pub use wire::split_wire;
pub use writer::{DecodedEvent, UnusableSchema, WriterSchema, decode_event};

pub(crate) use writer::Target;
