//! One posting on its way.

use event::{EntityId, PostingKey};

use crate::{
    batch::Bulk,
    connection::ConnectionId,
    lane::LaneKey,
    line::Urgency,
    outcome::{Intent, Outcome, Reason, ResolvedBy, Status},
    policy::{Class, OnExisting, Resolution},
    spill::Backlog,
    time::Now,
    window::PartitionId,
};

/// How long an Intent may wait for its slot before it must be written anew.
const SLOT_WAIT_MS: u64 = 1_000;
/// Identical failures in a row after which one more says nothing new of the target as a whole.
const ITS_OWN_AFTER: u32 = 3;
/// Identical failures in a row after which a posting is not simply repeated any more…
const STUCK_AFTER: u32 = 6;
/// …if the target has applied so many others meanwhile: then it is not away.
const STUCK_WHILE: u64 = 3;

/// Names a posting inside one core. A ticket of a posting that is gone is recognised as stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

impl Ticket {
    /// The slot: unique among live postings, small, reused. For the caller's own side tables.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// What the caller tells about a posting when its record arrives.
#[derive(Clone, Copy, Debug, Hash)]
pub struct NewPosting {
    /// Event, route and generation.
    pub key: PostingKey,
    /// The entity whose order counts.
    pub entity: EntityId,
    /// Where it goes.
    pub connection: ConnectionId,
    /// What the target can do.
    pub class: Class,
    /// The source's version of the entity.
    pub source_version: i64,
    /// Hash of the request that would be sent.
    pub request_hash: u64,
    /// How long a write may take to show in a look-up, milliseconds; 0 where it shows at once.
    pub lag_ms: u64,
    /// What to do with a document that says something else.
    pub on_existing: OnExisting,
    /// Whether each attempt has an Intent of its own whatever the class: a repeat of it is not harmless before a look, as with a
    /// plain create that a look-up makes class U, and with an operation of several requests.
    pub alone: bool,
    /// Whether a newer version that waits behind it takes its place, as long as it was not sent.
    pub conflate: bool,
    /// What the target locks while it works on the posting, hashed: requests that share it go one after the other.
    pub lock: Option<u64>,
    /// How it may share a request with others, if it may.
    pub bulk: Option<Bulk>,
    /// Whose share of the connection it takes.
    pub urgency: Urgency,
    /// When the event was accepted, milliseconds since 1970-01-01 UTC: no attempt is older.
    pub accepted_at: i64,
}

/// Where a posting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Behind another one in its lane.
    Queued,
    /// The ledger is being asked.
    Looking,
    /// Waits until nobody else has what the target locks for it.
    Locked,
    /// Waits until its Intent may be written.
    Staging,
    /// Its Intent is being written.
    Intending,
    /// Waits for a slot.
    Ready,
    /// Has all but the lease of its partition.
    Unleased,
    /// A request is in flight.
    InFlight,
    /// Waits for a moment.
    Waiting,
    /// Its dead letter is being written.
    DeadLettering,
    /// Its outcome is known and waits for the lease: without one, somebody else may have written another.
    Known,
    /// Its outcome is being written.
    Settling,
}

/// What a posting does with its next slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Send,
    ReadBack,
    /// Only after a wait: decide by class what to do about an unknown outcome.
    Resolve,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Posting {
    pub(crate) serial: u32,
    pub(crate) new: NewPosting,
    pub(crate) partition: PartitionId,
    pub(crate) offset: i64,
    /// Whose share of the memory it takes.
    pub(crate) backlog: Backlog,
    pub(crate) next: Option<Ticket>,
    pub(crate) stage: Stage,
    pub(crate) step: Step,
    /// Attempts intended so far.
    pub(crate) attempt: u32,
    /// Whether it has what the target locks for it.
    pub(crate) has_lock: bool,
    /// Retries since the last progress; counts the backoff.
    pub(crate) retries: u32,
    pub(crate) first_attempt_at: Option<i64>,
    /// The same moment in this process's monotonic time, where it may be before the beginning.
    pub(crate) first_attempt_mono: i64,
    /// Whether the current attempt goes under its partition's range, without an Intent of its own.
    pub(crate) shared: bool,
    /// The deadline of the durable Intent, wall-clock milliseconds.
    pub(crate) intent_deadline: i64,
    /// The deadline of the newest request, monotonic milliseconds.
    pub(crate) request_over_at: u64,
    /// No look before this moment, monotonic milliseconds: the target may still be at it, or not show it yet.
    pub(crate) look_after: u64,
    /// Identical failures in a row, and how many postings the connection had applied before the first of them.
    pub(crate) failures: (u32, u64),
    /// Whether the target has said that it repeats a stored answer which tells nothing.
    pub(crate) replayed: bool,
    /// Whether an operator wants it tried again: then each attempt has an Intent of its own, or a crash would try it once more.
    pub(crate) retried: bool,
    /// Whether an attempt ended without anyone knowing its effect.
    pub(crate) unknown: bool,
    /// Whether a look has found a part of it applied.
    pub(crate) begun: bool,
    /// Whether it goes by itself from now on: nobody could say what became of it among others, or they were refused as a whole.
    pub(crate) apart: bool,
    /// The newest version that was applied to the entity on this route.
    pub(crate) last_version: Option<i64>,
    pub(crate) reason: Option<Reason>,
    /// The outcome that waits for the lease.
    pub(crate) known: Option<Box<Outcome>>,
}

impl Posting {
    pub(crate) fn new(new: NewPosting, partition: PartitionId, offset: i64, serial: u32) -> Self {
        Self {
            serial,
            new,
            partition,
            offset,
            backlog: Backlog::Connection(new.connection),
            next: None,
            stage: Stage::Queued,
            step: Step::Send,
            attempt: 0,
            has_lock: false,
            retries: 0,
            first_attempt_at: None,
            first_attempt_mono: 0,
            shared: false,
            intent_deadline: 0,
            request_over_at: 0,
            look_after: 0,
            failures: (0, 0),
            replayed: false,
            retried: false,
            unknown: false,
            begun: false,
            apart: false,
            last_version: None,
            reason: None,
            known: None,
        }
    }

    /// Counts a failure that the target itself reported. `applied` is how many postings its connection had applied by now.
    pub(crate) fn failed(&mut self, reason: &Reason, applied: u64) {
        let (count, since) = self.failures;
        self.failures = if self.repeats(reason) { (count + 1, since) } else { (1, applied) };
    }

    /// Whether the target has said word for word what it said before.
    fn repeats(&self, reason: &Reason) -> bool {
        reason.status.is_some() && self.reason.as_ref() == Some(reason)
    }

    /// Whether a failure may well be this posting's alone: it is the same again, and others were applied meanwhile, or it has been the
    /// same so often.
    pub(crate) fn is_its_own(&self, reason: &Reason, applied: u64) -> bool {
        let (count, since) = self.failures;
        self.repeats(reason) && (applied > since || count >= ITS_OWN_AFTER)
    }

    /// Whether the target has stored a failure: it says so, or repeats it word for word while it applies others.
    pub(crate) fn is_stuck(&self, applied: u64) -> bool {
        let (count, since) = self.failures;
        self.replayed || count >= STUCK_AFTER && applied >= since + STUCK_WHILE
    }

    /// Whether it was never sent: what its answer says does not come from an earlier attempt.
    pub(crate) fn is_fresh(&self) -> bool {
        self.attempt == 0 && !self.unknown
    }

    pub(crate) fn lane(&self) -> LaneKey {
        LaneKey { connection: self.new.connection, entity: self.new.entity }
    }

    /// Whether a newer version of the entity was applied already.
    pub(crate) fn is_stale(&self) -> bool {
        self.last_version.is_some_and(|last| last > self.new.source_version)
    }

    /// Notes when the first attempt was intended, wall-clock milliseconds.
    pub(crate) fn first_attempted(&mut self, at: i64, now: Now) {
        self.first_attempt_at = Some(at);
        self.first_attempt_mono = now.mono as i64 - (now.wall - at).max(0);
    }

    /// How long ago the first attempt was intended, milliseconds; the longer of both clocks, since a wall clock that
    /// stepped back would make an old key look young.
    pub(crate) fn age_ms(&self, now: Now) -> u64 {
        let Some(first) = self.first_attempt_at else { return 0 };
        (now.wall - first).max(now.mono as i64 - self.first_attempt_mono).max(0) as u64
    }

    /// How old the event is, milliseconds.
    pub(crate) fn event_age_ms(&self, now: Now) -> u64 {
        (now.wall - self.new.accepted_at).max(0) as u64
    }

    /// Whether an attempt may have been applied under a key that is no longer to be trusted.
    pub(crate) fn key_expired(&self, now: Now) -> bool {
        let keyed = matches!(self.new.class, Class::Keyed { .. });
        keyed && self.unknown && self.new.class.resolve(self.age_ms(now)) != Resolution::Resend
    }

    /// The Intent of the current attempt. Its deadline leaves a moment for the wait for a slot: whoever takes over waits it out, so it
    /// is short; a request that would outlive it has its Intent written anew.
    pub(crate) fn renew_intent(&mut self, epoch: u64, timeout_ms: u64, now: Now) -> Intent {
        if self.first_attempt_at.is_none() {
            self.first_attempted(now.wall, now);
        }
        self.intent_deadline = now.wall + (timeout_ms + timeout_ms.min(SLOT_WAIT_MS)) as i64;
        Intent {
            attempt: self.attempt,
            epoch,
            first_attempt_at: self.first_attempt_at.unwrap_or(now.wall),
            deadline: self.intent_deadline,
            request_hash: self.new.request_hash,
        }
    }

    pub(crate) fn outcome(
        &self,
        status: Status,
        document: Option<std::sync::Arc<str>>,
        by: ResolvedBy,
        now: Now,
    ) -> Outcome {
        Outcome {
            status,
            document,
            attempts: self.attempt,
            first_attempt_at: self.first_attempt_at,
            settled_at: now.wall,
            reason: if status == Status::Committed && by != ResolvedBy::Operator {
                None
            } else {
                self.reason.clone()
            },
            resolved_by: by,
            source_version: self.new.source_version,
            request_hash: self.new.request_hash,
        }
    }
}
