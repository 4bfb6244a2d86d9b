//! Whether each operation can be carried out in the class that the definition gives it.

use super::{Lint, Severity, is_lookup_only};
use crate::{ClassChoice, definition::Operation};

impl Lint<'_> {
    /// The class of an operation, held against the writes that it has; `readable`: its object has a `lookup`.
    pub(super) fn class(&mut self, name: &str, operation: &Operation, readable: bool) {
        if is_lookup_only(operation) {
            return;
        }
        let class = self.connector.class_of(name);
        let Some(lacks) = lacks(operation, class, (self.connector.key.is_some(), readable)) else {
            return;
        };
        let line = self.object_line(name);
        let class = word(class);
        let what = format!(
            "`{name}` is of class {class}, and has no {lacks}: add it, or say on the object, or on the operation, \
             `class:` with what the system can do there"
        );
        self.add(Severity::Error, line, what);
    }
}

/// What an operation needs for a class and does not have.
fn lacks(
    operation: &Operation,
    class: ClassChoice,
    (has_key, readable): (bool, bool),
) -> Option<&'static str> {
    match class {
        ClassChoice::Keyed if operation.keyed.is_none() => Some("`keyed` write"),
        ClassChoice::Keyed if !has_key => Some("`key` of the connector"),
        ClassChoice::Upsert if operation.upsert.is_none() && operation.create.is_none() => {
            Some("`upsert` and no `create`")
        }
        ClassChoice::Upsert if !readable => Some("`lookup`"),
        ClassChoice::Neither if operation.create.is_none() => Some("`create`"),
        _ => None,
    }
}

/// A class as definitions write it.
fn word(class: ClassChoice) -> &'static str {
    match class {
        ClassChoice::Keyed => "keyed",
        ClassChoice::Upsert => "upsert",
        ClassChoice::Neither => "neither",
    }
}
