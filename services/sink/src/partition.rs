//! An assigned partition, as the engine sees it.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use kafka::{Assigned, Fetched, Position};

use crate::{outbox::Purpose, standby::Copied};

/// Topic and partition of an assignment, its ledger's space, and the records that cannot be taken in yet.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) number: i32,
    /// Its key space in the local ledger.
    pub(crate) space: Arc<str>,
    /// Names this ownership in the changelog.
    pub(crate) term: u64,
    /// The topic of its changelog.
    pub(crate) changelog: Arc<str>,
    /// When it was assigned.
    pub(crate) since: Instant,
    /// Whether its ledger is complete. Nothing is taken in before.
    pub(crate) restored: bool,
    /// Records that cannot be taken in yet: the ledger is not complete, or the first one's schema is not known.
    pub(crate) waiting: VecDeque<Fetched>,
    /// Whether fetching is paused because of them.
    pub(crate) held: bool,
    /// The schema that is being fetched.
    pub(crate) schema: Option<u32>,
    /// Acknowledgements that came without a lease: a successor may not have read these records.
    pub(crate) late: Vec<(Purpose, Position)>,
}

impl Partition {
    pub(crate) fn new(assigned: &Assigned) -> Self {
        Self {
            topic: Arc::clone(&assigned.topic),
            number: assigned.partition,
            space: space(&assigned.topic, assigned.partition),
            term: uuid::Uuid::new_v4().as_u64_pair().0 | 1, // 0 is no term
            changelog: Arc::from(topics::names::ledger(&assigned.topic)),
            since: Instant::now(),
            restored: false,
            waiting: VecDeque::new(),
            held: false,
            schema: None,
            late: Vec::new(),
        }
    }

    /// The same, for its standby copy.
    pub(crate) fn copied(&self) -> Copied {
        let (changelog, space) = (Arc::clone(&self.changelog), Arc::clone(&self.space));
        Copied { changelog, partition: self.number, space }
    }
}

/// The key space of a partition in the ledger. Do not change: it names what is stored.
pub(crate) fn space(topic: &str, partition: i32) -> Arc<str> {
    Arc::from(format!("{topic}-{partition}"))
}
