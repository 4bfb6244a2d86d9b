//! Why a request was refused, as the client reads it.

use axum::http::StatusCode;
use serde_json::json;

/// A request that changed nothing, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "an account is 1 to 64 of a-z, 0-9, `-` and `_`, begins with a letter or digit, and is not `admin`"
    )]
    BadAccount,
    #[error("there are already {0} accounts")]
    TooManyAccounts(usize),
    #[error("`{0}` is not a collection")]
    UnknownCollection(String),
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("the method is not one of this resource's")]
    MethodNotAllowed,
    #[error("the query `{0}` cannot be read")]
    BadQuery(String),
    #[error("the bearer token is missing or wrong")]
    Unauthorized,
    #[error("the limit of {0} requests per second is reached")]
    Throttled(u32),
    #[error("{message}")]
    Validation { message: String, field: Option<String> },
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the header `{0}` cannot be read")]
    BadHeader(&'static str),
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    #[error("a request with this Idempotency-Key is still being worked on")]
    InFlight,
    #[error("external id `{external_id}` is already document {document}")]
    Duplicate { external_id: String, document: String },
    #[error("the document is not at the version the request asks for")]
    PreconditionFailed,
    #[error("there is no customer `{0}`")]
    MissingReference(String),
    #[error("the books are closed before {0}")]
    ClosedPeriod(String),
    #[error("the service is unavailable")]
    Unavailable,
    #[error("something went wrong")]
    Internal,
    #[error("too many requests are being worked on")]
    Busy,
    #[error("the account holds as many changes as it can")]
    Full,
}

impl Refusal {
    /// A validation error about one field of the body.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Validation { message: message.into(), field: Some(field.to_owned()) }
    }

    /// A validation error about the body as a whole.
    pub(crate) fn body(message: impl Into<String>) -> Self {
        Self::Validation { message: message.into(), field: None }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BadAccount | Self::Validation { .. } | Self::BadHeader(_) | Self::BadQuery(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::UnknownCollection(_) | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::InFlight | Self::Duplicate { .. } => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::KeyReused | Self::MissingReference(_) | Self::ClosedPeriod(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Full | Self::TooManyAccounts(_) => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// The stable word for the reason, in `error.code` of the answer.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::BadAccount => "bad_account",
            Self::TooManyAccounts(_) | Self::Full => "full",
            Self::UnknownCollection(_) => "unknown_collection",
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BadQuery(_) => "bad_query",
            Self::Unauthorized => "unauthorized",
            Self::Throttled(_) => "throttled",
            Self::Validation { .. } => "validation",
            Self::TooLarge(_) => "too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BadHeader(_) => "bad_header",
            Self::KeyReused => "key_reused",
            Self::InFlight => "in_flight",
            Self::Duplicate { .. } => "duplicate",
            Self::PreconditionFailed => "precondition_failed",
            Self::MissingReference(_) => "missing_reference",
            Self::ClosedPeriod(_) => "closed_period",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::Busy => "busy",
        }
    }

    fn field_name(&self) -> Option<&str> {
        match self {
            Self::Validation { field, .. } => field.as_deref(),
            Self::MissingReference(_) => Some("customer_id"),
            Self::ClosedPeriod(_) => Some("issued_on"),
            Self::Duplicate { .. } => Some("id"),
            _ => None,
        }
    }

    /// The answer's body: `{"error":{"code","message","field"}}`.
    pub(crate) fn to_json(&self) -> String {
        json!({"error": {"code": self.code(), "message": self.to_string(), "field": self.field_name()}})
            .to_string()
    }
}
