//! Event types: `<object>.<verb in the past tense>`, see docs/naming.md.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ObjectKind;

/// The type of an event, such as `invoice.posted`. Only the types of the naming standard exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventType {
    object: ObjectKind,
    verb: &'static str,
}

/// Why a text is not an event type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventTypeError {
    /// There is no dot, or the part before it is no canonical object.
    #[error("`{0}` is not an event type: it must be `<object>.<verb>`, for example `invoice.posted`")]
    Object(String),
    /// The object exists, the verb does not.
    #[error("`{text}` is not an event type: `{object}` knows {}", object.verbs().join(", "))]
    Verb {
        /// The text that was given.
        text: String,
        /// The object it names.
        object: ObjectKind,
    },
}

impl EventType {
    /// The canonical object that the event is about.
    pub const fn object(self) -> ObjectKind {
        self.object
    }

    /// What happened to it, in the past tense.
    pub const fn verb(self) -> &'static str {
        self.verb
    }

    /// Every event type of the naming standard.
    pub fn all() -> impl Iterator<Item = Self> {
        ObjectKind::ALL
            .into_iter()
            .flat_map(|object| object.verbs().iter().map(move |verb| Self { object, verb }))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.object, self.verb)
    }
}

impl FromStr for EventType {
    type Err = EventTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || EventTypeError::Object(text.to_owned());
        let (object, verb) = text.split_once('.').ok_or_else(unknown)?;
        let object: ObjectKind = object.parse().map_err(|_| unknown())?;
        match object.verbs().iter().find(|v| **v == verb) {
            Some(verb) => Ok(Self { object, verb }),
            None => Err(EventTypeError::Verb { text: text.to_owned(), object }),
        }
    }
}

impl TryFrom<String> for EventType {
    type Error = EventTypeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EventType> for String {
    fn from(value: EventType) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_round_trips() {
        for t in EventType::all() {
            assert_eq!(t.to_string().parse(), Ok(t));
        }
    }

    #[test]
    fn a_wrong_verb_lists_the_right_ones() {
        let error = "invoice.post".parse::<EventType>().map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err("`invoice.post` is not an event type: `invoice` knows posted, updated, paid, voided".into())
        );
        assert!(matches!("bill.posted".parse::<EventType>(), Err(EventTypeError::Object(_))));
        assert!(matches!("invoice".parse::<EventType>(), Err(EventTypeError::Object(_))));
    }
}
