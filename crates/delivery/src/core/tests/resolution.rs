//! What is done about an attempt that may or may not have been applied, class by class.

use super::rig::{
    EPOCH, KEYED, KEYED_READABLE, P0, PARK, RESEND, Rig, SKEW, SOON, TARGET, TIMEOUT, again, applied, done,
    intent, new, read_back, reason, refused, settles_as,
};
use crate::{
    Action, Answer, Class, ErrorClass, Input, Intent, OnUnknown, Prior, ReadBack, ResolvedBy, Scope, Status,
    Ticket,
};

fn foreign(rig: &Rig) -> Intent {
    let wall = rig.now.wall;
    Intent {
        attempt: 2,
        epoch: EPOCH - 1,
        first_attempt_at: wall - 10,
        deadline: wall + 700,
        request_hash: 1,
    }
}

/// A posting that the ledger has another process's Intent of.
fn interrupted(rig: &mut Rig, class: Class) -> Ticket {
    let ticket = rig.admit(P0, 0, new(1, 1, 5, class));
    rig.actions();
    let prior = Prior::Intent(foreign(rig));
    assert_eq!(rig.known(ticket, prior, Some(4)), []);
    ticket
}

fn resolved_by(actions: &[Action]) -> ResolvedBy {
    match actions {
        [Action::WriteOutcome(_, outcome)] => outcome.resolved_by,
        other => panic!("expected one outcome, got {other:?}"),
    }
}

#[test]
fn keyed_is_sent_again_under_a_new_intent() {
    let mut rig = Rig::new();
    let first_at = rig.now.wall;
    let (ticket, next) = rig.unknown(0, new(1, 1, 1, KEYED));
    let renewed = intent(&next);
    assert_eq!((renewed.attempt, renewed.first_attempt_at, renewed.request_hash), (2, first_at, 1));
    assert_eq!(renewed.deadline, rig.now.wall + 2 * TIMEOUT as i64);
    assert_eq!(rig.intent_durable(ticket), [Action::Send { ticket, attempt: 2, timeout_ms: TIMEOUT }]);
    let end = rig.answer(ticket, applied());
    assert_eq!((settles_as(&end), resolved_by(&end)), (Status::Committed, ResolvedBy::Resend));
}

#[test]
fn keyed_is_not_sent_again_past_half_its_window() {
    for (class, readable) in [(KEYED, false), (KEYED_READABLE, true)] {
        let mut rig = Rig::new();
        let ticket = rig.sent(0, new(1, 1, 1, class));
        rig.now = rig.now.plus(10_000);
        rig.answer(ticket, Answer::Unknown(reason(ErrorClass::Transient)));
        let next = rig.pass(SOON);
        if readable {
            assert_eq!(next, [read_back(ticket)]);
        } else {
            assert_eq!(settles_as(&next), Status::InDoubt);
        }
    }
}

#[test]
fn keyed_is_not_sent_past_half_its_window_by_waiting_for_its_turn() {
    for (class, readable) in [(KEYED, false), (KEYED_READABLE, true)] {
        let mut rig = Rig::new();
        let throttled = rig.sent(0, new(2, 2, 1, PARK));
        let (ticket, next) = rig.unknown(1, new(1, 1, 1, class));
        intent(&next);
        rig.answer(throttled, again(Scope::Connection, Some(60_000)));
        assert_eq!(rig.intent_durable(ticket), []);
        let next = rig.pass(60_000);
        assert!(
            !next.iter().any(|a| matches!(a, Action::Send { ticket: t, .. } if *t == ticket)),
            "{next:?}"
        );
        assert!(!next.iter().any(|a| matches!(a, Action::WriteIntent(t, _) if *t == ticket)), "{next:?}");
        if readable {
            assert!(next.contains(&read_back(ticket)), "{next:?}");
        } else {
            let parked = |a: &Action| matches!(a, Action::WriteOutcome(t, o) if *t == ticket && o.status == Status::InDoubt);
            assert!(next.iter().any(parked), "{next:?}");
        }
    }
}

#[test]
fn a_clock_that_steps_back_does_not_make_a_key_young_again() {
    let mut rig = Rig::new();
    let ticket = rig.sent(0, new(1, 1, 1, KEYED));
    rig.now = rig.now.plus(10_000);
    rig.now.wall -= 3_600_000;
    rig.answer(ticket, Answer::Unknown(reason(ErrorClass::Transient)));
    assert_eq!(settles_as(&rig.pass(SOON)), Status::InDoubt);

    let mut rig = Rig::new();
    interrupted(&mut rig, KEYED);
    rig.now.wall -= 3_600_000;
    assert_eq!(settles_as(&rig.pass(10_000)), Status::InDoubt);
}

#[test]
fn keyed_trusts_a_refusal_of_the_repeat() {
    let mut rig = Rig::new();
    let (ticket, _) = rig.unknown(0, new(1, 1, 1, KEYED));
    rig.intent_durable(ticket);
    assert!(matches!(rig.answer(ticket, refused())[..], [Action::DeadLetter(..)]));
}

#[test]
fn a_key_reused_for_another_request_is_an_operators_matter() {
    let mut rig = Rig::new();
    let (ticket, _) = rig.unknown(0, new(1, 1, 1, KEYED));
    rig.intent_durable(ticket);
    let mismatch = Answer::Refused(reason(ErrorClass::KeyReuseMismatch));
    assert_eq!(settles_as(&rig.answer(ticket, mismatch)), Status::InDoubt);
}

#[test]
fn an_upsert_is_read_back_and_found() {
    let mut rig = Rig::new();
    let (ticket, next) = rig.unknown(0, new(1, 1, 1, Class::Upsert));
    assert_eq!(next, [read_back(ticket)]);
    let end = rig.saw(ticket, ReadBack::Matches { document: None });
    assert_eq!((settles_as(&end), resolved_by(&end)), (Status::Committed, ResolvedBy::ReadBack));
    assert_eq!(rig.tell(Input::OutcomeDurable(ticket))[0], done(ticket));
    rig.no_gauges_left();
}

#[test]
fn only_a_key_makes_a_repeat_harmless_before_the_requests_deadline() {
    for class in [KEYED, Class::Upsert, PARK, RESEND] {
        let mut rig = Rig::new();
        let ticket = rig.sent(0, new(1, 1, 1, class));
        rig.pass(100);
        rig.answer(ticket, Answer::Unknown(reason(ErrorClass::Transient)));
        let early = rig.pass(TIMEOUT - 101);
        assert_eq!(!early.is_empty(), class == KEYED, "{class:?}: {early:?}");
        let due = rig.pass(1);
        assert_eq!(due.is_empty(), class == KEYED, "{class:?}: {due:?}");
    }
}

#[test]
fn an_upsert_that_left_no_trace_or_stands_for_an_older_version_is_written_again() {
    for seen in [ReadBack::Absent, ReadBack::Differs { document: None }] {
        let mut rig = Rig::new();
        let (ticket, _) = rig.unknown(0, new(1, 1, 1, Class::Upsert));
        assert_eq!(intent(&rig.saw(ticket, seen)).attempt, 2);
        assert_eq!(rig.intent_durable(ticket), [Action::Send { ticket, attempt: 2, timeout_ms: TIMEOUT }]);
        assert_eq!(settles_as(&rig.answer(ticket, applied())), Status::Committed);
    }
}

#[test]
fn an_upsert_refused_after_a_look_that_did_not_find_it_is_rejected() {
    for seen in [ReadBack::Absent, ReadBack::Differs { document: None }] {
        let mut rig = Rig::new();
        let (ticket, _) = rig.unknown(0, new(1, 1, 1, Class::Upsert));
        rig.saw(ticket, seen.clone());
        rig.intent_durable(ticket);
        let next = rig.answer(ticket, refused());
        assert!(matches!(next[..], [Action::DeadLetter(..)]), "after {seen:?}: {next:?}");
    }
}

#[test]
fn an_upsert_found_twice_is_an_operators_matter() {
    let mut rig = Rig::new();
    let (ticket, _) = rig.unknown(0, new(1, 1, 1, Class::Upsert));
    assert_eq!(settles_as(&rig.saw(ticket, ReadBack::Several)), Status::InDoubt);
}

#[test]
fn a_look_that_failed_is_taken_again() {
    let mut rig = Rig::new();
    let (ticket, _) = rig.unknown(0, new(1, 1, 1, Class::Upsert));
    let failed = ReadBack::Failed(Answer::Unknown(reason(ErrorClass::Transient)));
    assert_eq!(rig.saw(ticket, failed), []);
    assert_eq!(rig.pass(SOON), [read_back(ticket)]);
}

#[test]
fn keyed_and_readable_does_not_overwrite_what_differs() {
    let mut rig = Rig::new();
    let ticket = rig.sent(0, new(1, 1, 1, KEYED_READABLE));
    rig.now = rig.now.plus(10_000);
    rig.answer(ticket, Answer::Unknown(reason(ErrorClass::Transient)));
    rig.pass(SOON);
    assert_eq!(settles_as(&rig.saw(ticket, ReadBack::Differs { document: None })), Status::InDoubt);
}

#[test]
fn neither_is_parked_or_sent_again_as_the_route_says() {
    let mut rig = Rig::new();
    let (_, parked) = rig.unknown(0, new(1, 1, 1, PARK));
    assert_eq!(settles_as(&parked), Status::InDoubt);
    let (ticket, next) = rig.unknown(1, new(2, 2, 1, RESEND));
    assert_eq!(intent(&next).attempt, 2);
    rig.intent_durable(ticket);
    assert_eq!(resolved_by(&rig.answer(ticket, applied())), ResolvedBy::Resend);
}

#[test]
fn neither_refused_after_an_unknown_attempt_is_in_doubt() {
    let mut rig = Rig::new();
    let (ticket, _) = rig.unknown(0, new(1, 1, 1, RESEND));
    rig.intent_durable(ticket);
    assert_eq!(settles_as(&rig.answer(ticket, refused())), Status::InDoubt);
}

#[test]
fn an_attempt_turned_away_does_not_make_an_unknown_one_known() {
    let mut rig = Rig::new();
    let (ticket, _) = rig.unknown(0, new(1, 1, 1, Class::Upsert));
    rig.saw(ticket, ReadBack::Failed(again(Scope::Lane, None)));
    assert_eq!(rig.pass(SOON), [read_back(ticket)], "still to be looked for, not sent");
}

#[test]
fn a_repeat_turned_away_does_not_make_the_first_attempt_known() {
    let mut rig = Rig::new();
    let (ticket, _) = rig.unknown(0, new(1, 1, 1, RESEND));
    rig.intent_durable(ticket);
    rig.answer(ticket, again(Scope::Lane, None));
    intent(&rig.pass(TIMEOUT));
    rig.intent_durable(ticket);
    assert_eq!(
        settles_as(&rig.answer(ticket, refused())),
        Status::InDoubt,
        "the first may have been applied"
    );
}

#[test]
fn a_foreign_intent_waits_for_its_deadline_and_the_skew() {
    for class in [KEYED, Class::Upsert, PARK, RESEND] {
        let mut rig = Rig::new();
        let ticket = interrupted(&mut rig, class);
        assert_eq!(rig.pass(700 + SKEW - 1), [], "{class:?}");
        let next = rig.pass(1);
        match class {
            Class::Upsert => assert_eq!(next, [read_back(ticket)]),
            Class::Neither(OnUnknown::Park) => assert_eq!(settles_as(&next), Status::InDoubt),
            _ => assert_eq!(intent(&next).attempt, 3),
        }
    }
}

#[test]
fn an_intent_of_this_very_process_waits_too() {
    let mut rig = Rig::new();
    let ticket = rig.admit(P0, 0, new(1, 1, 5, PARK));
    rig.actions();
    let own = Intent { epoch: EPOCH, ..foreign(&rig) };
    assert_eq!(rig.known(ticket, Prior::Intent(own), None), [], "its request may be an orphan in flight");
    assert_eq!(rig.pass(700 + SKEW - 1), []);
}

#[test]
fn a_nonsensical_deadline_is_not_waited_for_for_ever() {
    let mut rig = Rig::new();
    let ticket = rig.admit(P0, 0, new(1, 1, 5, PARK));
    rig.actions();
    let nonsense = Intent { deadline: i64::MAX / 2, ..foreign(&rig) };
    assert_eq!(rig.known(ticket, Prior::Intent(nonsense), None), []);
    assert_eq!(settles_as(&rig.pass(3_600_000)), Status::InDoubt);
}

#[test]
fn a_failed_intent_leaves_an_unknown_attempt_unknown() {
    let mut rig = Rig::new();
    let (ticket, _) = rig.unknown(0, new(1, 1, 1, KEYED));
    assert_eq!(rig.tell(Input::IntentFailed(ticket)), []);
    rig.now = rig.now.plus(10_000);
    assert_eq!(settles_as(&rig.pass(0)), Status::InDoubt, "past half the window by now");
    assert_eq!(rig.core.connections[&TARGET].staged, 0);
}
