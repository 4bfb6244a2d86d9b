//! What keeps us from signing in, and what becomes of the posting that needed it: nothing of it was sent.

use std::sync::Arc;

use delivery::{Answer, ErrorClass, Reason, Scope};

use crate::classify::{Broken, shorten};

/// Why we could not sign in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The system does not accept what we sign in with.
    #[error("signing in was turned away: {0}")]
    Denied(String),
    /// Not now.
    #[error("could not sign in: {what}")]
    Later {
        /// Why not.
        what: String,
        /// How long it asks us to wait.
        after_ms: Option<u64>,
    },
    /// It may not be asked: the guard of the connection.
    #[error("{0}")]
    Forbidden(String),
    /// Its answer cannot be used.
    #[error("the answer to signing in cannot be used: {0}")]
    Unfit(String),
    /// The new refresh token could not be stored. It is not used before it is.
    #[error("the new refresh token could not be stored, and is not used before it is: {0}")]
    NotStored(String),
    /// What we would sign in with cannot be used.
    #[error("cannot sign in with what the connection gives: {0}")]
    Impossible(String),
    /// The token against forged requests could not be had.
    #[error("no token against forged requests could be had: {0}")]
    NoCsrf(String),
}

impl Failure {
    pub(crate) fn denied(what: impl Into<String>) -> Self {
        Self::Denied(what.into())
    }

    pub(crate) fn later(what: impl Into<String>) -> Self {
        Self::Later { what: what.into(), after_ms: None }
    }

    /// The stable code, see docs/errors.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "SNK-0050",
            Self::Later { .. } => "SNK-0051",
            Self::Unfit(_) => "SNK-0052",
            Self::NotStored(_) => "SNK-0053",
            Self::Impossible(_) => "SNK-0054",
            Self::NoCsrf(_) => "SNK-0055",
            Self::Forbidden(_) => "SNK-0041",
        }
    }

    /// What becomes of the posting: the whole connection waits, and tries again.
    pub(crate) fn answer(&self) -> Answer {
        let class = match self {
            Self::Later { .. } | Self::NotStored(_) | Self::NoCsrf(_) => ErrorClass::Transient,
            _ => ErrorClass::AuthDenied,
        };
        let after_ms = match self {
            Self::Later { after_ms, .. } => *after_ms,
            _ => None,
        };
        let reason =
            Reason { code: Arc::from(self.code()), class, status: None, message: shorten(&self.to_string()) };
        Answer::Again { reason, after_ms, scope: Scope::Connection }
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Forbidden(what) => Self::Forbidden(what),
            Broken::Unreachable(what) | Broken::Unsent(what) | Broken::Lost(_, what) => Self::later(what),
        }
    }
}
