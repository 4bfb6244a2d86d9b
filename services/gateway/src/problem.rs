//! Problem documents (RFC 9457): what went wrong, with a stable code.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// How the gateway names what it refuses. Each code has a page in docs/errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// `GTW-xxxx`.
    pub code: &'static str,
    /// The answer's status.
    pub status: StatusCode,
    /// The same for every occurrence.
    pub title: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $status:ident $title:literal;)*) => {
        $($(#[$doc])* pub const $name: Code = Code { code: $code, status: StatusCode::$status, title: $title };)*
        /// Every code that an answer can carry.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

/// The codes of answers.
pub mod codes {
    use super::{Code, StatusCode};

    codes! {
        /// No API key, or one that no tenant has.
        UNAUTHENTICATED = "GTW-0001" UNAUTHORIZED "the API key is missing or not known";
        /// The event names another tenant than the key's.
        FOREIGN_TENANT = "GTW-0002" FORBIDDEN "the event names another tenant";
        /// The tenant lives in another region.
        MISDIRECTED = "GTW-0003" MISDIRECTED_REQUEST "the tenant lives in another region";
        /// The body is longer than the limit.
        BODY_TOO_LARGE = "GTW-0004" PAYLOAD_TOO_LARGE "the body is too large";
        /// The body did not arrive in time, or the connection broke.
        BODY_INCOMPLETE = "GTW-0005" REQUEST_TIMEOUT "the body did not arrive";
        /// The content type or encoding is not one that the gateway reads.
        MEDIA_TYPE = "GTW-0006" UNSUPPORTED_MEDIA_TYPE "the content type is not supported";
        /// The body is not JSON, or not of the announced form.
        MALFORMED = "GTW-0007" BAD_REQUEST "the body is not of the announced form";
        /// At least one event is not valid; nothing was published.
        INVALID = "GTW-0008" UNPROCESSABLE_ENTITY "an event is not valid";
        /// More events in one request than the limit, or than the tenant's burst.
        BATCH_TOO_LARGE = "GTW-0009" PAYLOAD_TOO_LARGE "the batch has too many events";
        /// The tenant's quota is used up.
        QUOTA = "GTW-0010" TOO_MANY_REQUESTS "the tenant's quota is used up";
        /// The brokers did not acknowledge.
        BROKER_UNAVAILABLE = "GTW-0011" SERVICE_UNAVAILABLE "the brokers did not acknowledge";
        /// The topic of the object was not found as specified, or its schema has no registered id yet.
        NOT_OPEN = "GTW-0012" SERVICE_UNAVAILABLE "the topic or the schema of the event is not ready";
        /// The encoded event is larger than its topic allows.
        RECORD_TOO_LARGE = "GTW-0013" PAYLOAD_TOO_LARGE "the event is larger than its topic allows";
        /// The brokers refuse the event until somebody changes the topic or its permissions.
        BROKER_REFUSES = "GTW-0014" INSUFFICIENT_STORAGE "the brokers refuse the event";
        /// Which tenants there are was not read yet.
        TENANTS_UNKNOWN = "GTW-0015" SERVICE_UNAVAILABLE "the tenants are not known yet";
        /// No such tenant, connection, or webhook on it.
        NO_WEBHOOK = "GTW-0020" NOT_FOUND "there is no such webhook";
        /// The webhook's signature is missing or wrong.
        SIGNATURE = "GTW-0021" UNAUTHORIZED "the webhook's signature is not valid";
        /// The signature is right, its time is not: a replay of an old webhook, or a wrong clock.
        SIGNATURE_AGE = "GTW-0022" UNAUTHORIZED "the webhook's signature is too old";
        /// The mapping failed on this webhook.
        MAPPING = "GTW-0023" UNPROCESSABLE_ENTITY "the webhook could not be mapped to events";
        /// No such path.
        NO_ROUTE = "GTW-0030" NOT_FOUND "there is nothing at this path";
        /// The path exists, the method does not.
        METHOD = "GTW-0031" METHOD_NOT_ALLOWED "the method is not allowed here";
        /// A defect of the gateway.
        INTERNAL = "GTW-0032" INTERNAL_SERVER_ERROR "the gateway failed";
    }
}

/// The codes of single fields, beside those of the contracts.
pub mod field_codes {
    /// A required field is absent.
    pub const MISSING: &str = "GTW-0101";
    /// A field has the wrong JSON type.
    pub const TYPE: &str = "GTW-0102";
    /// The event type is not one of the naming standard.
    pub const EVENT_TYPE: &str = "GTW-0103";
    /// A field that events do not have.
    pub const UNKNOWN: &str = "GTW-0104";
    /// A value is too long, out of range, or not of its form.
    pub const VALUE: &str = "GTW-0105";
    /// Two fields that must agree do not.
    pub const DISAGREE: &str = "GTW-0106";
    /// All of them.
    pub const ALL: &[&str] = &[MISSING, TYPE, EVENT_TYPE, UNKNOWN, VALUE, DISAGREE];
}

/// One thing that is wrong with one field of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The event's place in the request, from 0.
    pub index: usize,
    /// The field, such as `data.lines[2].unit_price.amount`.
    pub path: String,
    /// `GTW-xxxx` or `CON-xxxx`.
    pub code: String,
    /// What is wrong with it.
    pub message: String,
}

/// What became of one event of a request that was published in part.
#[derive(Clone, Debug, Serialize)]
pub struct ItemResult {
    /// The event's place in the request, from 0.
    pub index: usize,
    /// Its id, the same at every resend.
    pub event_id: String,
    /// Whether the brokers acknowledged it.
    pub accepted: bool,
    /// Why not, where they did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

/// A problem on its way to the client. The outermost layer renders it, with the request's id as `instance`.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: Code,
    detail: String,
    retry_after: Option<Duration>,
    errors: Vec<FieldError>,
    results: Vec<ItemResult>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    results: &'a [ItemResult],
}

impl Problem {
    /// A problem; `detail` says what is special about this occurrence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (errors, results) = (Vec::new(), Vec::new());
        Self(Box::new(Parts { code, detail: detail.into(), retry_after: None, errors, results }))
    }

    /// With a `Retry-After`, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// With the fields that are wrong.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// With what became of each event.
    #[must_use]
    pub fn results(mut self, results: Vec<ItemResult>) -> Self {
        self.0.results = results;
        self
    }

    /// Which problem it is.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What is special about this occurrence.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields that are wrong.
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The answer, with `instance` as the request's id.
    pub fn render(&self, instance: &str) -> Response {
        let document = Document {
            r#type: format!("/errors/{}", self.0.code.code),
            title: self.0.code.title,
            status: self.0.code.status.as_u16(),
            detail: &self.0.detail,
            code: self.0.code.code,
            instance,
            errors: &self.0.errors,
            results: &self.0.results,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut answer = (self.0.code.status, body).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        // A webhook has no key to ask for: its 401 is about the signature.
        if self.0.code == codes::UNAUTHENTICATED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.0.retry_after {
            // Rounded up: a client that comes back a moment early would be refused again.
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64),
            );
        }
        answer
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut answer = self.0.code.status.into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_has_its_page() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        let mut seen = std::collections::BTreeSet::new();
        for code in codes::ALL.iter().map(|c| c.code).chain(field_codes::ALL.iter().copied()) {
            assert!(seen.insert(code), "{code} is given twice");
            let page = std::fs::read_to_string(docs.join(format!("{code}.md"))).unwrap();
            assert!(page.starts_with(&format!("# {code}: ")), "{code}.md");
        }
    }

    #[test]
    fn waits_are_rounded_up_to_whole_seconds() {
        let wait = |ms| {
            let problem = Problem::new(codes::QUOTA, "").retry_after(Duration::from_millis(ms));
            problem.render("r").headers()[header::RETRY_AFTER].to_str().unwrap().to_owned()
        };
        assert_eq!([wait(0), wait(1000), wait(1001)], ["1", "1", "2"]);
    }
}
