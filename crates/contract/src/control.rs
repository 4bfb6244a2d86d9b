//! What an operator tells the sinks, as it stands on the control topic: JSON, keyed by what it is about.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A command. Compaction keeps the last one for each subject, so that is the one that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What to do.
    pub command: Verb,
    /// With what.
    #[serde(flatten)]
    pub subject: Subject,
    /// Who says so.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// When it was said, milliseconds since 1970-01-01 UTC.
    pub at: i64,
}

/// What there is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Send nothing new.
    Pause,
    /// Send again.
    Resume,
}

/// What can be paused: a tenant, or one of its connections or routes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The tenant.
    pub tenant: String,
    /// The name of its connection; none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The name of its route; none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
}

/// A record of the control topic that is no command.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableCommand {
    /// Its value is not the JSON of a command.
    #[error("the record is not a command")]
    Json(#[from] serde_json::Error),
    /// It says nothing of who, or why, or both connection and route.
    #[error("the command {0}")]
    Incomplete(&'static str),
}

impl Subject {
    /// Whether the subject covers a tenant's route to a connection.
    pub fn covers(&self, tenant: &str, connection: &str, route: &str) -> bool {
        let fits = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|w| w == name);
        self.tenant == tenant && fits(&self.connection, connection) && fits(&self.route, route)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.connection, &self.route) {
            (Some(connection), _) => write!(f, "connection {}/{connection}", self.tenant),
            (None, Some(route)) => write!(f, "route {}/{route}", self.tenant),
            (None, None) => write!(f, "tenant {}", self.tenant),
        }
    }
}

impl Command {
    /// The record's key: the same for a pause and its resumption.
    pub fn key(&self) -> Vec<u8> {
        format!("pause {}", self.subject).into_bytes()
    }

    /// The record's value.
    ///
    /// # Errors
    /// [`UnreadableCommand::Incomplete`] for what nobody could account for later.
    pub fn value(&self) -> Result<Vec<u8>, UnreadableCommand> {
        self.check()?;
        Ok(serde_json::to_vec(self)?)
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// Where it is no command.
    pub fn parse(value: &[u8]) -> Result<Self, UnreadableCommand> {
        let command: Self = serde_json::from_slice(value)?;
        command.check()?;
        Ok(command)
    }

    fn check(&self) -> Result<(), UnreadableCommand> {
        if self.operator.trim().is_empty() {
            return Err(UnreadableCommand::Incomplete("does not say who gives it"));
        }
        if self.reason.trim().is_empty() {
            return Err(UnreadableCommand::Incomplete("does not say why it is given"));
        }
        if self.subject.connection.is_some() && self.subject.route.is_some() {
            return Err(UnreadableCommand::Incomplete(
                "names a connection and a route: it must be one of them",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PAUSE: &str = r#"{"command":"pause","tenant":"acme","route":"payments","operator":"ann","reason":"books closed","at":7}"#;

    #[test]
    fn the_form_on_the_topic_does_not_change() {
        let command = Command::parse(PAUSE.as_bytes()).unwrap();
        assert_eq!(command.value().unwrap(), PAUSE.as_bytes());
        assert_eq!(command.key(), b"pause route acme/payments");
        let resume = Command { command: Verb::Resume, ..command.clone() };
        assert_eq!(resume.key(), command.key(), "the last of the two holds");
    }

    #[test]
    fn who_and_why_are_needed() {
        for (from, to) in [
            ("ann", " "),
            ("books closed", ""),
            (r#""route""#, r#""connection":"erp","route""#),
            ("pause", "stop"),
        ] {
            Command::parse(PAUSE.replace(from, to).as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn a_subject_covers_what_is_below_it() {
        let subject = |connection: Option<&str>, route: Option<&str>| Subject {
            tenant: "acme".into(),
            connection: connection.map(Into::into),
            route: route.map(Into::into),
        };
        for (subject, covered) in [
            (subject(None, None), true),
            (subject(Some("erp"), None), true),
            (subject(Some("crm"), None), false),
            (subject(None, Some("payments")), true),
            (subject(None, Some("orders")), false),
        ] {
            assert_eq!(subject.covers("acme", "erp", "payments"), covered, "{subject}");
            assert!(!subject.covers("globex", "erp", "payments"));
        }
    }
}
