//! What the brokers and the local ledger acknowledge.

use delivery::{Input, PartitionId, Ticket};
use kafka::{AssignmentId, Journaled, Position};
use ledger::Written;

use super::{Engine, EngineError};
use crate::{crash, outbox::Purpose, settlement::Settlement};

impl Engine {
    pub(super) fn written(&mut self, written: Written) {
        match written {
            Written::Intents(tickets) => {
                tickets.iter().for_each(|_| crash::point("intent_local"));
                self.inform_all(tickets, Input::IntentDurable);
            }
            Written::IntentsFailed(tickets) => self.inform_all(tickets, Input::IntentFailed),
            Written::Ranges(ranges) => {
                for (partition, until) in ranges {
                    crash::point("intent_local");
                    self.inform(Input::RangeDurable { partition, until });
                }
            }
            Written::RangesFailed(ranges) => {
                ranges.into_iter().for_each(|(partition, _)| self.inform(Input::RangeFailed(partition)));
            }
            Written::Fails(fails) => self.parts.core.ledger_fails(fails),
            Written::Outcomes(tickets) => {
                for ticket in tickets {
                    crash::point("outcome_local");
                    self.progress(ticket, |settlement| settlement.recorded = true);
                }
            }
        }
    }

    fn inform_all(&mut self, tickets: Vec<Ticket>, input: impl Fn(Ticket) -> Input) {
        let now = self.parts.clock.now();
        for ticket in tickets {
            self.parts.core.handle(input(ticket), now);
        }
    }

    pub(super) fn journaled(&mut self, journaled: Journaled) {
        match journaled {
            Journaled::Acked(token, position) => {
                if let Some(purpose) = self.parts.outbox.acked(token) {
                    self.acked(purpose, position);
                }
            }
            Journaled::Refused(token, reason) => {
                if let Some(purpose) = self.parts.outbox.acked(token) {
                    self.refused(&purpose, &reason);
                }
            }
            Journaled::Broken(_, reason) => self.fail(EngineError::Producer(reason)),
        }
    }

    fn acked(&mut self, purpose: Purpose, position: Position) {
        tracing::trace!(?purpose, ?position, "acknowledged");
        if let Purpose::Outcome(ticket) | Purpose::IntentFirst(ticket, _) = &purpose
            && let Some(assignment) = self.active.get(ticket).map(|active| active.job.source.assignment)
            && !self.parts.core.holds(PartitionId(assignment.0), self.parts.clock.now())
            && let Some(partition) = self.partitions.get_mut(&assignment)
        {
            return partition.late.push((purpose, position));
        }
        self.act_on(purpose, position);
    }

    /// The partition is still ours, or is being given back: what the changelog acknowledged meanwhile holds. Had it gone,
    /// nobody would hear of it from us, since a successor may have come to another outcome before the brokers had ours.
    pub(super) fn late(&mut self, assignment: AssignmentId) {
        let Some(partition) = self.partitions.get_mut(&assignment) else { return };
        for (purpose, position) in std::mem::take(&mut partition.late) {
            self.acked(purpose, position);
        }
    }

    fn act_on(&mut self, purpose: Purpose, position: Position) {
        match &purpose {
            Purpose::Intent | Purpose::IntentFirst(..) | Purpose::RangeFirst(..) => {
                crash::point("intent_acked")
            }
            Purpose::Outcome(_) => crash::point("outcome_acked"),
            Purpose::DeadLetter(_) => crash::point("dlq_acked"),
            _ => {}
        }
        match purpose {
            Purpose::Claim(assignment) => self.claimed(assignment, position.offset),
            Purpose::Intent => {}
            Purpose::IntentFirst(ticket, job) => {
                // One that outlived its assignment must not move the position of the next one.
                if self.active.contains_key(&ticket) {
                    self.ledger_jobs.push(job.at(position.offset));
                }
            }
            Purpose::RangeFirst(assignment, job) => {
                if self.partitions.contains_key(&assignment) {
                    self.ledger_jobs.push(*job);
                }
            }
            Purpose::Outcome(ticket) => self.record(ticket, position.offset),
            Purpose::OutcomeEvent(ticket) => self.progress(ticket, |settlement| settlement.announced = true),
            Purpose::Again(known) => self.inform(*known),
            Purpose::DeadLetter(ticket) => self.inform(Input::DeadLettered(ticket)),
            Purpose::Poison(assignment, offset) => {
                self.parts.core.release(PartitionId(assignment.0), offset);
            }
        }
    }

    /// The changelog has the outcome: the local ledger and the announcement follow. Announced before, a crash could let a
    /// successor come to another outcome than the one that subscribers have seen.
    fn record(&mut self, ticket: Ticket, position: i64) {
        let Some(active) = self.active.get(&ticket) else { return };
        let Some(settlement) = &active.settlement else { return };
        let (outcome, new) = (settlement.outcome.clone(), active.job.new);
        let announcement = self.outcome_event(&active.job, &outcome);
        let assignment = active.job.source.assignment;
        let Some(partition) = self.partitions.get(&assignment) else { return };
        self.ledger_jobs.push(ledger::Job::Outcome {
            ticket,
            space: std::sync::Arc::clone(&partition.space),
            key: new.key,
            entity: new.entity,
            outcome,
            position,
        });
        self.send(announcement, Purpose::OutcomeEvent(ticket));
    }

    fn progress(&mut self, ticket: Ticket, change: impl FnOnce(&mut Settlement)) {
        let Some(active) = self.active.get_mut(&ticket) else { return };
        let Some(settlement) = &mut active.settlement else { return };
        change(settlement);
        if settlement.is_complete() {
            self.inform(Input::OutcomeDurable(ticket));
        }
    }
}
