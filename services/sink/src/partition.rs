//! An assigned partition, as the engine sees it.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use kafka::{Assigned, Fetched, Position};

use crate::{outbox::Purpose, plan::Plan, standby::Copied};

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
    /// The catch-up that is waited for, since nobody knows the first one's tenant.
    pub(crate) unknown: Option<u64>,
    /// Records of tenants whose configuration cannot be carried out here: they hold the prefix, and nobody else.
    pub(crate) kept: Vec<Fetched>,
    /// How many of the waiting records were there when that was asked for: what it does not know, nobody does.
    pub(crate) covered: usize,
    /// Plans that are no longer in force, each with the offset that the first record behind it has: those before it were taken in
    /// under it, and are read again under it.
    pub(crate) past: VecDeque<(i64, Arc<Plan>)>,
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
            unknown: None,
            kept: Vec::new(),
            covered: 0,
            past: VecDeque::new(),
            late: Vec::new(),
        }
    }

    /// The plan that the record at `offset` was taken in under; none if it is the one in force.
    pub(crate) fn plan_at(&self, offset: i64) -> Option<&Arc<Plan>> {
        self.past.iter().find(|(until, _)| offset < *until).map(|(_, plan)| plan)
    }

    /// Everything before `offset` is settled.
    pub(crate) fn settled(&mut self, offset: i64) {
        while self.past.front().is_some_and(|(until, _)| *until <= offset) {
            self.past.pop_front();
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
