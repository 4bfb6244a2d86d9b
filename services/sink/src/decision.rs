//! An operator's decision about a posting in doubt, which came with a record of its event.

use std::sync::Arc;

use contract::{DECISION_HEADER, Decision, Verdict};
use delivery::{ErrorClass, Outcome, Prior, Reason, Status};

use crate::admission::Job;

const MICROS: i64 = 1_000;

/// What the ledger knows, and what was decided about it. A decision about another outcome than the one that stands there
/// is over: it was carried out before.
pub(crate) fn apply(job: &Job, prior: Prior) -> Prior {
    match prior {
        Prior::Outcome(outcome) if outcome.status == Status::InDoubt => match decision(job, &outcome) {
            Some(decision) => decided(outcome, decision),
            None => Prior::Outcome(outcome),
        },
        prior => prior,
    }
}

fn decision(job: &Job, outcome: &Outcome) -> Option<Decision> {
    let headers = job.source.key.headers.as_deref()?;
    let decisions = headers.iter().filter(|(name, _)| name == DECISION_HEADER);
    decisions.filter_map(|(_, value)| Decision::from_header(value)).find(|decision| {
        *decision.route == *job.way.name
            && decision.generation == job.new.key.generation
            && decision.settled_at == outcome.settled_at * MICROS
    })
}

fn decided(outcome: Outcome, decision: Decision) -> Prior {
    let reason = Reason {
        code: Arc::from("SNK-0017"),
        class: ErrorClass::Transient,
        status: None,
        message: Arc::from(format!("decided by {}: {}", decision.operator, decision.reason)),
    };
    let verdict = match decision.verdict {
        Verdict::Committed => delivery::Decision::Committed(decision.document.map(Arc::from)),
        Verdict::Rejected => delivery::Decision::Rejected,
        Verdict::Retry => delivery::Decision::Retry,
    };
    Prior::Decided(outcome, verdict, reason)
}
