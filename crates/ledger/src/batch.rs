//! Changes to one space of the store, applied as one.

use std::sync::Arc;

use ahash::AHashMap;
use delivery::{Intent, Outcome, Status};
use event::{EntityId, PostingKey, RouteId};

use crate::{
    Change, Entry, Job, LedgerError, Store, Stored,
    mutant::{Mutant, is_broken},
    record::{CLAIMED, decode_entry, doubt_key, encode_entry, posting_key, version_key},
};

/// Changes to one space, applied as one.
pub(crate) struct Batch<'a> {
    store: &'a dyn Store,
    space: &'a Arc<str>,
    changes: Vec<Change>,
    pub(crate) position: Option<i64>,
    /// Versions in this batch, which the store does not show yet.
    versions: AHashMap<(RouteId, EntityId), i64>,
    /// The newest claim, once it was looked for.
    claimed: Option<Option<u64>>,
    /// Outcomes of former owners that were passed over.
    pub(crate) fenced: u64,
    /// Restored entries in this batch, which the store does not show yet.
    known: AHashMap<PostingKey, Entry>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(store: &'a dyn Store, space: &'a Arc<str>) -> Self {
        Self {
            store,
            space,
            changes: Vec::new(),
            position: None,
            versions: AHashMap::new(),
            claimed: None,
            fenced: 0,
            known: AHashMap::new(),
        }
    }

    pub(crate) fn add(&mut self, job: &Job) -> Result<(), LedgerError> {
        match job {
            Job::Intent { key, intent, position, .. } => {
                self.put(key, &Entry::Intent(*intent))?;
                self.position = self.position.max(*position);
            }
            Job::Outcome { key, entity, outcome, position, .. } => {
                self.outcome(key, *entity, outcome)?;
                self.position = self.position.max(Some(*position));
            }
            Job::Range { stored, .. } => self.restore(stored)?,
            Job::Barrier(_) => {}
        }
        Ok(())
    }

    /// An outcome of a term that is over counts only if it stands before the next term's claim: its owner had lost the
    /// partition, and the next one did not read it. An outcome is final: an Intent that stands behind it in the changelog is a zombie's and changes nothing. Of two
    /// Intents the later deadline counts: whoever resolves the posting has to wait for both.
    pub(crate) fn restore(&mut self, stored: &Stored) -> Result<(), LedgerError> {
        match &stored.entry {
            Entry::Claim(term) => {
                self.claimed = Some(Some(*term));
                self.put(&CLAIMED, &stored.entry)
            }
            Entry::Outcome(_) if self.is_fenced(stored.term)? => {
                self.fenced += 1;
                Ok(())
            }
            Entry::Outcome(outcome) => {
                self.known.insert(stored.key, stored.entry.clone());
                self.outcome(&stored.key, stored.entity, outcome)
            }
            Entry::Intent(intent) => {
                let kept = match self.entry(&stored.key)? {
                    // An operator wants it tried once more.
                    Some(Entry::Outcome(known)) if is_next_attempt(&known, intent) => *intent,
                    Some(Entry::Outcome(_) | Entry::Claim(_)) if !is_broken(Mutant::LateIntentCounts) => {
                        return Ok(());
                    }
                    Some(Entry::Intent(known)) if known.deadline > intent.deadline => {
                        Intent { deadline: known.deadline, ..*intent }
                    }
                    _ => *intent,
                };
                self.known.insert(stored.key, Entry::Intent(kept));
                self.put(&stored.key, &Entry::Intent(kept))
            }
        }
    }

    fn is_fenced(&mut self, term: u64) -> Result<bool, LedgerError> {
        if term == 0 {
            return Ok(false);
        }
        let claimed = match self.claimed {
            Some(known) => known,
            None => match self.entry(&CLAIMED)? {
                Some(Entry::Claim(term)) => Some(term),
                _ => None,
            },
        };
        self.claimed = Some(claimed);
        Ok(claimed.is_some_and(|current| current != term))
    }

    fn entry(&self, key: &PostingKey) -> Result<Option<Entry>, LedgerError> {
        if let Some(known) = self.known.get(key) {
            return Ok(Some(known.clone()));
        }
        self.store.get(self.space, &posting_key(key))?.map(|bytes| decode_entry(&bytes)).transpose()
    }

    fn outcome(&mut self, key: &PostingKey, entity: EntityId, outcome: &Outcome) -> Result<(), LedgerError> {
        self.put(key, &Entry::Outcome(outcome.clone()))?;
        if outcome.status == Status::InDoubt {
            self.changes.push((doubt_key(key), vec![1]));
        }
        // An InDoubt version may have been applied, so nothing older may follow it.
        if matches!(outcome.status, Status::Committed | Status::InDoubt) {
            self.raise_version(key.route, entity, outcome.source_version)?;
        }
        Ok(())
    }

    fn raise_version(&mut self, route: RouteId, entity: EntityId, version: i64) -> Result<(), LedgerError> {
        let known = match self.versions.get(&(route, entity)) {
            Some(known) => Some(*known),
            None => stored_version(self.store, self.space, route, entity)?,
        };
        if known.is_none_or(|known| known < version) {
            self.versions.insert((route, entity), version);
            self.changes.push((version_key(route, entity).to_vec(), version.to_be_bytes().to_vec()));
        }
        Ok(())
    }

    fn put(&mut self, key: &PostingKey, entry: &Entry) -> Result<(), LedgerError> {
        self.changes.push((posting_key(key).to_vec(), encode_entry(entry)?));
        Ok(())
    }

    pub(crate) fn apply(self) -> Result<(), LedgerError> {
        if self.changes.is_empty() && self.position.is_none() {
            return Ok(());
        }
        self.store.apply(self.space, self.changes, self.position)
    }
}

/// Whether an Intent begins a new attempt at what was in doubt: then nobody knows again.
fn is_next_attempt(outcome: &Outcome, intent: &Intent) -> bool {
    outcome.status == Status::InDoubt && intent.attempt > outcome.attempts
}

/// The newest version applied to an entity on a route.
pub(crate) fn stored_version(
    store: &dyn Store,
    space: &Arc<str>,
    route: RouteId,
    entity: EntityId,
) -> Result<Option<i64>, LedgerError> {
    let Some(bytes) = store.get(space, &version_key(route, entity))? else { return Ok(None) };
    let bytes = bytes.try_into().map_err(|_| LedgerError::Record("a version is damaged"))?;
    Ok(Some(i64::from_be_bytes(bytes)))
}
