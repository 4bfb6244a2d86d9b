//! A posting: what is sent, any number of times, byte for byte the same.

use bytes::Bytes;
use event::{EventId, PostingKey, RouteId};
use http::Uri;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Endpoint;

/// A posting, ready to be sent any number of times, byte for byte the same.
#[derive(Clone, Debug)]
pub struct Posting {
    key: PostingKey,
    reference: Box<str>,
    source_version: i64,
    /// The address of the write, where nothing of it is known only later.
    pub(crate) uri: Option<Uri>,
    pub(crate) payload: Bytes,
    /// What its idempotency key is broken with.
    #[cfg(feature = "mutants")]
    salt: Option<uuid::Uuid>,
}

/// What a look has found of a posting at the target: where an operation goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The document's own id.
    pub(crate) id: Option<Value>,
    /// Its version.
    pub(crate) version: Option<String>,
    /// Whether it says something else than the posting, and must be written over.
    pub(crate) differs: bool,
    /// The first step that is not done.
    pub(crate) step: usize,
}

impl Posting {
    pub(crate) fn new(
        key: PostingKey,
        reference: &str,
        source_version: i64,
        uri: Option<Uri>,
        payload: Bytes,
    ) -> Self {
        Self {
            key,
            reference: reference.into(),
            source_version,
            uri,
            payload,
            #[cfg(feature = "mutants")]
            salt: None,
        }
    }

    /// The same posting under an idempotency key that no other request has: what must never be sent.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn under_a_new_key(&self) -> Self {
        Self { salt: Some(uuid::Uuid::new_v4()), ..self.clone() }
    }

    /// A posting of which nothing can be sent: it stands for the event in what is kept of it, and goes nowhere.
    pub fn nothing(key: PostingKey, reference: &str, source_version: i64) -> Self {
        Self::new(key, reference, source_version, None, Bytes::from_static(b"{}"))
    }

    /// A posting that stands for a look at another document.
    pub(crate) fn referring(&self, reference: &str) -> Self {
        Self::new(self.key, reference, self.source_version, None, Bytes::new())
    }

    /// A posting that stands for a question about no document in particular.
    pub(crate) fn asking() -> Self {
        let key = PostingKey { event: EventId(Default::default()), route: RouteId(0), generation: 0 };
        Self::new(key, "", 0, None, Bytes::new())
    }

    /// Event, route and generation.
    pub fn key(&self) -> PostingKey {
        self.key
    }

    pub(crate) fn reference(&self) -> &str {
        &self.reference
    }

    pub(crate) fn source_version(&self) -> i64 {
        self.source_version
    }

    /// The key of the write, or of one of its steps: they are requests of their own.
    pub(crate) fn idempotency_key(&self, step: Option<&str>) -> String {
        let key = self.key.idempotency_key();
        #[cfg(feature = "mutants")]
        let key = self.salt.unwrap_or(key);
        match step {
            None => key.to_string(),
            Some(step) => format!("{key}-{step}"),
        }
    }

    /// Hash over everything that the target sees, but for the credentials and what is looked up there on the way.
    pub fn hash(&self, endpoint: &Endpoint) -> u64 {
        let mut hash = Sha256::new();
        hash.update(endpoint.method().as_str());
        match &self.uri {
            Some(uri) => hash.update(uri.path()),
            None => hash.update(&*self.reference),
        }
        hash.update([0]);
        hash.update(&self.payload);
        if let Some(fingerprint) = endpoint.fingerprint() {
            hash.update(fingerprint);
        }
        let digest = hash.finalize();
        digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}
