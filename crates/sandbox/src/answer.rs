//! The answer to a write, kept as it was sent so that it can be replayed.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use bytes::Bytes;
use serde::Serialize;

use crate::{collection::Collection, refusal::Refusal};

/// Says that a stored answer was sent again and nothing was done.
pub(crate) const REPLAYED: &str = "idempotent-replayed";

/// Status, headers and body of an answer. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    body: Bytes,
    version: Option<u64>,
    location: Option<Arc<str>>,
    retry_after: bool,
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    external_id: &'a str,
    version: u64,
}

impl Answer {
    /// The answer to a request that created (201) or updated (200) a document.
    pub(crate) fn written(
        account: &str,
        collection: Collection,
        id: &str,
        external_id: &str,
        version: u64,
        created: bool,
    ) -> Self {
        let written = Written { id, external_id, version };
        Self {
            status: if created { StatusCode::CREATED } else { StatusCode::OK },
            body: serde_json::to_vec(&written).unwrap_or_default().into(),
            version: Some(version),
            location: created.then(|| format!("/{account}/api/v1/{}/{id}", collection.name()).into()),
            retry_after: false,
        }
    }

    /// An answer that is no document's.
    pub(crate) fn plain(status: StatusCode, body: String) -> Self {
        Self { status, body: body.into(), version: None, location: None, retry_after: false }
    }

    /// What it says as one of several: its body, and its status.
    pub(crate) fn as_item(&self) -> serde_json::Value {
        let mut item: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        if let Some(fields) = item.as_object_mut() {
            fields.insert("status".to_owned(), self.status.as_u16().into());
        }
        item
    }

    /// The response, marked as a replay or not.
    pub(crate) fn into_response(self, replayed: bool) -> Response<Body> {
        let mut response = json_response(self.status, self.body);
        let headers = response.headers_mut();
        if let Some(version) = self.version {
            headers.insert(header::ETAG, etag(version));
        }
        if let Some(location) = self.location.and_then(|l| HeaderValue::from_str(&l).ok()) {
            headers.insert(header::LOCATION, location);
        }
        if self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

impl From<&Refusal> for Answer {
    fn from(refusal: &Refusal) -> Self {
        Self {
            status: refusal.status(),
            body: refusal.to_json().into(),
            version: None,
            location: None,
            retry_after: matches!(refusal, Refusal::Throttled(_)),
        }
    }
}

/// The entity tag of a document's version: `"3"`.
pub(crate) fn etag(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from(version))
}

/// A JSON response.
pub(crate) fn json_response(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
