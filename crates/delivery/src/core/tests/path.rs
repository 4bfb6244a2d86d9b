//! The way of one posting, and the order within a lane.

use super::rig::{
    EPOCH, KEYED, P0, P1, PARK, Rig, TARGET, TIMEOUT, WINDOW, applied, done, intent, new, refused,
    settles_as, store,
};
use crate::{
    Action, ConnectionLimits, Core, CoreOptions, Input, Intents, NewPosting, Outcome, Prior, ResolvedBy,
    Status,
};

#[test]
fn the_intent_is_durable_before_the_request_and_the_outcome_before_the_offset() {
    let mut rig = Rig::new();
    let ticket = rig.admit(P0, 0, new(1, 1, 7, PARK));
    assert_eq!(rig.actions(), [Action::Consult(ticket)]);

    let intended = rig.known(ticket, Prior::None, None);
    let intent = intent(&intended);
    assert_eq!((intent.attempt, intent.request_hash), (1, 1));
    assert_eq!(intent.first_attempt_at, rig.now.wall);
    assert!(intent.deadline >= rig.now.wall + TIMEOUT as i64);

    assert_eq!(rig.intent_durable(ticket), [Action::Send { ticket, attempt: 1, timeout_ms: TIMEOUT }]);
    let outcome = Outcome {
        status: Status::Committed,
        document: Some("doc-1".into()),
        attempts: 1,
        first_attempt_at: Some(rig.now.wall),
        settled_at: rig.now.wall,
        reason: None,
        resolved_by: ResolvedBy::Answer,
        source_version: 7,
        request_hash: 1,
    };
    assert_eq!(rig.answer(ticket, applied()), [Action::WriteOutcome(ticket, outcome)]);
    assert_eq!(rig.tell(Input::OutcomeDurable(ticket)), [done(ticket), store(P0, 1)]);
    rig.no_gauges_left();
}

#[test]
fn a_lane_goes_on_only_once_the_outcome_before_is_durable() {
    let mut rig = Rig::new();
    let first = rig.sent(0, new(1, 1, 1, PARK));
    let second = rig.admit(P0, 1, new(2, 1, 2, PARK));
    assert_eq!(rig.actions(), []);
    assert_eq!(settles_as(&rig.answer(first, applied())), Status::Committed);
    assert_eq!(rig.pass(60_000), [], "nothing moves before the outcome is durable");
    let after = rig.tell(Input::OutcomeDurable(first));
    assert_eq!(after, [done(first), store(P0, 1), Action::Consult(second)]);
}

#[test]
fn a_waiting_lane_holds_back_no_other() {
    let mut rig = Rig::new();
    let slow = rig.sent(0, new(1, 1, 1, PARK));
    let other = rig.sent(1, new(2, 2, 1, PARK));
    rig.answer(other, applied());
    assert_eq!(rig.tell(Input::OutcomeDurable(other)), [done(other)], "the offset waits for the slow one");
    rig.answer(slow, applied());
    assert_eq!(rig.tell(Input::OutcomeDurable(slow)), [done(slow), store(P0, 2)]);
}

#[test]
fn a_duplicate_in_the_window_ends_as_one() {
    let mut rig = Rig::new();
    let first = rig.sent(0, new(1, 1, 1, PARK));
    let twin = rig.admit(P0, 1, new(1, 1, 1, PARK));
    let written = rig.answer(first, applied());
    let [Action::WriteOutcome(_, outcome)] = &written[..] else { panic!("{written:?}") };
    rig.tell(Input::OutcomeDurable(first));
    let ended = rig.known(twin, Prior::Outcome(outcome.clone()), Some(1));
    let duplicate = Action::Done { ticket: twin, duplicate_of: Some(Status::Committed) };
    assert_eq!(ended, [duplicate, store(P0, 2)]);
    rig.no_gauges_left();
}

#[test]
fn a_stale_version_is_recorded_and_never_sent() {
    let mut rig = Rig::new();
    let stale = rig.admit(P0, 0, new(1, 1, 4, KEYED));
    rig.actions();
    assert_eq!(settles_as(&rig.known(stale, Prior::None, Some(5))), Status::Superseded);
    assert_eq!(rig.tell(Input::OutcomeDurable(stale)), [done(stale), store(P0, 1)]);
}

#[test]
fn an_equal_version_is_sent() {
    let mut rig = Rig::new();
    let equal = rig.admit(P0, 0, new(1, 1, 5, KEYED));
    rig.actions();
    intent(&rig.known(equal, Prior::None, Some(5)));
}

#[test]
fn a_refusal_is_dead_lettered_then_recorded_then_passed() {
    let mut rig = Rig::new();
    let ticket = rig.sent(0, new(1, 1, 1, PARK));
    let letter = rig.answer(ticket, refused());
    assert!(matches!(&letter[..], [Action::DeadLetter(t, _)] if *t == ticket), "{letter:?}");
    assert_eq!(rig.pass(60_000), []);
    assert_eq!(settles_as(&rig.tell(Input::DeadLettered(ticket))), Status::Rejected);
    assert_eq!(rig.tell(Input::OutcomeDurable(ticket)), [done(ticket), store(P0, 1)]);
}

#[test]
fn an_intent_that_fails_sends_nothing_and_is_tried_again() {
    let mut rig = Rig::new();
    let ticket = rig.admit(P0, 0, new(1, 1, 1, PARK));
    rig.known(ticket, Prior::None, None);
    rig.actions();
    assert_eq!(rig.tell(Input::IntentFailed(ticket)), []);
    assert_eq!(rig.pass(10), [], "not at once: the disk is full");
    let intent = intent(&rig.pass(100));
    assert_eq!((intent.attempt, intent.first_attempt_at), (1, rig.now.wall), "nothing was attempted yet");
    assert_eq!(rig.intent_durable(ticket), [Action::Send { ticket, attempt: 1, timeout_ms: TIMEOUT }]);
}

#[test]
fn partitions_have_offsets_of_their_own() {
    let mut rig = Rig::new();
    let here = rig.sent(0, new(1, 1, 1, PARK));
    let there = rig.admit(P1, 0, new(2, 2, 1, PARK));
    rig.known(there, Prior::None, Some(9));
    assert_eq!(rig.tell(Input::OutcomeDurable(there)), [done(there), store(P1, 1)]);
    rig.answer(here, applied());
    assert_eq!(rig.tell(Input::OutcomeDurable(here)), [done(here), store(P0, 1)]);
}

#[test]
fn an_event_older_than_the_ledgers_memory_is_never_sent() {
    let mut rig = Rig::new();
    let options = CoreOptions {
        epoch: EPOCH,
        window: WINDOW,
        clock_skew_ms: 0,
        intents: Intents::Each,
        in_flight: usize::MAX,
        horizon_ms: 500_000,
    };
    rig.core = Core::new(options);
    rig.core.connect(TARGET, ConnectionLimits { concurrency: 4, timeout_ms: TIMEOUT });
    rig.core.assign(P0, 0);
    rig.core.renew_lease(P0, u64::MAX, rig.now);
    let aged = |ms: i64| NewPosting { accepted_at: 1_000_000 - ms, ..new(ms as u128, ms as u128, 1, KEYED) };
    let known = rig.admit(P0, 0, aged(500_000));
    rig.actions();
    intent(&rig.known(known, Prior::None, None));
    let old = rig.admit(P0, 1, aged(500_001));
    rig.actions();
    assert_eq!(settles_as(&rig.known(old, Prior::None, None)), Status::InDoubt);
}
