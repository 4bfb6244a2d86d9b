//! The invariants of GUARANTEES.md, held against both ends.

use std::collections::{BTreeSet, HashMap};

use contract::OutcomeStatus;
use event::ObjectKind;
use sandbox::{Collection, RequestRow};
use serde_json::Value;

use crate::{
    class::Class,
    evidence::{Evidence, Letter},
    plan::{Fault, Trouble},
    source::revision,
};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub id: &'static str,
    /// The event, where it is about one.
    pub event: Option<String>,
    pub evidence: String,
    /// The round in which the event came to its end, as far as that is known.
    pub round: Option<usize>,
}

/// Every invariant, everything that violates it.
pub fn violations(evidence: &Evidence) -> Vec<Violation> {
    let mut check = Check { evidence, found: Vec::new(), effects: evidence.effects_by_event() };
    check.outcomes();
    check.acknowledgements();
    check.origins();
    check.payloads();
    check.counts();
    check.order();
    check.dead_letters();
    check.poison();
    check.doubts();
    check.intents();
    check.rest();
    check.found
}

struct Check<'a> {
    evidence: &'a Evidence,
    found: Vec<Violation>,
    effects: HashMap<&'a str, u64>,
}

impl Check<'_> {
    fn report(&mut self, id: &'static str, event: Option<&str>, what: String) {
        let outcome = event.and_then(|event| self.evidence.outcome(event));
        let round = outcome.and_then(|outcome| self.evidence.moments.round_at(outcome.settled_at));
        let outcome = outcome.map(|outcome| format!("; {outcome:?}")).unwrap_or_default();
        let event = event.map(str::to_owned);
        self.found.push(Violation { id, event, evidence: format!("{what}{outcome}"), round });
    }

    /// CON-1: every accepted event has its outcome. LED-1: and no other one.
    fn outcomes(&mut self) {
        let evidence = self.evidence;
        for (id, issued) in &evidence.issued {
            let all = evidence.outcomes.get(id).map_or(&[][..], Vec::as_slice);
            let Some(first) = all.first() else {
                self.report("CON-1", Some(id), format!("no outcome of {issued:?}"));
                continue;
            };
            if first.tenant.as_str() != issued.class.name() || first.entity != issued.change.entity {
                self.report("CON-1", Some(id), format!("the outcome is not of {issued:?}"));
            }
            if all.len() > 1 {
                self.report("LED-1", Some(id), format!("outcomes that contradict: {all:?}"));
            }
        }
        for id in evidence.outcomes.keys().filter(|id| !evidence.issued.contains_key(*id)) {
            self.report("CON-2", Some(id), "an outcome of an event that was never accepted".to_owned());
        }
        for mistaken in &evidence.mistaken {
            self.report("CON-2", None, format!("a resend is another event: {mistaken}"));
        }
    }

    /// CON-1: nothing is acknowledged that cannot have its replicas.
    fn acknowledgements(&mut self) {
        let evidence = self.evidence;
        for (from, to) in &evidence.moments.unreplicated {
            let within = |time: &&(i64, i64)| time.0 >= *from && time.1 <= *to;
            for (began, ended) in evidence.acknowledged.iter().filter(within) {
                let what =
                    format!("acknowledged with too few replicas, {began} to {ended} in {from} to {to}");
                self.report("CON-1", None, what);
            }
        }
    }

    /// CON-2: every effect is of an accepted event, and on the entity that it is about.
    fn origins(&mut self) {
        for (class, row) in &self.evidence.effects {
            let id = row.event_id.as_deref();
            let Some(issued) = id.and_then(|id| self.evidence.issued.get(id)) else {
                self.report("CON-2", id, format!("an effect of no accepted event: {row:?}"));
                continue;
            };
            let change = &issued.change;
            let fits = issued.class == *class
                && row.external_id == change.entity
                && row.collection == collection(change.object)
                && row.source_versions.iter().all(|version| *version == change.version);
            if !fits {
                self.report("CON-2", id, format!("the effect {row:?} is not of {issued:?}"));
            }
        }
    }

    /// CON-2: what was applied says what the event says.
    fn payloads(&mut self) {
        for (_, row) in self.evidence.requests.iter().filter(|(_, row)| row.fate.is_effect()) {
            let id = row.event_id.as_deref();
            let Some(issued) = id.and_then(|id| self.evidence.issued.get(id)) else { continue };
            let wanted = revision(&issued.change.entity, issued.change.version);
            let (entity, said) = said(row);
            if entity.as_deref() != Some(&issued.change.entity) || said.as_deref() != Some(&wanted) {
                self.report("CON-2", id, format!("{said:?} of {entity:?} was applied for {wanted}"));
            }
        }
    }

    /// EFF-1 and EFF-2: how often each event had an effect.
    fn counts(&mut self) {
        for (id, issued) in &self.evidence.issued {
            let Some(outcome) = self.evidence.outcome(id) else { continue };
            let effects = self.effects.get(id.as_str()).copied().unwrap_or(0);
            let committed = outcome.status == OutcomeStatus::Committed;
            let (name, fits) = match issued.class {
                Class::Keyed | Class::Upsert => ("EFF-1", effects == u64::from(committed)),
                Class::Neither if outcome.status == OutcomeStatus::InDoubt => ("EFF-2", effects <= 1),
                Class::Neither => ("EFF-2", effects == u64::from(committed)),
            };
            if !fits {
                self.report(name, Some(id), format!("{effects} effects"));
            }
        }
    }

    /// ORD-1: versions of an entity apply in order, and the last one is the newest that was committed.
    fn order(&mut self) {
        let mut newest: HashMap<(Class, Collection, &str), u64> = HashMap::new();
        for (id, issued) in &self.evidence.issued {
            if self.evidence.outcome(id).is_some_and(|o| o.status == OutcomeStatus::Committed) {
                let change = &issued.change;
                let key = (issued.class, collection(change.object), change.entity.as_str());
                let newest = newest.entry(key).or_default();
                *newest = change.version.max(*newest);
            }
        }
        for (class, row) in &self.evidence.entities {
            let newest = newest.get(&(*class, row.collection, row.external_id.as_str())).copied();
            // What N has in doubt may have been applied, and is nobody's newest version.
            let ends_well = newest.is_none_or(|newest| row.source_versions.last() == Some(&newest));
            if !row.source_versions.is_sorted() || !ends_well {
                let what = format!("{class}: {row:?}, the newest committed version is {newest:?}");
                self.report("ORD-1", None, what);
            }
        }
    }

    /// DLQ-1: a rejection has its dead letter with the original bytes, and nothing else has one.
    fn dead_letters(&mut self) {
        let evidence = self.evidence;
        let mut lettered = BTreeSet::new();
        for letter in &evidence.letters {
            let Some(id) = letter.event_id.as_deref() else { continue };
            lettered.insert(id);
            let status = evidence.outcome(id).map(|outcome| outcome.status);
            let class = evidence.issued.get(id).map(|issued| issued.class);
            // A crash between the letter and the outcome leaves N in doubt.
            let parked = status == Some(OutcomeStatus::InDoubt) && class == Some(Class::Neither);
            if status != Some(OutcomeStatus::Rejected) && !parked {
                self.report("DLQ-1", Some(id), format!("a dead letter of an event that is {status:?}"));
            }
            self.original(letter);
        }
        for (id, issued) in &evidence.issued {
            let rejected = evidence.outcome(id).is_some_and(|o| o.status == OutcomeStatus::Rejected);
            if rejected && !lettered.contains(id.as_str()) {
                self.report("DLQ-1", Some(id), "rejected without a dead letter".to_owned());
            }
            if rejected && !issued.change.refused {
                self.report("DLQ-1", Some(id), "rejected, and the target never refused it".to_owned());
            }
        }
    }

    fn original(&mut self, letter: &Letter) {
        let same = self.evidence.originals.get(&letter.origin).is_some_and(|value| *value == letter.value);
        if !same || letter.code.is_empty() {
            let what = format!("not the original bytes, or no code: {:?} {}", letter.origin, letter.code);
            self.report("DLQ-1", letter.event_id.as_deref(), what);
        }
    }

    /// DLQ-1: what nobody can read is a dead letter, and what anybody can read is not.
    fn poison(&mut self) {
        let evidence = self.evidence;
        let unread: Vec<&Letter> = evidence.letters.iter().filter(|l| l.event_id.is_none()).collect();
        for poison in &evidence.poison {
            let at = (poison.topic.clone(), poison.at.partition, poison.at.offset);
            if !unread.iter().any(|letter| letter.origin == at && letter.value == poison.value) {
                self.report("DLQ-1", None, format!("an unreadable record has no dead letter: {poison:?}"));
            }
        }
        for letter in unread {
            let (topic, partition, offset) = &letter.origin;
            let is_poison = evidence
                .poison
                .iter()
                .any(|p| p.topic == *topic && p.at.partition == *partition && p.at.offset == *offset);
            if !is_poison {
                self.report("DLQ-1", None, format!("a readable record is a dead letter: {letter:?}"));
            }
        }
    }

    /// DBT-1: whatever is in doubt has a reason, and whatever N cannot know is in doubt.
    fn doubts(&mut self) {
        let evidence = self.evidence;
        for (id, issued) in &evidence.issued {
            let Some(outcome) = evidence.outcome(id) else { continue };
            if outcome.status != OutcomeStatus::InDoubt {
                continue;
            }
            if outcome.attempts == 0 || outcome.error_code.is_none() || outcome.first_attempt_at.is_none() {
                self.report("DBT-1", Some(id), "in doubt without evidence".to_owned());
            }
            let began = outcome.first_attempt_at.unwrap_or(outcome.accepted_at);
            let explains = |fault: Fault| may_leave_in_doubt(issued.class, fault);
            let mut windows = evidence.moments.windows.iter();
            if !windows.any(|w| explains(w.fault) && w.explains(began, outcome.settled_at)) {
                self.report(
                    "DBT-1",
                    Some(id),
                    format!("{} in doubt, and no fault explains it", issued.class),
                );
            }
        }
        let unanswered = |row: &RequestRow| row.fate == sandbox::Fate::AppliedUnanswered;
        for (_, row) in evidence.requests.iter().filter(|(c, row)| *c == Class::Neither && unanswered(row)) {
            let id = row.event_id.as_deref();
            let status = id.and_then(|id| evidence.outcome(id)).map(|outcome| outcome.status);
            if status != Some(OutcomeStatus::InDoubt) {
                self.report("DBT-1", id, format!("{status:?}, and its answer was lost"));
            }
        }
    }

    /// OFF-2, LIV-1, and what the code itself counted.
    fn rest(&mut self) {
        let evidence = self.evidence;
        for (topic, partition, committed, end) in &evidence.behind {
            self.report("OFF-2", None, format!("{topic}[{partition}] is committed to {committed} of {end}"));
        }
        for id in &evidence.canaries {
            if evidence.outcome(id).is_none_or(|outcome| outcome.status != OutcomeStatus::Committed) {
                self.report("LIV-1", Some(id), "a canary that was not committed".to_owned());
            }
        }
        for what in &evidence.unexpected {
            self.report("LIV-1", None, format!("a sink ended by itself, or panicked: {what}"));
        }
        let counter = "counterfoil_sink_invariant_violations_count";
        for (series, count) in evidence.counted.iter().filter(|(name, _)| name.starts_with(counter)) {
            if *count > 0.0 {
                self.report("IN-CODE", None, format!("{series} = {count}"));
            }
        }
    }
}

/// Whether a fault can leave a posting of the class in doubt.
fn may_leave_in_doubt(class: Class, fault: Fault) -> bool {
    match (class, fault) {
        (Class::Keyed, Fault::Target { class: of, trouble }) => {
            of == Class::Keyed && trouble == Trouble::StoresFailures
        }
        (Class::Keyed | Class::Upsert, _) => false,
        (Class::Neither, Fault::Target { class: of, trouble }) => {
            let harmless = [Trouble::Unavailable, Trouble::Throttles, Trouble::Slow];
            of == Class::Neither && !harmless.contains(&trouble)
        }
        (Class::Neither, fault) => fault != Fault::KillGateway,
    }
}

pub fn collection(object: ObjectKind) -> Collection {
    match object {
        ObjectKind::Invoice => Collection::Invoices,
        ObjectKind::Payment => Collection::Payments,
        _ => Collection::Customers,
    }
}

/// The entity and the revision that a body speaks of.
fn said(row: &RequestRow) -> (Option<String>, Option<String>) {
    let body: Option<Value> = row.data.as_ref().and_then(|data| serde_json::from_str(data.get()).ok());
    let body = body.unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    (text(&body["id"]), text(&body["extensions"]["revision"]))
}

mod intents;
#[cfg(test)]
mod tests;
