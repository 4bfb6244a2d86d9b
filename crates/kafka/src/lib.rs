//! Kafka: the only user of rdkafka.
//!
//! Architecture invariant: nothing of rdkafka's shows in this crate's interface, errors' sources apart.

pub mod admin;
mod assignment;
mod consumer;
mod context;
pub mod embedded;
mod error;
mod journal;
mod label;
mod patience;
mod poll_loop;
mod producer;
mod ranges;
mod reader;
mod settings;
mod sole;
mod starts;
mod tail;

pub use assignment::AssignmentId;
pub use consumer::{Assigned, Fetched, GroupEvent, GroupOptions, Member};
pub use error::{AdminError, ProduceError};
pub use journal::{Journal, JournalError, JournalRecord, Journaled, Token};
pub use label::Label;
pub use producer::{Ack, Position, Producer};
pub use ranges::{Met, Range, RangeReader, RangeRecord};
pub use reader::{ReadError, ReadRecord, Reader};
pub use settings::{Settings, SettingsError};
pub use sole::{SoleError, SoleWriter};
pub use tail::{Start, Tail};
