//! What is paused.

use std::collections::BTreeMap;

use contract::{Command, Subject, Verb};

/// The pauses that no resumption followed.
#[derive(Clone, Debug, Default)]
pub struct Pauses(BTreeMap<Subject, Command>);

impl Pauses {
    /// Takes a command in.
    pub fn take(&mut self, command: Command) {
        match command.command {
            Verb::Pause => drop(self.0.insert(command.subject.clone(), command)),
            Verb::Resume => drop(self.0.remove(&command.subject)),
        }
    }

    /// Whether a route is paused, by itself or with its connection or tenant.
    pub fn covers(&self, tenant: &str, connection: &str, route: &str) -> bool {
        self.0.keys().any(|subject| subject.covers(tenant, connection, route))
    }

    /// The commands that hold, ordered by what they are about.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Command> {
        self.0.values()
    }
}
