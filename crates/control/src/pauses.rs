//! What is paused.

use std::collections::BTreeMap;

use contract::{Command, Subject, UnreadableCommand, Verb};

/// The pauses that no resumption followed.
#[derive(Clone, Debug, Default)]
pub struct Pauses(BTreeMap<Subject, Command>);

impl Pauses {
    /// Takes a record of a command in. No value is the trace of one that is gone, and changes nothing.
    ///
    /// # Errors
    /// Where it is no command. What was paused stays so.
    pub fn take(&mut self, value: Option<&[u8]>) -> Result<(), UnreadableCommand> {
        let Some(value) = value else { return Ok(()) };
        let command = Command::parse(value)?;
        match command.command {
            Verb::Pause => drop(self.0.insert(command.subject.clone(), command)),
            Verb::Resume => drop(self.0.remove(&command.subject)),
        }
        Ok(())
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
