//! How one posting moves on: consult → Intent → send → (see `answers`) → outcome → done.

use std::sync::Arc;

use super::{Core, Wake};
use crate::{
    action::{Action, Input, Prior},
    check_invariant,
    connection::ConnectionId,
    mutant::Mutant,
    outcome::{ErrorClass, Outcome, Reason, ResolvedBy, Status},
    policy::{Class, OnUnknown, backoff_ms},
    posting::{Posting, Stage, Step, Ticket},
    time::Now,
};

/// The longest that a foreign Intent is waited for, should a clock have written nonsense into it: one hour.
const MAX_FOREIGN_WAIT_MS: i64 = 3_600_000;

pub(super) fn step(core: &mut Core, input: Input, now: Now) {
    match input {
        Input::Known { ticket, prior, last_version } => core.known(ticket, prior, last_version, now),
        Input::IntentDurable(ticket) => core.intent_durable(ticket, now),
        Input::IntentFailed(ticket) => core.intent_failed(ticket, now),
        Input::RangeDurable { partition, until } => core.range_durable(partition, until, now),
        Input::RangeFailed(partition) => core.range_failed(partition, now),
        Input::Answered(ticket, answer) => core.answered(ticket, answer, now),
        Input::AnsweredTogether(answers) => core.answered_together(answers, now),
        Input::ReadBack(ticket, seen) => core.read_back(ticket, seen, now),
        Input::DeadLettered(ticket) => core.dead_lettered(ticket, now),
        Input::OutcomeDurable(ticket) => core.finish(ticket, None),
    }
}

/// A posting's wait is over.
pub(super) fn wake(core: &mut Core, ticket: Ticket, now: Now) {
    let Some(posting) = core.posting(ticket).filter(|p| p.stage == Stage::Waiting) else { return };
    match posting.step {
        Step::Send => core.stage(ticket, now),
        Step::ReadBack => core.enqueue_ready(ticket, now),
        Step::Resolve => core.resolve(ticket, now),
    }
}

impl Core {
    fn known(&mut self, ticket: Ticket, prior: Prior, last_version: Option<i64>, now: Now) {
        let skew = self.options.clock_skew_ms as i64;
        let horizon = i64::try_from(self.options.horizon_ms).unwrap_or(i64::MAX);
        let not_sent = self.is_broken(Mutant::AssumeNotSent);
        let last_version = last_version.filter(|_| !self.is_broken(Mutant::SendStale));
        let Some(posting) = self.posting(ticket).filter(|p| p.stage == Stage::Looking) else { return };
        posting.last_version = last_version;
        match prior {
            Prior::Outcome(outcome) => self.finish(ticket, Some(outcome.status)),
            Prior::Decided(outcome, decision, reason) => {
                self.decided(ticket, &outcome, decision, reason, now)
            }
            Prior::None if now.wall.saturating_sub(posting.new.accepted_at) > horizon => {
                posting.reason = Some(beyond_horizon());
                self.settle(ticket, Status::InDoubt, None, now);
            }
            Prior::None if posting.is_stale() => self.settle(ticket, Status::Superseded, None, now),
            Prior::None => match self.was_perhaps_sent(ticket, now) {
                true => self.resolve(ticket, now),
                false => self.stage(ticket, now),
            },
            Prior::Intent(_) if not_sent => self.stage(ticket, now),
            Prior::Intent(intent) => {
                posting.attempt = intent.attempt;
                posting.first_attempted(intent.first_attempt_at, now);
                posting.intent_deadline = intent.deadline;
                posting.unknown = true;
                posting.step = Step::Resolve;
                posting.reason = Some(interrupted());
                let wait = (intent.deadline + skew - now.wall).clamp(0, MAX_FOREIGN_WAIT_MS);
                posting.look_after = now.mono + wait as u64 + posting.new.lag_ms;
                self.wait(ticket, wait as u64, now);
            }
        }
    }

    /// Puts a posting in line for its Intent.
    pub(super) fn stage(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        posting.step = Step::Send;
        if !self.lock(ticket) {
            return;
        }
        let Some(posting) = self.posting(ticket) else { return };
        posting.stage = Stage::Staging;
        let (id, urgency) = (posting.new.connection, posting.new.urgency);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.staging.push(urgency, ticket);
        }
        self.pump(id, now);
    }

    /// Puts a posting in line for a slot.
    pub(super) fn enqueue_ready(&mut self, ticket: Ticket, now: Now) {
        if !self.lock(ticket) {
            return;
        }
        let Some(posting) = self.posting(ticket) else { return };
        posting.stage = Stage::Ready;
        let id = posting.new.connection;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.staged += 1;
            connection.ready.push_back(ticket);
        }
        self.pump(id, now);
    }

    /// Lets a connection's queues move as far as its limits allow.
    pub(super) fn pump(&mut self, id: ConnectionId, now: Now) {
        let unlimited = self.is_broken(Mutant::NoLimit);
        loop {
            let Some(connection) = self.connections.get(&id) else { return };
            let tenant = connection.tenant;
            let waits = !connection.ready.is_empty() && (unlimited || connection.may_send(now));
            let waits = waits && !self.is_gathering(id, now) && (unlimited || self.has_room(id, now));
            if waits && !unlimited && !self.turns.is_open() {
                self.turns.wait(tenant, id);
            } else if waits {
                self.depart(id, now);
                continue;
            }
            let turn = self.turns.is_open();
            let intends = self.may_intend(id, turn, now);
            match self.connections.get_mut(&id).filter(|_| intends).and_then(|c| c.staging.pop()) {
                Some(ticket) => self.intend(id, ticket, now),
                None => return,
            }
        }
    }

    /// Whether the next Intent in line may be written. An Intent of class N that a crash leaves behind is parked for an
    /// operator, sent or not: it is written only for a slot that is free, in the tenant's `turn`.
    pub(super) fn may_intend(&mut self, id: ConnectionId, turn: bool, now: Now) -> bool {
        self.prefer_fresh(id);
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let Some(next) = connection.staging.front().and_then(|next| self.postings.get(next.slot())) else {
            return connection.may_stage() && !connection.staging.is_empty();
        };
        let parks = next.new.class == Class::Neither(OnUnknown::Park);
        let in_company = next.seeks_company();
        if self.is_broken(Mutant::NoLimit) {
            return true;
        }
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        if !parks {
            return connection.may_stage();
        }
        let (tenant, free) = (connection.tenant, connection.has_free_slot(in_company, now));
        if free && !turn {
            self.turns.wait(tenant, id);
        } else if !free {
            self.has_room(id, now); // or nothing would wake it
        }
        free && turn
    }

    /// Every other probe of a target that seems to be away is a posting that it was never sent: all others may stand before failures
    /// of their own, which the target has stored under their keys.
    fn prefer_fresh(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.seems_away() || connection.silences % 2 == 1 || !connection.may_stage() {
            return;
        }
        let is_fresh =
            |ticket: &Ticket| self.postings.get(ticket.slot()).is_some_and(crate::posting::Posting::is_fresh);
        connection.staging.prefer(is_fresh);
    }

    pub(super) fn intend(&mut self, id: ConnectionId, ticket: Ticket, now: Now) {
        let epoch = self.options.epoch;
        let Some(timeout) = self.connections.get(&id).map(|c| c.limits.timeout_ms) else { return };
        let Some(posting) = self
            .postings
            .get_mut(ticket.slot())
            .filter(|p| p.serial == ticket.serial && p.stage == Stage::Staging)
        else {
            return;
        };
        if posting.new.conflate
            && !(posting.unknown || posting.begun)
            && let Some(version) = self.newer_behind(ticket)
        {
            return self.replace(id, ticket, version, now);
        }
        let Some(posting) = self.postings.get_mut(ticket.slot()) else { return };
        if let Some(held) = self.paused.get_mut(&posting.new.key.route).filter(|_| !posting.unknown) {
            held.push(ticket);
            return self.unlock(ticket, now);
        }
        let Some(posting) = self.postings.get_mut(ticket.slot()) else { return };
        let Some(partition) = self.partitions.get_mut(&posting.partition) else { return };
        if !partition.may_send(now) {
            // An Intent that nothing follows would be one more for the next owner to resolve, or to park.
            partition.unleased.push(ticket);
            return;
        }
        let age_ms = posting.event_age_ms(now);
        posting.shared = !self.ledger_fails
            && !posting.retried
            && !posting.new.alone
            && self.options.intents.is_shared(posting.new.class, timeout, age_ms);
        if posting.shared {
            return self.share(id, ticket);
        }
        posting.stage = Stage::Intending;
        posting.attempt += 1;
        let intent = posting.renew_intent(epoch, timeout, now);
        if self.is_broken(Mutant::NoIntent) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.staged += 1;
            }
            return self.intent_durable(ticket, now);
        }
        self.actions.push(Action::WriteIntent(ticket, intent));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.staged += 1;
        }
    }

    fn intent_durable(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket).filter(|p| p.stage == Stage::Intending) else { return };
        posting.stage = Stage::Ready;
        let id = posting.new.connection;
        if self.is_broken(Mutant::MarkBeforeSend) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.staged -= 1;
            }
            return self.settle(ticket, Status::Committed, None, now);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.ready.push_back(ticket);
        }
        self.pump(id, now);
    }

    /// Nothing may be sent; the attempt never began.
    fn intent_failed(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket).filter(|p| p.stage == Stage::Intending) else { return };
        posting.attempt -= 1;
        posting.step = if posting.unknown { Step::Resolve } else { Step::Send };
        if posting.attempt == 0 && !posting.unknown {
            posting.first_attempt_at = None;
        }
        let id = posting.new.connection;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.staged -= 1;
        }
        self.back_off(ticket, None, now);
    }

    fn dead_lettered(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        check_invariant!(DeadLetterFirst, posting.stage == Stage::DeadLettering);
        self.settle(ticket, Status::Rejected, None, now);
    }

    /// Writes the end of a posting; a commit says how it came to be known.
    pub(super) fn settle(&mut self, ticket: Ticket, status: Status, document: Option<Arc<str>>, now: Now) {
        let by = match self.posting(ticket) {
            Some(posting) if posting.unknown && status == Status::Committed => ResolvedBy::Resend,
            _ => ResolvedBy::Answer,
        };
        self.write_outcome(ticket, |posting| posting.outcome(status, document, by, now), now);
    }

    pub(super) fn commit(&mut self, ticket: Ticket, document: Option<Arc<str>>, by: ResolvedBy, now: Now) {
        self.write_outcome(ticket, |posting| posting.outcome(Status::Committed, document, by, now), now);
    }

    fn write_outcome(&mut self, ticket: Ticket, outcome: impl FnOnce(&Posting) -> Outcome, now: Now) {
        self.unlock(ticket, now);
        let Some(posting) = self.postings.get_mut(ticket.slot()).filter(|p| p.serial == ticket.serial) else {
            return;
        };
        check_invariant!(TerminalIsFinal, !matches!(posting.stage, Stage::Settling | Stage::Known));
        let outcome = outcome(posting);
        let Some(partition) = self.partitions.get_mut(&posting.partition) else { return };
        if partition.is_ours(now) {
            posting.stage = Stage::Settling;
            self.actions.push(Action::WriteOutcome(ticket, outcome));
        } else {
            posting.stage = Stage::Known;
            posting.known = Some(Box::new(outcome));
            partition.unleased.push(ticket);
        }
    }

    /// The lease is there again: nobody else has written an outcome.
    pub(super) fn write_known(&mut self, ticket: Ticket) {
        let Some(posting) = self.posting(ticket) else { return };
        if let Some(outcome) = posting.known.take() {
            posting.stage = Stage::Settling;
            self.actions.push(Action::WriteOutcome(ticket, *outcome));
        }
    }

    /// The posting is over: its lane and its partition's prefix move on.
    fn finish(&mut self, ticket: Ticket, duplicate_of: Option<Status>) {
        let Some(posting) = self.posting(ticket) else { return };
        let (lane, next) = (posting.lane(), posting.next);
        let (partition, offset, backlog) = (posting.partition, posting.offset, posting.backlog);
        self.postings.remove(ticket.slot());
        self.lanes.pop(lane, next);
        self.actions.push(Action::Done { ticket, duplicate_of });
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.load.went(backlog);
        }
        self.settle_offset(partition, offset);
        self.read_again(partition, backlog);
        if let Some(next) = next {
            self.start(next);
        }
    }

    pub(super) fn back_off(&mut self, ticket: Ticket, after_ms: Option<u64>, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        posting.retries += 1;
        let wait = after_ms.unwrap_or_else(|| backoff_ms(posting.retries, posting.new.key.event));
        self.wait(ticket, wait, now);
    }

    pub(super) fn wait(&mut self, ticket: Ticket, wait_ms: u64, now: Now) {
        self.unlock(ticket, now);
        let Some(posting) = self.posting(ticket) else { return };
        posting.stage = Stage::Waiting;
        if wait_ms == 0 {
            wake(self, ticket, now);
        } else {
            self.timers.set(now.mono + wait_ms, Wake::Posting(ticket));
        }
    }
}

pub(super) fn interrupted() -> Reason {
    Reason {
        code: Arc::from("SNK-0010"),
        class: ErrorClass::Transient,
        status: None,
        message: Arc::from("the sink stopped between the request and its answer"),
    }
}

fn beyond_horizon() -> Reason {
    Reason {
        code: Arc::from("SNK-0015"),
        class: ErrorClass::Stale,
        status: None,
        message: Arc::from(
            "the event is older than what the ledger remembers, it may have been posted before",
        ),
    }
}
