//! The persistent forms: keys and values of the changelog and of the store. Do not change: old ledgers must be read.
//! A new form gets a new version byte; the golden bytes in tests.rs hold the old ones.

use delivery::{Intent, Outcome};
use event::{EntityId, EventId, PostingKey, RouteId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    LedgerError,
    mutant::{Mutant, is_broken},
};

const VERSION: u8 = 1;
const INTENT: u8 = b'i';
const OUTCOME: u8 = b'o';
const CLAIM: u8 = b'c';
/// Version, event, route, generation.
const POSTING_LEN: usize = 1 + 16 + 8 + 2;
const TERM_LEN: usize = 8;

/// What the ledger holds for a posting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// An attempt was intended.
    Intent(Intent),
    /// The posting is over.
    Outcome(Outcome),
    /// Somebody owns the partition from here on, under this term; see [`claim`].
    Claim(u64),
}

/// One record of the changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The posting.
    pub key: PostingKey,
    /// Its entity.
    pub entity: EntityId,
    /// What is recorded.
    pub entry: Entry,
    /// Under which ownership of its partition; 0 of records older than terms.
    pub term: u64,
}

/// The key of the Intent that a range of records shares. It has the form of a posting's, so that changelog, store and
/// restore need not know of it; no event has the nil id.
pub(crate) const RANGE: PostingKey =
    PostingKey { event: EventId(Uuid::nil()), route: RouteId(0), generation: 0 };

/// The key that the newest claim has in the store; no event has the nil id.
pub(crate) const CLAIMED: PostingKey =
    PostingKey { event: EventId(Uuid::nil()), route: RouteId(1), generation: 0 };

/// The record with which an owner begins its term, before it reads the changelog to its end. An outcome of another term
/// that stands behind it was appended by a former owner when the new one had read already: whoever reads the
/// changelog passes over it, as the new owner did (OWN-1).
pub fn claim(term: u64) -> Stored {
    Stored { key: CLAIMED, entity: EntityId(Uuid::nil()), entry: Entry::Claim(term), term }
}

/// The Intent of all records of a partition below offset `until` (docs/adr/0014). The offset stands where other Intents
/// have their deadline: of two the later one counts.
pub fn range(until: i64, epoch: u64, term: u64, now: i64) -> Stored {
    let intent = Intent { attempt: 0, epoch, first_attempt_at: now, deadline: until, request_hash: 0 };
    Stored { key: RANGE, entity: EntityId(Uuid::nil()), entry: Entry::Intent(intent), term }
}

/// The store's key of a posting; one for its Intent and its outcome.
pub fn posting_key(key: &PostingKey) -> [u8; POSTING_LEN] {
    let mut bytes = [VERSION; POSTING_LEN];
    bytes[1..17].copy_from_slice(key.event.0.as_bytes());
    bytes[17..25].copy_from_slice(&key.route.0.to_be_bytes());
    bytes[25..].copy_from_slice(&key.generation.to_be_bytes());
    bytes
}

/// The store's key of the newest version applied to an entity on a route.
pub fn version_key(route: RouteId, entity: EntityId) -> [u8; 25] {
    let mut bytes = [b'v'; 25];
    bytes[1..9].copy_from_slice(&route.0.to_be_bytes());
    bytes[9..].copy_from_slice(entity.0.as_bytes());
    bytes
}

/// What stands before the keys of the list of postings that are, or were, in doubt.
pub(crate) const DOUBTS: u8 = b'd';

/// The store's key in that list.
pub(crate) fn doubt_key(key: &PostingKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + POSTING_LEN);
    bytes.push(DOUBTS);
    bytes.extend_from_slice(&posting_key(key));
    bytes
}

/// Whether a key of the store is one of [`version_key`]'s.
pub(crate) fn is_version_key(key: &[u8]) -> bool {
    key.len() == 25 && key[0] == b'v'
}

impl Stored {
    /// The changelog's key. Intent and outcome have different ones, so that in the compacted topic a zombie's late
    /// Intent cannot take the place of an outcome; and each term has its own, so that a zombie's late record takes no
    /// other one's place at all.
    pub fn changelog_key(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(POSTING_LEN + 1 + TERM_LEN);
        bytes.extend_from_slice(&posting_key(&self.key));
        if is_broken(Mutant::SingleKey) {
            return bytes;
        }
        bytes.push(match self.entry {
            Entry::Intent(_) => INTENT,
            Entry::Outcome(_) => OUTCOME,
            Entry::Claim(_) => CLAIM,
        });
        if self.term != 0 && !is_broken(Mutant::NoTerm) {
            bytes.extend_from_slice(&self.term.to_be_bytes());
        }
        bytes
    }

    /// The changelog's value: version, entity, entry.
    pub fn changelog_value(&self) -> Result<Vec<u8>, LedgerError> {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(VERSION);
        bytes.extend_from_slice(self.entity.0.as_bytes());
        postcard::to_extend(&self.entry, bytes).map_err(|_| LedgerError::Record("it cannot be written"))
    }

    /// Reads a changelog record.
    pub fn from_changelog(key: &[u8], value: &[u8]) -> Result<Self, LedgerError> {
        let (posting, term) = parse_key(key).ok_or(LedgerError::Record("its key has an unknown form"))?;
        let (head, entry) =
            value.split_at_checked(17).ok_or(LedgerError::Record("its value is too short"))?;
        if head[0] != VERSION {
            return Err(LedgerError::Record("its value has an unknown version"));
        }
        Ok(Self {
            key: PostingKey {
                event: EventId(uuid_at(posting, 1)),
                route: RouteId(u64::from_be_bytes(array_at(posting, 17))),
                generation: u16::from_be_bytes(array_at(posting, 25)),
            },
            entity: EntityId(uuid_at(head, 1)),
            entry: decode_entry(entry)?,
            term,
        })
    }
}

/// The posting and the term that a changelog's key is of.
fn parse_key(key: &[u8]) -> Option<(&[u8], u64)> {
    let (posting, rest) = key.split_at_checked(POSTING_LEN).filter(|(posting, _)| posting[0] == VERSION)?;
    match rest {
        [INTENT | OUTCOME | CLAIM] => Some((posting, 0)),
        [INTENT | OUTCOME | CLAIM, term @ ..] if term.len() == TERM_LEN => {
            Some((posting, u64::from_be_bytes(array_at(term, 0))))
        }
        [] if is_broken(Mutant::SingleKey) => Some((posting, 0)),
        _ => None,
    }
}

/// The store's value of a posting.
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>, LedgerError> {
    postcard::to_extend(entry, Vec::with_capacity(64))
        .map_err(|_| LedgerError::Record("it cannot be written"))
}

/// Reads the store's value of a posting.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, LedgerError> {
    postcard::from_bytes(bytes).map_err(|_| LedgerError::Record("its entry is damaged"))
}

fn uuid_at(bytes: &[u8], at: usize) -> Uuid {
    Uuid::from_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
