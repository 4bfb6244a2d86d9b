//! What a look at the target said, in words: for whoever tries a route out.

use std::fmt;

use delivery::{Answer, ReadBack, Reason};

/// What a look said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// `same`, `different`, `unfinished`, `absent`, `several` or `failed`.
    pub state: &'static str,
    /// The target's own id of the document.
    pub document: Option<String>,
    /// Of a look that failed: why.
    pub failure: Option<Failure>,
}

/// Why a look failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// What the target or the transport said.
    pub message: String,
}

impl Sight {
    pub(crate) fn of(seen: ReadBack) -> Self {
        let (state, document) = match seen {
            ReadBack::Matches { document } => ("same", document),
            ReadBack::Differs { document } => ("different", document),
            ReadBack::Unfinished { document } => ("unfinished", document),
            ReadBack::Absent => ("absent", None),
            ReadBack::Several => ("several", None),
            ReadBack::Failed(answer) => {
                return Self { state: "failed", document: None, failure: Failure::of(answer) };
            }
        };
        Self { state, document: document.map(|id| id.to_string()), failure: None }
    }

    /// Whether the target said anything about the document.
    pub fn is_answered(&self) -> bool {
        self.failure.is_none()
    }

    /// Without these texts, which a target may repeat in what it says.
    pub(crate) fn without<'a>(mut self, secrets: impl Iterator<Item = &'a str>) -> Self {
        if let Some(failure) = &mut self.failure {
            for secret in secrets.filter(|secret| !secret.is_empty()) {
                failure.message = failure.message.replace(secret, "***");
            }
        }
        self
    }
}

impl Failure {
    fn of(answer: Answer) -> Option<Self> {
        let reason = match answer {
            Answer::Applied { .. } => return None,
            Answer::Refused(reason)
            | Answer::Again { reason, .. }
            | Answer::Unfinished { reason, .. }
            | Answer::Stuck(reason)
            | Answer::Unknown(reason)
            | Answer::Replayed(reason) => reason,
        };
        let Reason { code, status, message, .. } = reason;
        Some(Self { code: code.to_string(), status, message: message.to_string() })
    }
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            "same" => "the document is there, and says what would be sent",
            "different" => "the document is there, and says something else than what would be sent, or is not compared whole",
            "unfinished" => "the document is there, and a step that follows the write was not done",
            "absent" => "there is no such document",
            "several" => "there is more than one such document",
            _ => "nothing, it failed",
        })?;
        if let Some(id) = &self.document {
            write!(f, "; its id at the target is {id}")?;
        }
        if let Some(Failure { code, status, message }) = &self.failure {
            let status = status.map(|status| format!("status {status}, ")).unwrap_or_default();
            write!(f, ": {code}: {status}{message}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use delivery::ErrorClass;

    use super::*;

    #[test]
    fn a_failure_is_told_without_secrets() {
        let reason = Reason {
            code: "SNK-0003".into(),
            class: ErrorClass::AuthExpired,
            status: Some(401),
            message: "no such token: s3cret-s3cret".into(),
        };
        let seen = Sight::of(ReadBack::Failed(Answer::Refused(reason)));
        assert!(!seen.is_answered() && seen.to_string().contains("s3cret"));
        let seen = seen.without(["", "s3cret-s3cret"].into_iter());
        assert_eq!(seen.to_string(), "nothing, it failed: SNK-0003: status 401, no such token: ***");
    }

    #[test]
    fn a_document_is_told_with_its_id() {
        let seen = Sight::of(ReadBack::Differs { document: Some("77".into()) });
        assert!(seen.is_answered() && seen.to_string().ends_with("; its id at the target is 77"), "{seen}");
        assert_eq!(Sight::of(ReadBack::Absent).to_string(), "there is no such document");
    }
}
