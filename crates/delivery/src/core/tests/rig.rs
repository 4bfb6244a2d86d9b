//! A core with a clock, one connection and two partitions under lease, and short words to drive it.

use std::sync::Arc;

use event::{EntityId, EventId, PostingKey, RouteId};
use uuid::Uuid;

use crate::{
    Action, Answer, Class, ConnectionId, ConnectionLimits, Core, CoreOptions, ErrorClass, Gauges, Input,
    Intent, Intents, NewPosting, Now, OnExisting, OnUnknown, PartitionId, Prior, ReadBack, Reason, Scope,
    Status, Ticket,
};

pub(super) const EPOCH: u64 = 9;
pub(super) const SKEW: u64 = 50;
pub(super) const TIMEOUT: u64 = 1_000;
pub(super) const WINDOW: usize = 8;
pub(super) const P0: PartitionId = PartitionId(0);
pub(super) const P1: PartitionId = PartitionId(1);
pub(super) const TARGET: ConnectionId = ConnectionId(0);
/// More than the first two backoffs together.
pub(super) const SOON: u64 = 300;

pub(super) const KEYED: Class = Class::Keyed { window_ms: 20_000, readable: false };
pub(super) const KEYED_READABLE: Class = Class::Keyed { window_ms: 20_000, readable: true };
pub(super) const PARK: Class = Class::Neither(OnUnknown::Park);
pub(super) const RESEND: Class = Class::Neither(OnUnknown::Resend);

pub(super) struct Rig {
    pub(super) core: Core,
    pub(super) now: Now,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with_concurrency(4)
    }

    /// How many requests could leave so many milliseconds from now, as far as limits over time go.
    pub(super) fn room_in(&self, ms: u64) -> u64 {
        self.core.connections[&TARGET].clone().room(self.now.plus(ms))
    }

    pub(super) fn with_concurrency(concurrency: usize) -> Self {
        Self::with(concurrency, usize::MAX)
    }

    /// So many requests over all connections.
    pub(super) fn with_limit(in_flight: usize) -> Self {
        Self::with(8, in_flight)
    }

    pub(super) fn with_intents(intents: Intents) -> Self {
        Self::with_all(4, usize::MAX, intents)
    }

    fn with(concurrency: usize, in_flight: usize) -> Self {
        Self::with_all(concurrency, in_flight, Intents::Each)
    }

    fn with_all(concurrency: usize, in_flight: usize, intents: Intents) -> Self {
        let mut core = Core::new(CoreOptions {
            epoch: EPOCH,
            window: WINDOW,
            clock_skew_ms: SKEW,
            intents,
            in_flight,
            horizon_ms: u64::MAX,
        });
        core.connect(TARGET, ConnectionLimits { concurrency, timeout_ms: TIMEOUT });
        let now = Now { mono: 1, wall: 1_000_000 };
        for partition in [P0, P1] {
            core.assign(partition, 0);
            core.renew_lease(partition, u64::MAX, now);
        }
        Self { core, now }
    }

    pub(super) fn admit(&mut self, partition: PartitionId, offset: i64, new: NewPosting) -> Ticket {
        let mut tickets = Vec::new();
        assert!(self.core.admit(partition, offset, &[new], &mut tickets));
        tickets[0].unwrap()
    }

    pub(super) fn actions(&mut self) -> Vec<Action> {
        self.core.drain_actions().collect()
    }

    pub(super) fn tell(&mut self, input: Input) -> Vec<Action> {
        self.core.handle(input, self.now);
        self.actions()
    }

    pub(super) fn pass(&mut self, ms: u64) -> Vec<Action> {
        self.now = self.now.plus(ms);
        self.core.tick(self.now);
        self.actions()
    }

    pub(super) fn known(&mut self, ticket: Ticket, prior: Prior, last_version: Option<i64>) -> Vec<Action> {
        self.tell(Input::Known { ticket, prior, last_version })
    }

    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) -> Vec<Action> {
        self.tell(Input::Answered(ticket, answer))
    }

    pub(super) fn saw(&mut self, ticket: Ticket, seen: ReadBack) -> Vec<Action> {
        self.tell(Input::ReadBack(ticket, seen))
    }

    /// The next Intent of the posting, made durable.
    pub(super) fn intent_durable(&mut self, ticket: Ticket) -> Vec<Action> {
        self.tell(Input::IntentDurable(ticket))
    }

    /// Admits a posting at `offset` of partition 0 and takes it as far as its first request.
    pub(super) fn sent(&mut self, offset: i64, new: NewPosting) -> Ticket {
        let ticket = self.admit(P0, offset, new);
        self.known(ticket, Prior::None, None);
        let sent = self.intent_durable(ticket);
        assert_eq!(sent, [Action::Send { ticket, attempt: 1, timeout_ms: TIMEOUT }]);
        ticket
    }

    /// As [`Rig::sent`], and nobody knows how the request ended; its deadline and the backoff have passed.
    pub(super) fn unknown(&mut self, offset: i64, new: NewPosting) -> (Ticket, Vec<Action>) {
        let ticket = self.sent(offset, new);
        assert_eq!(self.answer(ticket, Answer::Unknown(reason(ErrorClass::Transient))), []);
        (ticket, self.pass(TIMEOUT))
    }

    pub(super) fn no_gauges_left(&self) {
        assert_eq!(self.core.gauges(), Gauges::default());
    }
}

pub(super) fn new(event: u128, entity: u128, version: i64, class: Class) -> NewPosting {
    NewPosting {
        key: PostingKey { event: EventId(Uuid::from_u128(event)), route: RouteId(1), generation: 0 },
        entity: EntityId(Uuid::from_u128(entity)),
        connection: TARGET,
        class,
        source_version: version,
        request_hash: event as u64,
        lag_ms: 0,
        on_existing: match class {
            Class::Keyed { .. } => OnExisting::Verify,
            _ => OnExisting::Overwrite,
        },
        alone: false,
        conflate: false,
        lock: None,
        bulk: None,
        urgency: crate::Urgency::Live,
        accepted_at: 1_000_000,
    }
}

pub(super) fn reason(class: ErrorClass) -> Reason {
    Reason { code: Arc::from("SNK-0001"), class, status: None, message: Arc::from("test") }
}

pub(super) fn applied() -> Answer {
    Answer::Applied { document: Some(Arc::from("doc-1")) }
}

pub(super) fn refused() -> Answer {
    Answer::Refused(reason(ErrorClass::Transient))
}

pub(super) fn again(scope: Scope, after_ms: Option<u64>) -> Answer {
    Answer::Again { reason: reason(ErrorClass::Throttled), after_ms, scope }
}

/// The Intent among these actions; there must be one alone.
pub(super) fn intent(actions: &[Action]) -> Intent {
    match actions {
        [Action::WriteIntent(_, intent)] => *intent,
        other => panic!("expected one Intent, got {other:?}"),
    }
}

/// The status that is being written by these actions; it must be their only one.
pub(super) fn settles_as(actions: &[Action]) -> Status {
    match actions {
        [Action::WriteOutcome(_, outcome)] => outcome.status,
        other => panic!("expected one outcome, got {other:?}"),
    }
}

pub(super) fn read_back(ticket: Ticket) -> Action {
    Action::ReadBack { ticket, timeout_ms: TIMEOUT }
}

pub(super) fn store(partition: PartitionId, offset: i64) -> Action {
    Action::StoreOffset { partition, offset }
}

pub(super) fn done(ticket: Ticket) -> Action {
    Action::Done { ticket, duplicate_of: None }
}
