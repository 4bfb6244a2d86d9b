//! What a posting may share a request with, and how many gather for one.

/// How a posting may share a request with others of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bulk {
    /// Only postings of the same kind share a request: object, operation, and how they are written.
    pub kind: u64,
    /// Most postings in a request.
    pub max_items: u32,
    /// Most bytes in a request.
    pub max_bytes: u32,
    /// About how many bytes of it are this posting's.
    pub bytes: u32,
    /// Whether the target counts every item as a request, where it counts over time.
    pub counts_each: bool,
}

/// How a connection's line gathers before a request that several can share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Gathering {
    /// Nobody waits for company.
    #[default]
    Idle,
    /// The first in line waits for company, until a timer ends it.
    Waiting,
    /// Whoever is in line may go.
    Over,
}
