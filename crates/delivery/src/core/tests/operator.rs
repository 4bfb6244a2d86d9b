//! What an operator decides about a posting in doubt.

use std::sync::Arc;

use super::rig::{KEYED, P0, PARK, Rig, applied, intent, new, reason};
use crate::{Action, Answer, Class, Decision, ErrorClass, Input, Outcome, Prior, ResolvedBy, Status, Ticket};

fn in_doubt() -> Outcome {
    Outcome {
        status: Status::InDoubt,
        document: None,
        attempts: 2,
        first_attempt_at: Some(900_000),
        settled_at: 950_000,
        reason: Some(reason(ErrorClass::Transient)),
        resolved_by: ResolvedBy::Answer,
        source_version: 1,
        request_hash: 1,
    }
}

fn decide(rig: &mut Rig, class: Class, decision: Decision, last_version: i64) -> (Ticket, Vec<Action>) {
    let ticket = rig.admit(P0, 0, new(1, 1, 1, class));
    rig.actions();
    let prior = Prior::Decided(in_doubt(), decision, reason(ErrorClass::Validation));
    (ticket, rig.known(ticket, prior, Some(last_version)))
}

#[test]
fn what_the_target_has_is_committed_by_the_operator() {
    let mut rig = Rig::new();
    let (_, actions) = decide(&mut rig, PARK, Decision::Committed(Some(Arc::from("D-1"))), 1);
    let [Action::WriteOutcome(_, outcome)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((outcome.status, outcome.resolved_by), (Status::Committed, ResolvedBy::Operator));
    assert_eq!((outcome.document.as_deref(), outcome.attempts), (Some("D-1"), 2));
    assert!(outcome.reason.is_some(), "who decided, and why");
}

#[test]
fn what_is_not_to_be_sent_has_its_dead_letter_first() {
    let mut rig = Rig::new();
    let (ticket, actions) = decide(&mut rig, PARK, Decision::Rejected, 1);
    assert!(matches!(actions[..], [Action::DeadLetter(t, _)] if t == ticket), "{actions:?}");
    let actions = rig.tell(Input::DeadLettered(ticket));
    assert!(matches!(&actions[..], [Action::WriteOutcome(_, o)] if o.status == Status::Rejected));
}

#[test]
fn a_retry_is_the_next_attempt_with_an_intent_of_its_own() {
    for class in [PARK, KEYED, Class::Upsert] {
        let mut rig = Rig::new();
        let (ticket, actions) = decide(&mut rig, class, Decision::Retry, 1);
        assert_eq!(intent(&actions).attempt, 3, "a crash must not try it once more");
        rig.intent_durable(ticket);
        let actions = rig.answer(ticket, applied());
        assert!(matches!(&actions[..], [Action::WriteOutcome(_, o)] if o.status == Status::Committed));
    }
}

#[test]
fn a_retry_that_nobody_answers_is_in_doubt_again() {
    let mut rig = Rig::new();
    let (ticket, _) = decide(&mut rig, PARK, Decision::Retry, 1);
    rig.intent_durable(ticket);
    rig.answer(ticket, Answer::Unknown(reason(ErrorClass::Transient)));
    let actions = rig.pass(super::rig::TIMEOUT);
    assert!(
        matches!(&actions[..], [Action::WriteOutcome(_, o)] if o.status == Status::InDoubt),
        "{actions:?}"
    );
}

#[test]
fn a_retry_comes_too_late_behind_a_newer_version() {
    let mut rig = Rig::new();
    let (_, actions) = decide(&mut rig, PARK, Decision::Retry, 2);
    assert!(matches!(&actions[..], [Action::WriteOutcome(_, o)] if o.status == Status::Superseded));
}
