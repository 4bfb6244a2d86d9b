//! What keeps a page of changes from being read.

use delivery::{Answer, ErrorClass, Reason};

use crate::classify::{lost, reason};

/// Why there is no next page. Asking changes nothing, so a walk can always be begun again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// The system refused, did not answer, or gave an answer that cannot be gone on from.
    #[error("{}: {}", .0.code, .0.message)]
    Asked(Reason),
    /// The link to the next page leads away from the system. It was not followed.
    #[error("the link to the next page leads to {to}, away from {from}")]
    Elsewhere {
        /// Scheme, host and port of the system.
        from: String,
        /// Those of the link, or what is wrong with it.
        to: String,
    },
    /// The pages do not end.
    #[error("the pages do not end: {0}")]
    Endless(String),
    /// Records moved in the list while it was walked, so that some may have been passed over.
    #[error("the list has moved while it was walked: {0}")]
    Moved(String),
}

impl WalkError {
    /// The system answered, and nothing can be made of it.
    pub(super) fn unreadable(what: &str) -> Self {
        Self::from(lost(what))
    }
}

/// What became of a question.
impl From<Answer> for WalkError {
    fn from(answer: Answer) -> Self {
        Self::Asked(match answer {
            Answer::Again { reason, .. } | Answer::Unfinished { reason, .. } => reason,
            Answer::Unknown(reason)
            | Answer::Replayed(reason)
            | Answer::Refused(reason)
            | Answer::Stuck(reason) => reason,
            Answer::Applied { .. } => {
                reason(ErrorClass::Unsupported, None, "a rule calls the answer to a question applied")
            }
        })
    }
}
