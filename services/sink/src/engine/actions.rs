//! Carrying out what the core decides.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delivery::{
    Action, Answer, ConnectionId, ErrorClass, Input, Intent, Outcome, PartitionId, Prior, ReadBack, Reason,
    Scope, Status, Ticket,
};
use kafka::AssignmentId;
use ledger::Entry;
use target::Told;
use tokio::sync::mpsc::UnboundedSender;

use super::{Engine, EngineError};
use crate::{
    admission::Job,
    crash, decision,
    evidence::{Origin, Rejection, of_rejection},
    message::Message,
    mutant,
    outbox::{Letter, Purpose},
    settlement::{Settlement, changelog_letter, outcome_letter, stored_letter},
};

impl Engine {
    pub(super) fn act(&mut self, action: Action) -> Result<(), EngineError> {
        match action {
            Action::Consult(ticket) => self.consult(ticket)?,
            Action::WriteIntent(ticket, intent) => self.write_intent(ticket, intent)?,
            Action::WriteRange { partition, until } => self.write_range(partition, until)?,
            Action::Send { ticket, attempt, .. } => self.post(ticket, attempt),
            Action::SendTogether { postings, .. } => self.post_together(&postings),
            Action::ReadBack { ticket, .. } => self.look(ticket),
            Action::DeadLetter(ticket, reason) => self.dead_letter(ticket, &reason),
            Action::WriteOutcome(ticket, outcome) => self.write_outcome(ticket, outcome)?,
            Action::Done { ticket, duplicate_of } => self.done(ticket, duplicate_of),
            Action::StoreOffset { partition, offset } => {
                self.parts.member.store(assignment(partition), offset);
                crash::point("offset_stored");
                if let Some(partition) = self.partitions.get_mut(&assignment(partition)) {
                    partition.settled(offset);
                }
            }
            Action::Reread { partition, backlog, from, to, fit } => {
                self.read_again(partition, backlog, (from, to), fit);
            }
            Action::Pause(partition) => self.parts.member.pause(assignment(partition)),
            Action::Resume(partition) => self.resume(assignment(partition)),
        }
        Ok(())
    }

    fn consult(&mut self, ticket: Ticket) -> Result<(), EngineError> {
        let Some(active) = self.active.get(&ticket) else { return Ok(()) };
        let (key, entity) = (active.job.new.key, active.job.new.entity);
        let Some(partition) = self.partitions.get(&active.job.source.assignment) else { return Ok(()) };
        let (prior, last_version) = self.parts.ledger.consult(&partition.space, &key, entity)?;
        let prior = decision::apply(&active.job, prior);
        tracing::trace!(?ticket, ?prior, last_version, "consulted");
        let again = match &prior {
            Prior::Outcome(outcome) => Some(self.outcome_event(&active.job, outcome)),
            Prior::None | Prior::Intent(_) | Prior::Decided(..) => None,
        };
        let known = Input::Known { ticket, prior, last_version };
        match again {
            // The process that recorded it may have died before it told anybody.
            Some(letter) => self.send(letter, Purpose::Again(Box::new(known))),
            None => self.inform(known),
        }
        Ok(())
    }

    /// The changelog first: whoever takes over reads no other disk, and must not send beside a request that is under way. Only where a
    /// key makes that harmless, the local store is enough.
    fn write_intent(&mut self, ticket: Ticket, intent: Intent) -> Result<(), EngineError> {
        let Some(active) = self.active.get(&ticket) else { return Ok(()) };
        let Some(partition) = self.partitions.get(&active.job.source.assignment) else { return Ok(()) };
        let letter = changelog_letter(&active.job, partition, Entry::Intent(intent))?;
        let (key, space) = (active.job.new.key, Arc::clone(&partition.space));
        let changelog_first = !matches!(active.job.new.class, delivery::Class::Keyed { .. });
        let job = ledger::Job::Intent { ticket, space, key, intent, position: None };
        if changelog_first {
            self.send(letter, Purpose::IntentFirst(ticket, Box::new(job)));
        } else {
            self.ledger_jobs.push(job);
            self.send(letter, Purpose::Intent);
        }
        Ok(())
    }

    /// The changelog first: a range must outlive the machine, and there are few of them.
    fn write_range(&mut self, id: PartitionId, until: i64) -> Result<(), EngineError> {
        let assignment = assignment(id);
        let Some(partition) = self.partitions.get(&assignment) else { return Ok(()) };
        let now = self.parts.clock.now().wall;
        let stored = ledger::range(until, self.parts.core.epoch(), partition.term, now);
        let letter = stored_letter(&stored, partition)?;
        let space = Arc::clone(&partition.space);
        let job = ledger::Job::Range { partition: id, space, stored, until };
        self.send(letter, Purpose::RangeFirst(assignment, Box::new(job)));
        Ok(())
    }

    fn post(&mut self, ticket: Ticket, attempt: u32) {
        let Some(deadline) = self.deadline(ticket) else { return };
        let Some(active) = self.active.get(&ticket) else { return };
        let kind = if attempt == 1 { "first" } else { "repeat" };
        self.parts.metrics.attempt(&active.job.source.envelope.tenant, kind);
        let (way, posting) = (Arc::clone(&active.job.way), mutant::sent(&active.job.posting));
        let (standing, tenant) = (active.standing.clone(), active.job.source.envelope.tenant.clone());
        if let Some(answer) = self.refusal(ticket) {
            self.outbound.send(Message::Answered(ticket, answer)).ok();
            return;
        }
        self.ask_for_limits(&way, &tenant);
        let (told, report, began) = (Told::default(), self.outbound.clone(), self.parts.clock.now().mono);
        let client = way.client(&self.parts.client).telling(&told);
        tokio::spawn(async move {
            let answer = match time_left(deadline) {
                Some(timeout) => {
                    client.send(&way.endpoint, &posting, (attempt, standing.as_deref()), timeout).await
                }
                None => overslept(),
            };
            pass_on(&told, (way.connection, began), &report);
            report.send(Message::Answered(ticket, answer)).ok(); // the engine has stopped: nobody listens
        });
    }

    /// How a posting ends of which nothing can be sent: as if the target had said so; but a process before this one may have had
    /// another mapping, and sent it.
    pub(super) fn refusal(&self, ticket: Ticket) -> Option<Answer> {
        let reason = self.active.get(&ticket)?.job.refused.clone()?;
        let perhaps_sent = self.parts.core.perhaps_sent(ticket);
        Some(if perhaps_sent { Answer::Stuck(reason) } else { Answer::Refused(reason) })
    }

    fn look(&mut self, ticket: Ticket) {
        let Some(deadline) = self.deadline(ticket) else { return };
        let Some(active) = self.active.get(&ticket) else { return };
        self.parts.metrics.attempt(&active.job.source.envelope.tenant, "read_back");
        let (way, posting) = (Arc::clone(&active.job.way), Arc::clone(&active.job.posting));
        if active.job.withdrawn {
            // There is nobody to ask any more: a person has to see whether it was applied.
            self.outbound.send(Message::ReadBack(ticket, ReadBack::Several, None)).ok();
            return;
        }
        let refused = active.job.refused.is_some();
        let (told, report, began) = (Told::default(), self.outbound.clone(), self.parts.clock.now().mono);
        let client = way.client(&self.parts.client).telling(&told);
        tokio::spawn(async move {
            let (seen, standing) = match time_left(deadline) {
                Some(timeout) => client.read_back(&way.endpoint, &posting, timeout).await,
                None => (ReadBack::Failed(overslept()), None),
            };
            let seen = if refused { of_nothing(seen) } else { seen };
            pass_on(&told, (way.connection, began), &report);
            report.send(Message::ReadBack(ticket, seen, standing)).ok();
        });
    }

    /// The moment that was decided on with the lease in view, not one counted from now: the process may have been stopped
    /// in between, and somebody else may own the partition.
    pub(super) fn deadline(&self, ticket: Ticket) -> Option<Instant> {
        Some(self.parts.clock.instant(self.parts.core.request_over_at(ticket)?))
    }

    fn dead_letter(&mut self, ticket: Ticket, reason: &Reason) {
        let Some(active) = self.active.get(&ticket) else { return };
        let (job, source) = (&active.job, &active.job.source);
        let Some(partition) = self.partitions.get(&source.assignment) else { return };
        let origin = Origin { topic: &partition.topic, partition: partition.number, offset: source.offset };
        let tenant = &source.envelope.tenant;
        let rejection = Rejection {
            tenant,
            event_id: source.envelope.event_id.to_string(),
            route: &job.way.name,
            generation: job.new.key.generation,
            reason,
        };
        let topic = Arc::from(topics::names::dlq(&self.parts.region, Some(tenant)));
        let letter = of_rejection(topic, &origin, &source.key, &source.value, &rejection);
        self.send(letter, Purpose::DeadLetter(ticket));
        crash::point("dlq_sent");
    }

    fn write_outcome(&mut self, ticket: Ticket, outcome: Outcome) -> Result<(), EngineError> {
        let Some(active) = self.active.get_mut(&ticket) else { return Ok(()) };
        let Some(partition) = self.partitions.get(&active.job.source.assignment) else { return Ok(()) };
        let changelog = changelog_letter(&active.job, partition, Entry::Outcome(outcome.clone()))?;
        active.settlement = Some(Settlement::new(outcome));
        self.send(changelog, Purpose::Outcome(ticket));
        Ok(())
    }

    pub(super) fn outcome_event(&self, job: &Job, outcome: &Outcome) -> Letter {
        outcome_letter(job, &self.parts.outcome_topic, self.parts.outcome_schema, outcome)
    }

    fn done(&mut self, ticket: Ticket, duplicate_of: Option<Status>) {
        let Some(active) = self.active.remove(&ticket) else { return };
        let envelope = &active.job.source.envelope;
        if duplicate_of.is_some() {
            return self.parts.metrics.duplicate(&envelope.tenant);
        }
        if let Some(settlement) = active.settlement {
            let seconds = (settlement.outcome.settled_at - active.job.new.accepted_at) as f64 / 1e3;
            let status = settlement.outcome.status;
            self.parts.metrics.settled(&envelope.tenant, &active.job.way.name, status, seconds);
        }
    }

    /// A partition that is held for another reason stays paused for that.
    fn resume(&mut self, id: AssignmentId) {
        if self.partitions.get(&id).is_some_and(|p| !p.held) {
            self.parts.member.resume(id);
        }
    }

    pub(super) fn send(&mut self, letter: Letter, purpose: Purpose) {
        if let Err((purpose, reason)) = self.parts.outbox.send(letter, purpose) {
            self.refused(&purpose, &reason);
        }
    }

    /// What must be written and cannot be is never skipped: the sink stops.
    pub(super) fn refused(&mut self, purpose: &Purpose, reason: &str) {
        self.fail(EngineError::Refused(format!("{purpose:?}: {reason}")));
    }
}

/// What a look says of an event that cannot be sent any more: there is nothing to compare what stands there with.
fn of_nothing(seen: ReadBack) -> ReadBack {
    match seen {
        ReadBack::Absent => ReadBack::Absent,
        ReadBack::Failed(again @ (Answer::Again { .. } | Answer::Unknown(_))) => ReadBack::Failed(again),
        _ => ReadBack::Several, // a person has to see whether it is ours
    }
}

/// Lets the engine know what answers told beside what they answered, if they did.
pub(super) fn pass_on(
    told: &Told,
    (connection, began): (ConnectionId, u64),
    report: &UnboundedSender<Message>,
) {
    let mut news = told.take();
    news.requests = news.requests.saturating_sub(1); // the core has counted one when it let it go
    if !news.is_empty() {
        report.send(Message::Told(connection, began, news)).ok(); // the engine has stopped: nobody listens
    }
}

/// None if the deadline has passed.
pub(super) fn time_left(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

/// Nothing was sent: the process was stopped, or had no processor, until after the request's deadline.
pub(super) fn overslept() -> Answer {
    let reason = Reason {
        code: Arc::from("SNK-0009"),
        class: ErrorClass::Transient,
        status: None,
        message: Arc::from("the process was stopped until after the request's deadline; nothing was sent"),
    };
    Answer::Again { reason, after_ms: None, scope: Scope::Lane }
}

fn assignment(partition: PartitionId) -> AssignmentId {
    AssignmentId(partition.0)
}
