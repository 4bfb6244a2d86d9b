//! What stands on a record beside its value.

use std::{ops::Deref, panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use rdkafka::{
    Message as _,
    message::{BorrowedHeaders, BorrowedMessage, Headers as _},
};

/// A record's key, and the headers that came with it. Most records have none, and nothing is allocated for them.
///
/// It can be used as the key: the headers matter only to whoever keeps the record as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The key; empty if the record has none.
    pub key: Bytes,
    /// Name and value of each header in their order; a null value is empty here.
    pub headers: Option<Arc<[(String, Bytes)]>>,
}

impl Label {
    /// The name that stands for one that is not UTF-8; its value cannot be had.
    pub const UNREADABLE: &str = "unreadable-header";

    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            key: message.key().map_or_else(Bytes::new, Bytes::copy_from_slice),
            headers: message
                .headers()
                .map(|headers| (0..headers.count()).map(|i| header(headers, i)).collect()),
        }
    }
}

impl Deref for Label {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.key
    }
}

/// rdkafka panics over a name that is not UTF-8, and such a record must not stop its partition.
fn header(headers: &BorrowedHeaders, index: usize) -> (String, Bytes) {
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| {
        headers
            .try_get(index)
            .map(|h| (h.key.to_owned(), Bytes::copy_from_slice(h.value.unwrap_or_default())))
    }));
    read.ok().flatten().unwrap_or_else(|| (Label::UNREADABLE.to_owned(), Bytes::new()))
}
