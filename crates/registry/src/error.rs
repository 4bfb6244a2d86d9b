//! Errors in the words and codes of the Confluent API.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::json;

pub(crate) const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// What a request is refused with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    SubjectNotFound(String),
    VersionNotFound(String),
    SchemaNotFound,
    NoSubjectLevel(String),
    InvalidSchema(String),
    InvalidVersion(String),
    InvalidLevel(String),
    Incompatible(String),
    NotJson(String),
    Full,
    Unavailable,
}

impl ApiError {
    /// HTTP status and the API's own code.
    pub(crate) fn codes(&self) -> (StatusCode, u32) {
        match self {
            Self::SubjectNotFound(_) => (StatusCode::NOT_FOUND, 40401),
            Self::VersionNotFound(_) => (StatusCode::NOT_FOUND, 40402),
            Self::SchemaNotFound => (StatusCode::NOT_FOUND, 40403),
            Self::NoSubjectLevel(_) => (StatusCode::NOT_FOUND, 40408),
            Self::InvalidSchema(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42201),
            Self::InvalidVersion(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42202),
            Self::InvalidLevel(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42203),
            Self::Incompatible(_) => (StatusCode::CONFLICT, 409),
            Self::NotJson(_) => (StatusCode::BAD_REQUEST, 400),
            Self::Full => (StatusCode::INSUFFICIENT_STORAGE, 50001),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, 50301),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::SubjectNotFound(subject) => format!("Subject '{subject}' not found."),
            Self::VersionNotFound(version) => format!("Version {version} not found."),
            Self::SchemaNotFound => "Schema not found".to_owned(),
            Self::NoSubjectLevel(subject) => {
                format!("Subject '{subject}' does not have subject-level compatibility configured")
            }
            Self::InvalidSchema(why) => format!("Invalid schema: {why}"),
            Self::InvalidVersion(version) => {
                format!(
                    "The specified version '{version}' is not a valid version id. Use 1 and up, or \"latest\""
                )
            }
            Self::InvalidLevel(why) | Self::NotJson(why) => why.clone(),
            Self::Incompatible(why) => {
                format!("Schema being registered is incompatible with an earlier schema: {why}")
            }
            Self::Full => "the embedded registry is full; it is for demo and evaluation only".to_owned(),
            Self::Unavailable => "the embedded registry was told to be unavailable".to_owned(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.codes();
        let body = json!({"error_code": code, "message": self.message()}).to_string();
        (status, [(CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
    }
}
