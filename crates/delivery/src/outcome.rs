//! What a target can answer, and what the ledger records of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why an attempt did not simply succeed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code, such as `SNK-0003`; the dead letter carries the same one.
    pub code: Arc<str>,
    /// What kind of trouble it is.
    pub class: ErrorClass,
    /// HTTP status, where an answer came.
    pub status: Option<u16>,
    /// What the target or the transport said, shortened.
    pub message: Arc<str>,
}

/// The kinds of trouble a connector definition can name; the vocabulary's `error.class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the vocabulary's own words, explained in docs/connectors.md
pub enum ErrorClass {
    Throttled,
    QuotaExhausted,
    LockContention,
    Transient,
    AuthExpired,
    AuthDenied,
    Validation,
    MissingReference,
    Duplicate,
    AmbiguousKey,
    Stale,
    ClosedPeriod,
    NotFound,
    TooLarge,
    AlreadyAccepted,
    InFlight,
    KeyReuseMismatch,
    Unsupported,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Throttled,
        Self::QuotaExhausted,
        Self::LockContention,
        Self::Transient,
        Self::AuthExpired,
        Self::AuthDenied,
        Self::Validation,
        Self::MissingReference,
        Self::Duplicate,
        Self::AmbiguousKey,
        Self::Stale,
        Self::ClosedPeriod,
        Self::NotFound,
        Self::TooLarge,
        Self::AlreadyAccepted,
        Self::InFlight,
        Self::KeyReuseMismatch,
        Self::Unsupported,
    ];
}

/// One attempt's answer, classified as class × outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The target says that it applied the posting.
    Applied {
        /// The target's own identifier of the document.
        document: Option<Arc<str>>,
    },
    /// The target says that it did not apply the posting and never will.
    Refused(Reason),
    /// Definitely not applied (never sent, or turned away); the same posting may be sent again.
    Again {
        /// Why.
        reason: Reason,
        /// The wait the target asked for, milliseconds.
        after_ms: Option<u64>,
        /// What has to wait.
        scope: Scope,
    },
    /// A part of it is applied, and no request is under way: what is missing can be told by a look.
    Unfinished {
        /// Why not all of it.
        reason: Reason,
        /// The wait the target asked for, milliseconds.
        after_ms: Option<u64>,
        /// What has to wait.
        scope: Scope,
    },
    /// A part of it is applied, and the target refuses the rest: a person has to see what becomes of it.
    Stuck(Reason),
    /// Nobody knows whether the target applied it.
    Unknown(Reason),
    /// The target says that it repeats what it answered to an earlier request with the same key, and nobody knows what that one did:
    /// it is there, it is not at it any more, and under this key it will never say anything else.
    Replayed(Reason),
}

/// What a refusal for now holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This posting's lane only.
    Lane,
    /// Nothing: others that shared its request were refused with it, by itself it may well be taken.
    Apart,
    /// Everything on the connection (throttled, unreachable, not authenticated).
    Connection,
}

/// The note that must be durable before the first byte of an attempt leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Intent {
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The incarnation of the process that wrote it; another one must wait for the deadline.
    pub epoch: u64,
    /// When the first attempt was intended, milliseconds since 1970-01-01 UTC.
    pub first_attempt_at: i64,
    /// When this attempt is over at the latest, milliseconds since 1970-01-01 UTC.
    pub deadline: i64,
    /// Hash of the request that every attempt repeats byte for byte.
    pub request_hash: u64,
}

/// The state an outcome puts a posting in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// The target applied it.
    Committed,
    /// It will not be applied; the dead-letter queue has it.
    Rejected,
    /// A newer version of the entity was applied before; it was not sent.
    Superseded,
    /// It may or may not have been applied; an operator decides.
    InDoubt,
}

/// How an outcome came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResolvedBy {
    /// By the target's answer to the first attempt, or without any attempt.
    Answer,
    /// By sending the same request again.
    Resend,
    /// By reading the target.
    ReadBack,
    /// By an operator, who looked.
    Operator,
}

/// What an operator decided about a posting in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The target has it, under this identifier if it is known.
    Committed(Option<Arc<str>>),
    /// The target does not have it, and is not to get it.
    Rejected,
    /// The target does not have it, and is to get it.
    Retry,
}

/// The end of a posting, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Outcome {
    /// The end itself.
    pub status: Status,
    /// The target's identifier of the document.
    pub document: Option<Arc<str>>,
    /// How many attempts were intended.
    pub attempts: u32,
    /// When the first attempt was intended, milliseconds since 1970-01-01 UTC.
    pub first_attempt_at: Option<i64>,
    /// When the outcome was known, milliseconds since 1970-01-01 UTC.
    pub settled_at: i64,
    /// The last trouble, if there was any: the evidence of an InDoubt, the cause of a rejection.
    pub reason: Option<Reason>,
    /// How it came to be known.
    pub resolved_by: ResolvedBy,
    /// The source version that was applied or passed over.
    pub source_version: i64,
    /// Hash of the request.
    pub request_hash: u64,
}
