//! A write, taken apart and checked, before the account decides what becomes of it.

use std::sync::{Arc, LazyLock};

use ahash::RandomState;
use axum::http::{HeaderMap, HeaderName, header};
use serde_json::value::RawValue;

use crate::{body, collection::Collection, refusal::Refusal};

const KEY: &str = "idempotency-key";
const EVENT_ID: &str = "x-counterfoil-event-id";
const SOURCE_VERSION: &str = "x-counterfoil-source-version";
/// As Stripe's limit.
const MAX_HEADER: usize = 255;

static FINGERPRINT: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What kind of write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verb {
    /// POST to the collection.
    Create,
    /// PUT by external id.
    Upsert { condition: Condition },
}

/// `If-Match` or `If-None-Match` of a PUT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Condition {
    None,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match: *`.
    Present,
    /// `If-Match: "3"`.
    Version(u64),
}

impl Condition {
    /// Whether the document, at `version` if it exists, is as the request demands.
    pub(crate) fn holds(self, version: Option<u64>) -> bool {
        match self {
            Self::None => true,
            Self::Absent => version.is_none(),
            Self::Present => version.is_some(),
            Self::Version(wanted) => version == Some(wanted),
        }
    }

    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        match (text(headers, &header::IF_MATCH)?, text(headers, &header::IF_NONE_MATCH)?) {
            (None, None) => Ok(Self::None),
            (Some("*"), None) => Ok(Self::Present),
            (None, Some("*")) => Ok(Self::Absent),
            (Some(tag), None) => {
                let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                version.and_then(|v| v.parse().ok()).map(Self::Version).ok_or(Refusal::BadHeader("If-Match"))
            }
            (_, Some(_)) => Err(Refusal::BadHeader("If-None-Match")),
        }
    }
}

/// A write that passed every check that does not need the account's state.
pub(crate) struct Write {
    pub(crate) collection: Collection,
    pub(crate) verb: Verb,
    pub(crate) external_id: Arc<str>,
    pub(crate) customer_id: Option<String>,
    /// The document's own date, `YYYY-MM-DD`.
    pub(crate) issued_on: Option<String>,
    pub(crate) data: Box<RawValue>,
    pub(crate) key: Option<Arc<str>>,
    pub(crate) event_id: Option<Arc<str>>,
    pub(crate) source_version: Option<u64>,
    /// Stands for everything of the request that the idempotency key must not be reused for.
    pub(crate) fingerprint: u64,
    /// Its row in the log of requests, if there is one.
    pub(crate) logged: Option<usize>,
}

/// Key, event id and source version.
type Told = (Option<Arc<str>>, Option<Arc<str>>, Option<u64>);

impl Write {
    /// Reads a request; `path_id` is the external id of a PUT.
    pub(crate) fn read(
        collection: Collection,
        path_id: Option<&str>,
        headers: &HeaderMap,
        bytes: &[u8],
    ) -> Result<Self, Refusal> {
        let verb = match path_id {
            Some(_) => Verb::Upsert { condition: Condition::of(headers)? },
            None => Verb::Create,
        };
        let key = short(headers, KEY, "Idempotency-Key")?;
        let event_id = short(headers, EVENT_ID, "X-Counterfoil-Event-Id")?;
        let source_version = short(headers, SOURCE_VERSION, "X-Counterfoil-Source-Version")?
            .map(|text| text.parse().map_err(|_| Refusal::BadHeader("X-Counterfoil-Source-Version")))
            .transpose()?;
        Self::of(collection, (verb, path_id), (key, event_id, source_version), bytes)
    }

    /// One item of several. By its external id it is the same write as a PUT of it alone.
    pub(crate) fn of_item(
        collection: Collection,
        verb: Verb,
        external_id: &str,
        told: Told,
        bytes: &[u8],
    ) -> Result<Self, Refusal> {
        let path_id = (verb != Verb::Create).then_some(external_id);
        Self::of(collection, (verb, path_id), told, bytes)
    }

    fn of(
        collection: Collection,
        (verb, path_id): (Verb, Option<&str>),
        (key, event_id, source_version): Told,
        bytes: &[u8],
    ) -> Result<Self, Refusal> {
        let checked = body::check(collection, path_id, bytes)?;
        Ok(Self {
            collection,
            verb,
            external_id: checked.external_id.into(),
            customer_id: checked.customer_id,
            issued_on: checked.issued_on,
            data: checked.data,
            key,
            event_id,
            source_version,
            fingerprint: FINGERPRINT.hash_one((collection, path_id, bytes)),
            logged: None,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let readable =
        |_| Refusal::BadHeader(if *name == header::IF_MATCH { "If-Match" } else { "If-None-Match" });
    headers.get(name).map(|value| value.to_str().map_err(readable)).transpose()
}

fn short(headers: &HeaderMap, name: &str, shown: &'static str) -> Result<Option<Arc<str>>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) if !text.is_empty() && text.len() <= MAX_HEADER => Ok(Some(text.into())),
        _ => Err(Refusal::BadHeader(shown)),
    }
}
