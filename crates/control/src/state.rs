//! All that the topic says.

use contract::UnreadableCommand;
use event::TenantId;
use tenancy::{
    Live,
    revision::{self, UnreadableRevision},
};

use crate::Pauses;

/// What is in force, after the records that were taken in.
#[derive(Debug, Default)]
pub struct State {
    /// What is paused.
    pub pauses: Pauses,
    /// The tenants, as they were applied.
    pub tenants: Live,
}

/// What a record was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Something is paused or goes on.
    Pauses,
    /// A tenant's configuration.
    Tenant(TenantId),
}

/// A record that this build cannot read. What was in force before it stays.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It should be a command.
    #[error(transparent)]
    Command(#[from] UnreadableCommand),
    /// It should be a tenant's configuration.
    #[error("the configuration of tenant `{tenant}` cannot be read")]
    Tenant {
        /// Whose.
        tenant: TenantId,
        /// Why not.
        #[source]
        source: UnreadableRevision,
    },
}

impl State {
    /// Takes the next record in. A key that begins with `tenant ` is a tenant's, any other one a command's.
    ///
    /// # Errors
    /// Where it is nothing that this build understands.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<Said, Unreadable> {
        if let (Some(tenant), Some(taken)) = (revision::tenant_of(key), self.tenants.take(key, value)) {
            return match taken {
                Ok(()) => Ok(Said::Tenant(tenant)),
                Err(source) => Err(Unreadable::Tenant { tenant, source }),
            };
        }
        self.pauses.take(value)?;
        Ok(Said::Pauses)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use contract::{Command, Subject, Verb};
    use tenancy::{Revision, revision::Files};

    use super::*;

    fn command(verb: Verb) -> Command {
        let subject = Subject { tenant: "acme".into(), connection: None, route: Some("orders".into()) };
        Command { command: verb, subject, operator: "ann".into(), reason: "books".into(), at: 7 }
    }

    #[test]
    fn commands_and_tenants_are_told_apart_by_their_keys() {
        let mut state = State::default();
        let revision = Revision::after(None, "acme".parse().unwrap(), Files::new(), "ann".into(), 7);
        let said = state.take(&revision.key(), Some(&revision.value().unwrap())).unwrap();
        assert_eq!(said, Said::Tenant("acme".parse().unwrap()));
        assert_eq!(state.tenants.current().len(), 1);
        let pause = command(Verb::Pause);
        assert_eq!(state.take(&pause.key(), Some(&pause.value().unwrap())).unwrap(), Said::Pauses);
        assert!(state.pauses.covers("acme", "erp", "orders"));
        assert_eq!(state.take(&pause.key(), None).unwrap(), Said::Pauses);
        assert!(
            state.pauses.covers("acme", "erp", "orders"),
            "the trace of a record that is gone says nothing"
        );
        let resume = command(Verb::Resume);
        state.take(&resume.key(), Some(&resume.value().unwrap())).unwrap();
        assert!(!state.pauses.covers("acme", "erp", "orders"));
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let mut state = State::default();
        let pause = command(Verb::Pause);
        state.take(&pause.key(), Some(&pause.value().unwrap())).unwrap();
        assert!(matches!(state.take(&pause.key(), Some(b"{}")), Err(Unreadable::Command(_))));
        assert!(matches!(state.take(b"tenant acme", None), Err(Unreadable::Tenant { .. })));
        assert!(state.pauses.covers("acme", "erp", "orders"));
    }
}
