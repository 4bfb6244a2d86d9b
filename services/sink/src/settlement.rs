//! The end of a posting: an outcome in the changelog, then in the local ledger and as an outcome event for subscribers, and
//! only then the offset.
//!
//! The local ledger takes changelog records in the order of their acknowledgements, so that its position never passes a
//! record that it lacks. A crash may fall between changelog and outcome event: the successor, which meets the record
//! again, announces the outcome that it finds in the ledger. Subscribers get outcome events at least once.

use std::sync::Arc;

use contract::{OutcomeStatus, encode_outcome};
use delivery::{Class, OnUnknown, Outcome, ResolvedBy, Status};
use ledger::{Entry, LedgerError, Stored};

use crate::{admission::Job, outbox::Letter, partition::Partition};

/// Sent again without anything that would keep it from being there twice.
const TWICE: &str = "SNK-0044";

/// A posting's end on its way.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) outcome: Outcome,
    /// Whether changelog and local ledger have it.
    pub(crate) recorded: bool,
    /// Whether the outcome event is acknowledged.
    pub(crate) announced: bool,
}

impl Settlement {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self { outcome, recorded: false, announced: false }
    }

    /// Whether nothing is left to be acknowledged.
    pub(crate) fn is_complete(&self) -> bool {
        self.recorded && self.announced
    }
}

/// The changelog record of an Intent or an outcome.
pub(crate) fn changelog_letter(
    job: &Job,
    partition: &Partition,
    entry: Entry,
) -> Result<Letter, LedgerError> {
    let term = partition.term;
    stored_letter(&Stored { key: job.new.key, entity: job.new.entity, entry, term }, partition)
}

/// A changelog record.
pub(crate) fn stored_letter(stored: &Stored, partition: &Partition) -> Result<Letter, LedgerError> {
    Ok(Letter {
        topic: Arc::clone(&partition.changelog),
        partition: Some(partition.number),
        key: stored.changelog_key().to_vec().into(),
        value: stored.changelog_value()?.into(),
        headers: Vec::new(),
    })
}

/// The outcome event.
pub(crate) fn outcome_letter(job: &Job, topic: &Arc<str>, schema_id: u32, outcome: &Outcome) -> Letter {
    const MICROS: i64 = 1_000;
    let envelope = &job.source.envelope;
    let text = |text: &Arc<str>| text.as_ref().to_owned();
    let (error_code, detail) = if may_be_twice(job, outcome) {
        (Some(TWICE.to_owned()), Some("sent again after an attempt that may have been applied".to_owned()))
    } else {
        outcome.reason.as_ref().map(|reason| (text(&reason.code), text(&reason.message))).unzip()
    };
    let event = contract::Outcome {
        event_id: envelope.event_id,
        tenant: envelope.tenant.clone(),
        event_type: envelope.event_type,
        entity: envelope.entity.clone(),
        route: text(&job.way.name),
        connection: text(&job.way.connection_name),
        generation: job.new.key.generation,
        status: status(outcome.status),
        target_document_id: outcome.document.as_ref().map(text),
        error_code,
        detail,
        attempts: outcome.attempts,
        source_version: outcome.source_version,
        occurred_at: envelope.occurred_at,
        accepted_at: envelope.received_at,
        first_attempt_at: outcome.first_attempt_at.map(|at| at * MICROS),
        settled_at: outcome.settled_at * MICROS,
    };
    Letter {
        topic: Arc::clone(topic),
        partition: None,
        key: job.source.key.key.clone(),
        value: encode_outcome(schema_id, &event).into(),
        headers: Vec::new(),
    }
}

/// Whoever chose `on_unknown: resend` is told which documents to look at.
fn may_be_twice(job: &Job, outcome: &Outcome) -> bool {
    matches!(job.new.class, Class::Neither(OnUnknown::Resend))
        && outcome.status == Status::Committed
        && outcome.resolved_by == ResolvedBy::Resend
}

fn status(status: Status) -> OutcomeStatus {
    match status {
        Status::Committed => OutcomeStatus::Committed,
        Status::Rejected => OutcomeStatus::Rejected,
        Status::Superseded => OutcomeStatus::Superseded,
        Status::InDoubt => OutcomeStatus::InDoubt,
    }
}
