//! How one posting moves on: consult → Intent → send → answer → outcome → done.

use std::sync::Arc;

use event::EventId;

use super::{Core, Wake};
use crate::{
    action::{Action, Input, Prior, ReadBack},
    check_invariant,
    connection::ConnectionId,
    outcome::{Answer, ErrorClass, Outcome, Reason, ResolvedBy, Scope, Status},
    policy::{Class, Resolution, backoff_ms},
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
        Input::Answered(ticket, answer) => core.answered(ticket, answer, now),
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
        let Some(posting) = self.posting(ticket).filter(|p| p.stage == Stage::Looking) else { return };
        posting.last_version = last_version;
        match prior {
            Prior::Outcome(outcome) => self.finish(ticket, Some(outcome.status)),
            Prior::None if posting.is_stale() => self.settle(ticket, Status::Superseded, None, now),
            Prior::None => self.stage(ticket, now),
            Prior::Intent(intent) => {
                posting.attempt = intent.attempt;
                posting.first_attempted(intent.first_attempt_at, now);
                posting.intent_deadline = intent.deadline;
                posting.unknown = true;
                posting.step = Step::Resolve;
                posting.reason = Some(interrupted());
                let wait = (intent.deadline + skew - now.wall).clamp(0, MAX_FOREIGN_WAIT_MS);
                self.wait(ticket, wait as u64, now);
            }
        }
    }

    /// Puts a posting in line for its Intent.
    pub(super) fn stage(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        posting.stage = Stage::Staging;
        posting.step = Step::Send;
        let id = posting.new.connection;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.staging.push_back(ticket);
        }
        self.pump(id, now);
    }

    /// Puts a posting in line for a slot.
    pub(super) fn enqueue_ready(&mut self, ticket: Ticket, now: Now) {
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
        loop {
            let Some(connection) = self.connections.get_mut(&id) else { return };
            if connection.may_send(now)
                && let Some(ticket) = connection.ready.pop_front()
            {
                self.launch(id, ticket, now);
            } else if connection.may_stage()
                && let Some(ticket) = connection.staging.pop_front()
            {
                self.intend(id, ticket, now);
            } else {
                return;
            }
        }
    }

    fn intend(&mut self, id: ConnectionId, ticket: Ticket, now: Now) {
        let epoch = self.options.epoch;
        let Some(timeout) = self.connections.get(&id).map(|c| c.limits.timeout_ms) else { return };
        let Some(posting) = self
            .postings
            .get_mut(ticket.slot())
            .filter(|p| p.serial == ticket.serial && p.stage == Stage::Staging)
        else {
            return;
        };
        let Some(partition) = self.partitions.get_mut(&posting.partition) else { return };
        if !partition.may_send(now) {
            // An Intent that nothing follows would be one more for the next owner to resolve, or to park.
            partition.unleased.push(ticket);
            return;
        }
        posting.stage = Stage::Intending;
        posting.attempt += 1;
        let intent = posting.renew_intent(epoch, timeout, now);
        self.actions.push(Action::WriteIntent(ticket, intent));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.staged += 1;
        }
    }

    fn intent_durable(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket).filter(|p| p.stage == Stage::Intending) else { return };
        posting.stage = Stage::Ready;
        let id = posting.new.connection;
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
        if posting.attempt == 0 {
            posting.first_attempt_at = None;
        }
        let id = posting.new.connection;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.staged -= 1;
        }
        self.back_off(ticket, None, now);
    }

    /// Sends or reads, if the partition is still ours. Takes the posting out of `staged` either way.
    fn launch(&mut self, id: ConnectionId, ticket: Ticket, now: Now) {
        let epoch = self.options.epoch;
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let timeout_ms = connection.limits.timeout_ms;
        let Some(posting) = self
            .postings
            .get_mut(ticket.slot())
            .filter(|p| p.serial == ticket.serial && p.stage == Stage::Ready)
        else {
            return; // revoked meanwhile; `revoke` has given its place back
        };
        let Some(partition) = self.partitions.get_mut(&posting.partition) else { return };
        // A drain lets out what has its Intent already.
        if !partition.is_leased(now) {
            posting.stage = Stage::Unleased;
            connection.staged -= 1;
            partition.unleased.push(ticket);
            return;
        }
        if posting.step == Step::Send && posting.key_expired(now) {
            // It waited so long for its slot that the target may have forgotten the key of the attempt before.
            posting.stage = Stage::Waiting;
            posting.step = Step::Resolve;
            connection.staged -= 1;
            self.timers.set(now.mono, Wake::Posting(ticket));
            return;
        }
        let outlives_intent = now.wall + timeout_ms as i64 > posting.intent_deadline;
        if posting.step == Step::Send && outlives_intent {
            // It waited so long for its slot that the next owner might resolve it while our request is in flight.
            posting.stage = Stage::Intending;
            let intent = posting.renew_intent(epoch, timeout_ms, now);
            self.actions.push(Action::WriteIntent(ticket, intent));
            return;
        }
        connection.staged -= 1;
        connection.in_flight += 1;
        check_invariant!(Bounded, connection.in_flight <= connection.limits.concurrency);
        check_invariant!(OwnerSends, now.mono < partition.lease_until);
        posting.stage = Stage::InFlight;
        posting.request_over_at = now.mono + timeout_ms;
        self.actions.push(match posting.step {
            Step::ReadBack => Action::ReadBack { ticket, timeout_ms },
            Step::Send | Step::Resolve => {
                check_invariant!(IntentBeforeSend, posting.attempt > 0 && posting.first_attempt_at.is_some());
                check_invariant!(VersionOrder, !posting.is_stale());
                Action::Send { ticket, attempt: posting.attempt, timeout_ms }
            }
        });
    }

    /// Gives the slot of an answered request back. Returns the posting, unless it is gone.
    fn landed(&mut self, ticket: Ticket, now: Now) -> Option<ConnectionId> {
        if let Some(id) = self.orphans.remove(&ticket) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.in_flight -= 1;
            }
            self.pump(id, now);
            return None;
        }
        let posting = self.posting(ticket).filter(|p| p.stage == Stage::InFlight)?;
        let id = posting.new.connection;
        self.connections.get_mut(&id)?.in_flight -= 1;
        Some(id)
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer, now: Now) {
        let Some(id) = self.landed(ticket, now) else { return };
        if !matches!(answer, Answer::Again { scope: Scope::Connection, .. })
            && let Some(connection) = self.connections.get_mut(&id)
        {
            connection.refusals = 0;
        }
        match answer {
            Answer::Applied { document } => self.settle(ticket, Status::Committed, document, now),
            Answer::Refused(reason) => self.refused(ticket, reason, now),
            Answer::Again { reason, after_ms, scope } => self.again(ticket, reason, after_ms, scope, now),
            Answer::Unknown(reason) => {
                if let Some(posting) = self.posting(ticket) {
                    posting.unknown = true;
                    posting.reason = Some(reason);
                }
                self.doubt(ticket, now);
            }
        }
        self.pump(id, now);
    }

    /// Nobody knows what became of the request. The target may be at it until the request's deadline: only a key makes a
    /// repeat harmless before that; a look would come too early, and so would the next posting of the lane.
    fn doubt(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        posting.step = Step::Resolve;
        let resends = posting.new.class.resolve(posting.age_ms(now)) == Resolution::Resend;
        let keyed = resends && matches!(posting.new.class, Class::Keyed { .. });
        let rest = posting.request_over_at.saturating_sub(now.mono);
        if keyed || rest == 0 {
            self.back_off(ticket, None, now);
        } else {
            posting.retries += 1;
            let wait = rest.max(backoff_ms(posting.retries, posting.new.key.event));
            self.wait(ticket, wait, now);
        }
    }

    /// A refusal ends the posting only if no earlier attempt may have been applied.
    fn refused(&mut self, ticket: Ticket, reason: Reason, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        let certain = !posting.unknown || matches!(posting.new.class, Class::Keyed { .. });
        let mismatch = reason.class == ErrorClass::KeyReuseMismatch;
        posting.reason = Some(reason.clone());
        if mismatch {
            self.settle(ticket, Status::InDoubt, None, now);
        } else if certain {
            posting.stage = Stage::DeadLettering;
            self.actions.push(Action::DeadLetter(ticket, reason));
        } else if posting.new.class == Class::Upsert {
            self.read(ticket, now);
        } else {
            self.settle(ticket, Status::InDoubt, None, now);
        }
    }

    fn again(&mut self, ticket: Ticket, reason: Reason, after_ms: Option<u64>, scope: Scope, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        let (id, event) = (posting.new.connection, posting.new.key.event);
        posting.reason = Some(reason);
        posting.step = if posting.unknown { Step::Resolve } else { Step::Send };
        if scope == Scope::Connection {
            self.block(id, event, after_ms, now);
        }
        self.back_off(ticket, after_ms, now);
    }

    /// The whole connection was refused for now.
    fn block(&mut self, id: ConnectionId, event: EventId, after_ms: Option<u64>, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.refusals += 1;
        let wait = after_ms.unwrap_or_else(|| backoff_ms(connection.refusals, event));
        connection.block(now.mono + wait);
        self.timers.set(now.mono + wait, Wake::Connection(id));
    }

    /// Decides by class what to do about an unknown outcome.
    fn resolve(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        match posting.new.class.resolve(posting.age_ms(now)) {
            Resolution::Resend if posting.is_stale() => self.settle(ticket, Status::Superseded, None, now),
            Resolution::Resend => self.stage(ticket, now),
            Resolution::ReadBack => self.read(ticket, now),
            Resolution::Park => self.settle(ticket, Status::InDoubt, None, now),
        }
    }

    fn read(&mut self, ticket: Ticket, now: Now) {
        if let Some(posting) = self.posting(ticket) {
            posting.step = Step::ReadBack;
        }
        self.enqueue_ready(ticket, now);
    }

    fn read_back(&mut self, ticket: Ticket, seen: ReadBack, now: Now) {
        let Some(id) = self.landed(ticket, now) else { return };
        let Some(posting) = self.posting(ticket) else { return };
        let overwrites = posting.new.class == Class::Upsert;
        match seen {
            ReadBack::Matches { document } => self.commit(ticket, document, ResolvedBy::ReadBack, now),
            ReadBack::Absent | ReadBack::Differs { .. } if posting.is_stale() => {
                self.settle(ticket, Status::Superseded, None, now);
            }
            ReadBack::Several => self.settle(ticket, Status::InDoubt, None, now),
            ReadBack::Differs { .. } if !overwrites => self.settle(ticket, Status::InDoubt, None, now),
            // Nothing newer of ours was sent (lane order), so what stands there is older: ours was not applied.
            ReadBack::Absent | ReadBack::Differs { .. } => {
                posting.unknown = false;
                self.stage(ticket, now);
            }
            ReadBack::Failed(answer) => {
                posting.step = Step::ReadBack;
                let event = posting.new.key.event;
                let (after_ms, scope) = match answer {
                    Answer::Again { after_ms, scope, .. } => (after_ms, scope),
                    _ => (None, Scope::Lane),
                };
                if scope == Scope::Connection {
                    self.block(id, event, after_ms, now);
                }
                self.back_off(ticket, after_ms, now);
            }
        }
        self.pump(id, now);
    }

    fn dead_lettered(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        check_invariant!(DeadLetterFirst, posting.stage == Stage::DeadLettering);
        self.settle(ticket, Status::Rejected, None, now);
    }

    /// Writes the end of a posting; a commit says how it came to be known.
    fn settle(&mut self, ticket: Ticket, status: Status, document: Option<Arc<str>>, now: Now) {
        let by = match self.posting(ticket) {
            Some(posting) if posting.unknown && status == Status::Committed => ResolvedBy::Resend,
            _ => ResolvedBy::Answer,
        };
        self.write_outcome(ticket, |posting| posting.outcome(status, document, by, now));
    }

    fn commit(&mut self, ticket: Ticket, document: Option<Arc<str>>, by: ResolvedBy, now: Now) {
        self.write_outcome(ticket, |posting| posting.outcome(Status::Committed, document, by, now));
    }

    fn write_outcome(&mut self, ticket: Ticket, outcome: impl FnOnce(&Posting) -> Outcome) {
        let Some(posting) = self.posting(ticket) else { return };
        check_invariant!(TerminalIsFinal, posting.stage != Stage::Settling);
        posting.stage = Stage::Settling;
        let outcome = outcome(posting);
        self.actions.push(Action::WriteOutcome(ticket, outcome));
    }

    /// The posting is over: its lane and its partition's prefix move on.
    fn finish(&mut self, ticket: Ticket, duplicate_of: Option<Status>) {
        let Some(posting) = self.posting(ticket) else { return };
        let (lane, next) = (posting.lane(), posting.next);
        let (partition, offset) = (posting.partition, posting.offset);
        self.postings.remove(ticket.slot());
        self.lanes.pop(lane, next);
        self.actions.push(Action::Done { ticket, duplicate_of });
        self.settle_offset(partition, offset);
        if let Some(next) = next {
            self.start(next);
        }
    }

    fn back_off(&mut self, ticket: Ticket, after_ms: Option<u64>, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        posting.retries += 1;
        let wait = after_ms.unwrap_or_else(|| backoff_ms(posting.retries, posting.new.key.event));
        self.wait(ticket, wait, now);
    }

    fn wait(&mut self, ticket: Ticket, wait_ms: u64, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        posting.stage = Stage::Waiting;
        if wait_ms == 0 {
            wake(self, ticket, now);
        } else {
            self.timers.set(now.mono + wait_ms, Wake::Posting(ticket));
        }
    }
}

fn interrupted() -> Reason {
    Reason {
        code: Arc::from("SNK-0010"),
        class: ErrorClass::Transient,
        status: None,
        message: Arc::from("the sink stopped between the request and its answer"),
    }
}
