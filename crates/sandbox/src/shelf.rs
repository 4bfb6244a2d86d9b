//! The documents of one collection of one account.

use std::sync::Arc;

use ahash::AHashMap;
use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::collection::Collection;

/// A document as stored.
pub(crate) struct Document {
    pub(crate) id: Arc<str>,
    pub(crate) external_id: Arc<str>,
    pub(crate) version: u64,
    pub(crate) event_id: Option<Arc<str>>,
    pub(crate) source_version: Option<u64>,
    pub(crate) changed_at: DateTime<Utc>,
    /// The request's body as it came.
    pub(crate) data: Box<RawValue>,
}

/// A document as the API shows it.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    pub(crate) id: &'a str,
    external_id: &'a str,
    pub(crate) version: u64,
    /// Documents of the collection that have this external id; more than 1 is a duplicate.
    copies: usize,
    /// The event that last changed the document, if the request named it.
    event_id: Option<&'a str>,
    source_version: Option<u64>,
    changed_at: String,
    data: &'a RawValue,
}

/// What a change did.
pub(crate) struct Change {
    pub(crate) index: usize,
    pub(crate) created: bool,
}

/// What a write brings to a document.
pub(crate) struct Content {
    pub(crate) event_id: Option<Arc<str>>,
    pub(crate) source_version: Option<u64>,
    pub(crate) data: Box<RawValue>,
}

/// Documents in the order of their creation, found by number and by external id.
#[derive(Default)]
pub(crate) struct Shelf {
    documents: Vec<Document>,
    by_id: AHashMap<Arc<str>, usize>,
    /// Usually one; several where the account does not keep external ids unique.
    by_external_id: AHashMap<Arc<str>, Vec<usize>>,
}

impl Shelf {
    pub(crate) fn len(&self) -> usize {
        self.documents.len()
    }

    pub(crate) fn at(&self, index: usize) -> &Document {
        &self.documents[index]
    }

    pub(crate) fn holds(&self, external_id: &str) -> bool {
        self.by_external_id.contains_key(external_id)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Document> {
        self.by_id.get(id).map(|index| &self.documents[*index])
    }

    /// The newest of the documents with this external id.
    pub(crate) fn by_external_id(&self, external_id: &str) -> Option<&Document> {
        self.by_external_id.get(external_id)?.last().map(|index| &self.documents[*index])
    }

    /// Up to `limit` documents created after document `after`; `None` if there is no such document.
    pub(crate) fn page(&self, after: Option<&str>, limit: usize) -> Option<&[Document]> {
        let start = match after {
            Some(id) => self.by_id.get(id)? + 1,
            None => 0,
        };
        let end = self.documents.len().min(start.saturating_add(limit));
        Some(&self.documents[start..end])
    }

    /// Adds a document under the next number.
    pub(crate) fn create(
        &mut self,
        collection: Collection,
        external_id: &Arc<str>,
        content: Content,
    ) -> Change {
        let index = self.documents.len();
        let now = Utc::now();
        let id: Arc<str> = format!("{}-{}-{:05}", collection.number_prefix(), now.year(), index + 1).into();
        self.by_id.insert(Arc::clone(&id), index);
        self.by_external_id.entry(Arc::clone(external_id)).or_default().push(index);
        self.documents.push(Document {
            id,
            external_id: Arc::clone(external_id),
            version: 1,
            event_id: content.event_id,
            source_version: content.source_version,
            changed_at: now,
            data: content.data,
        });
        Change { index, created: true }
    }

    /// Replaces the newest document with this external id, or adds one.
    pub(crate) fn upsert(
        &mut self,
        collection: Collection,
        external_id: &Arc<str>,
        content: Content,
    ) -> Change {
        let Some(index) = self.by_external_id.get(external_id).and_then(|all| all.last().copied()) else {
            return self.create(collection, external_id, content);
        };
        let document = &mut self.documents[index];
        document.version += 1;
        document.event_id = content.event_id;
        document.source_version = content.source_version;
        document.changed_at = Utc::now();
        document.data = content.data;
        Change { index, created: false }
    }

    pub(crate) fn show<'a>(&'a self, document: &'a Document) -> Shown<'a> {
        Shown {
            id: &document.id,
            external_id: &document.external_id,
            version: document.version,
            copies: self.by_external_id.get(&document.external_id).map_or(0, Vec::len),
            event_id: document.event_id.as_deref(),
            source_version: document.source_version,
            changed_at: document.changed_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            data: &document.data,
        }
    }
}
