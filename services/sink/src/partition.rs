//! An assigned partition, as the engine sees it.

use std::{collections::VecDeque, sync::Arc};

use kafka::{Assigned, Fetched};

/// Topic and partition of an assignment, its ledger's space, and the records that cannot be taken in yet.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) number: i32,
    /// Its key space in the local ledger.
    pub(crate) space: Arc<str>,
    /// The topic of its changelog.
    pub(crate) changelog: Arc<str>,
    /// Records behind one whose schema is not known yet, that one first.
    pub(crate) waiting: VecDeque<Fetched>,
    /// The schema that is being fetched.
    pub(crate) schema: Option<u32>,
}

impl Partition {
    pub(crate) fn new(assigned: &Assigned) -> Self {
        Self {
            topic: Arc::clone(&assigned.topic),
            number: assigned.partition,
            space: Arc::from(format!("{}-{}", assigned.topic, assigned.partition)),
            changelog: Arc::from(topics::names::ledger(&assigned.topic)),
            waiting: VecDeque::new(),
            schema: None,
        }
    }
}
