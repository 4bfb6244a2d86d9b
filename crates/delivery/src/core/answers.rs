//! What follows from an answer, from none, and from a look at the target.

use event::EventId;

use super::{Core, Wake};
use crate::{
    action::{Action, ReadBack},
    check_invariant,
    connection::{ConnectionId, SILENCES},
    mutant::Mutant,
    outcome::{Answer, Decision, ErrorClass, Outcome, Reason, ResolvedBy, Scope, Status},
    policy::{Class, OnExisting, Resolution, backoff_ms},
    posting::{Stage, Step, Ticket},
    time::Now,
};

impl Core {
    pub(super) fn answered(&mut self, ticket: Ticket, answer: Answer, now: Now) {
        let Some(id) = self.landed(ticket, now) else { return };
        self.note_health(id, ticket, &answer, now);
        self.understand(id, ticket, answer, true, now);
        self.go_on(id, now);
    }

    /// What becomes of a posting after its answer. Only if it `blocks` may it hold the connection back: a request does so once.
    pub(super) fn understand(
        &mut self,
        id: ConnectionId,
        ticket: Ticket,
        answer: Answer,
        blocks: bool,
        now: Now,
    ) {
        let held = |scope: Scope| if blocks { scope } else { Scope::Lane };
        match answer {
            Answer::Applied { document } => self.settle(ticket, Status::Committed, document, now),
            Answer::Refused(reason) => self.refused(ticket, reason, now),
            Answer::Again { reason, after_ms, scope } => {
                self.again(ticket, reason, after_ms, held(scope), now)
            }
            Answer::Stuck(reason) => {
                if let Some(posting) = self.posting(ticket) {
                    posting.reason = Some(reason);
                }
                self.settle(ticket, Status::InDoubt, None, now);
            }
            Answer::Unfinished { reason, after_ms, scope } => {
                self.unfinished(ticket, reason, (after_ms, held(scope)), now);
            }
            Answer::Unknown(reason) => {
                let applied = self.connections.get(&id).map_or(0, |c| c.applied);
                if let Some(posting) = self.posting(ticket) {
                    posting.unknown = true;
                    posting.look_after = posting.request_over_at + posting.new.lag_ms;
                    posting.failed(&reason, applied);
                    posting.reason = Some(reason);
                }
                self.doubt(ticket, now);
            }
            Answer::Replayed(reason) => {
                if let Some(posting) = self.posting(ticket) {
                    (posting.unknown, posting.replayed) = (true, true);
                    posting.look_after = now.mono + posting.new.lag_ms;
                    posting.reason = Some(reason);
                }
                self.resolve(ticket, now);
            }
        }
    }

    /// What an answer says about the whole connection: that it is there, or, after several silences in a row, that it is not.
    pub(super) fn note_health(&mut self, id: ConnectionId, ticket: Ticket, answer: &Answer, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match answer {
            Answer::Again { scope: Scope::Connection, .. }
            | Answer::Unfinished { scope: Scope::Connection, .. } => connection.silences = 0, // `block` counts it
            Answer::Unknown(reason) => {
                let posting = self.postings.get(ticket.slot()).filter(|p| p.serial == ticket.serial);
                let known = posting.is_some_and(|p| p.is_its_own(reason, connection.applied));
                connection.refusals = 0;
                connection.silences += u32::from(connection.seems_away() || !known);
                if connection.seems_away()
                    && let Some(event) = posting.map(|p| p.new.key.event)
                {
                    let wait_ms = backoff_ms(connection.silences - SILENCES + 1, event);
                    self.hold_back(id, wait_ms, now);
                }
            }
            _ => {
                (connection.refusals, connection.silences) = (0, 0);
                connection.told.retain(|told| !told.is_over(now.mono));
                connection.applied += u64::from(matches!(answer, Answer::Applied { .. }));
            }
        }
    }

    /// Nothing is sent on the connection for so long.
    pub(super) fn hold_back(&mut self, id: ConnectionId, wait_ms: u64, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.block(now.mono + wait_ms);
        self.timers.set(now.mono + wait_ms, Wake::Connection(id));
    }

    /// Nobody knows what became of the request. The target may be at it until the request's deadline: only a key makes a
    /// repeat harmless before that; a look would come too early, and so would the next posting of the lane.
    fn doubt(&mut self, ticket: Ticket, now: Now) {
        let early = self.is_broken(Mutant::LookTooEarly);
        let Some(posting) = self.posting(ticket) else { return };
        posting.step = Step::Resolve;
        let resends = posting.new.class.resolve(posting.age_ms(now)) == Resolution::Resend;
        let keyed = resends && matches!(posting.new.class, Class::Keyed { .. });
        let rest = posting.request_over_at.saturating_sub(now.mono);
        if keyed || rest == 0 || early {
            self.back_off(ticket, None, now);
        } else {
            posting.retries += 1;
            let wait = rest.max(backoff_ms(posting.retries, posting.new.key.event));
            self.wait(ticket, wait, now);
        }
    }

    /// A refusal ends the posting only if no earlier attempt may have been applied.
    fn refused(&mut self, ticket: Ticket, reason: Reason, now: Now) {
        let silently = self.is_broken(Mutant::NoDeadLetter);
        let Some(posting) = self.posting(ticket) else { return };
        let certain = !posting.unknown || matches!(posting.new.class, Class::Keyed { .. });
        let mismatch = reason.class == ErrorClass::KeyReuseMismatch;
        posting.reason = Some(reason.clone());
        if mismatch {
            self.settle(ticket, Status::InDoubt, None, now);
        } else if certain && silently {
            self.settle(ticket, Status::Rejected, None, now);
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

    /// A part is applied: it is unknown which until somebody has looked, but nothing of it is under way any more.
    fn unfinished(&mut self, ticket: Ticket, reason: Reason, wait: (Option<u64>, Scope), now: Now) {
        let (after_ms, scope) = wait;
        let Some(posting) = self.posting(ticket) else { return };
        let (id, event) = (posting.new.connection, posting.new.key.event);
        let applied = self.connections.get(&id).map_or(0, |c| c.applied);
        let Some(posting) = self.posting(ticket) else { return };
        posting.unknown = true;
        posting.step = Step::Resolve;
        posting.look_after = now.mono + posting.new.lag_ms;
        posting.failed(&reason, applied);
        posting.reason = Some(reason);
        if scope == Scope::Connection {
            self.block(id, event, after_ms, now);
        }
        self.back_off(ticket, after_ms, now);
    }

    /// The whole connection was refused for now.
    pub(super) fn block(&mut self, id: ConnectionId, event: EventId, after_ms: Option<u64>, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.refusals += 1;
        let wait = after_ms.unwrap_or_else(|| backoff_ms(connection.refusals, event));
        self.hold_back(id, wait, now);
    }

    /// Decides by class what to do about an unknown outcome.
    pub(super) fn resolve(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        let id = posting.new.connection;
        let applied = self.connections.get(&id).map_or(0, |c| c.applied);
        let trusts = self.is_broken(Mutant::TrustKeyForEver);
        let Some(posting) = self.posting(ticket) else { return };
        let age_ms = if trusts { 0 } else { posting.age_ms(now) };
        let resolution = match posting.new.class.resolve(age_ms) {
            // A key under which the target has stored a failure will never yield anything else.
            Resolution::Resend if posting.is_stuck(applied) => posting.new.class.without_key(),
            resolution => resolution,
        };
        match resolution {
            Resolution::Resend if posting.is_stale() => self.settle(ticket, Status::Superseded, None, now),
            Resolution::Resend => self.stage(ticket, now),
            Resolution::ReadBack => self.read(ticket, now),
            Resolution::Park => self.settle(ticket, Status::InDoubt, None, now),
        }
    }

    /// An operator has looked at the target, and decided.
    pub(super) fn decided(
        &mut self,
        ticket: Ticket,
        outcome: &Outcome,
        decision: Decision,
        reason: Reason,
        now: Now,
    ) {
        check_invariant!(TerminalIsFinal, outcome.status == Status::InDoubt);
        let Some(posting) = self.posting(ticket) else { return };
        posting.attempt = outcome.attempts;
        if let Some(first) = outcome.first_attempt_at {
            posting.first_attempted(first, now);
        }
        posting.reason = Some(reason.clone());
        match decision {
            Decision::Committed(document) => self.commit(ticket, document, ResolvedBy::Operator, now),
            Decision::Rejected => {
                posting.stage = Stage::DeadLettering;
                self.actions.push(Action::DeadLetter(ticket, reason));
            }
            Decision::Retry if posting.is_stale() => self.settle(ticket, Status::Superseded, None, now),
            Decision::Retry => {
                posting.retried = true;
                self.stage(ticket, now);
            }
        }
    }

    /// Looks, as soon as a look can be believed.
    fn read(&mut self, ticket: Ticket, now: Now) {
        let Some(posting) = self.posting(ticket) else { return };
        posting.step = Step::ReadBack;
        let rest = posting.look_after.saturating_sub(now.mono);
        if rest > 0 {
            self.wait(ticket, rest, now);
        } else {
            self.enqueue_ready(ticket, now);
        }
    }

    pub(super) fn read_back(&mut self, ticket: Ticket, seen: ReadBack, now: Now) {
        let Some(id) = self.landed(ticket, now) else { return };
        match &seen {
            ReadBack::Failed(answer) => self.note_health(id, ticket, answer, now),
            _ => self.note_health(id, ticket, &Answer::Applied { document: None }, now),
        }
        let applied = self.connections.get(&id).map_or(0, |c| c.applied);
        let Some(posting) = self.posting(ticket) else { return };
        let on_existing = posting.new.on_existing;
        let stuck = posting.is_stuck(applied);
        match seen {
            ReadBack::Matches { document } => self.commit(ticket, document, ResolvedBy::ReadBack, now),
            ReadBack::Unfinished { .. } if posting.is_stale() => {
                self.settle(ticket, Status::InDoubt, None, now);
            }
            ReadBack::Absent | ReadBack::Differs { .. } if posting.is_stale() => {
                self.settle(ticket, Status::Superseded, None, now);
            }
            ReadBack::Several => self.settle(ticket, Status::InDoubt, None, now),
            ReadBack::Differs { document } if on_existing == OnExisting::Skip => {
                self.commit(ticket, document, ResolvedBy::ReadBack, now);
            }
            ReadBack::Differs { .. } if on_existing == OnExisting::Verify => {
                self.settle(ticket, Status::InDoubt, None, now);
            }
            // It would be told the same again, for ever: a person has to see why.
            ReadBack::Absent | ReadBack::Differs { .. } | ReadBack::Unfinished { .. } if stuck => {
                self.settle(ticket, Status::InDoubt, None, now);
            }
            // Nothing newer of ours was sent (lane order), so what stands there is older: ours was not applied.
            // Of what is unfinished the caller knows where to go on.
            ReadBack::Absent | ReadBack::Differs { .. } | ReadBack::Unfinished { .. } => {
                posting.unknown = false;
                posting.begun = matches!(seen, ReadBack::Unfinished { .. });
                posting.apart |= !matches!(seen, ReadBack::Absent); // it goes on from what stands there
                self.stage(ticket, now);
            }
            ReadBack::Failed(answer) => {
                posting.step = Step::ReadBack;
                let event = posting.new.key.event;
                let (after_ms, scope) = match answer {
                    Answer::Again { after_ms, scope, .. } | Answer::Unfinished { after_ms, scope, .. } => {
                        (after_ms, scope)
                    }
                    _ => (None, Scope::Lane),
                };
                if scope == Scope::Connection {
                    self.block(id, event, after_ms, now);
                }
                self.back_off(ticket, after_ms, now);
            }
        }
        self.go_on(id, now);
    }
}
