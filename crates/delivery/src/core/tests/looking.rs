//! When a look can be believed, what it leads to, and when repeating is given up.

use super::rig::{
    KEYED, KEYED_READABLE, P0, PARK, RESEND, Rig, TIMEOUT, applied, intent, new, read_back, reason,
    settles_as,
};
use crate::{
    Action, Answer, Class, ErrorClass, NewPosting, OnExisting, Prior, ReadBack, Reason, Status, Ticket,
};

fn server_error() -> Answer {
    Answer::Unknown(Reason { status: Some(500), ..reason(ErrorClass::Transient) })
}

/// The target applies so many others.
fn others(rig: &mut Rig, from: i64, count: i64) {
    for at in from..from + count {
        let ticket = rig.sent(at, new(100 + at as u128, 100 + at as u128, 1, PARK));
        rig.answer(ticket, applied());
    }
}

/// Fails until no Intent follows any more; what follows then, and how many times it was sent.
fn fail_for_ever(rig: &mut Rig, ticket: Ticket) -> (Vec<Action>, u32) {
    for sent in 1..100 {
        rig.answer(ticket, server_error());
        let mut next = Vec::new();
        while next.is_empty() {
            next = match rig.core.next_wake() {
                Some(wake) => rig.pass(wake.saturating_sub(rig.now.mono)),
                None => rig.actions(),
            };
        }
        let [Action::WriteIntent(..)] = next[..] else { return (next, sent) };
        rig.intent_durable(ticket);
    }
    panic!("it is sent again for ever");
}

#[test]
fn a_failure_that_a_target_has_stored_under_the_key_is_not_repeated_for_ever() {
    let mut rig = Rig::new();
    let ticket = rig.sent(0, new(1, 1, 1, Class::Keyed { window_ms: u64::MAX, readable: false }));
    rig.answer(ticket, server_error());
    others(&mut rig, 1, 3);
    intent(&rig.pass(TIMEOUT));
    rig.intent_durable(ticket);
    let (end, sent) = fail_for_ever(&mut rig, ticket);
    assert_eq!((settles_as(&end), sent), (Status::InDoubt, 5));
}

#[test]
fn a_stuck_key_is_looked_up_where_the_target_can_be_read() {
    let readable = Class::Keyed { window_ms: u64::MAX, readable: true };
    for (seen, status) in
        [(ReadBack::Matches { document: None }, Status::Committed), (ReadBack::Absent, Status::InDoubt)]
    {
        let mut rig = Rig::new();
        let ticket = rig.sent(0, new(1, 1, 1, readable));
        rig.answer(ticket, server_error());
        others(&mut rig, 1, 3);
        intent(&rig.pass(TIMEOUT));
        rig.intent_durable(ticket);
        let (next, _) = fail_for_ever(&mut rig, ticket);
        assert_eq!(next, [read_back(ticket)]);
        assert_eq!(settles_as(&rig.saw(ticket, seen)), status);
    }
}

#[test]
fn a_failure_that_the_target_calls_stored_is_not_repeated_once() {
    let stored = || Answer::Replayed(reason(ErrorClass::Transient));
    let mut rig = Rig::new();
    let ticket = rig.sent(0, new(1, 1, 1, KEYED));
    assert_eq!(settles_as(&rig.answer(ticket, stored())), Status::InDoubt);
    let ticket = rig.sent(1, NewPosting { lag_ms: 5_000, ..new(2, 2, 1, KEYED_READABLE) });
    assert_eq!(rig.answer(ticket, stored()), []);
    assert_eq!(rig.pass(4_999), []);
    assert_eq!(rig.pass(1), [read_back(ticket)]); // no request is under way, it only has to show
    assert_eq!(settles_as(&rig.saw(ticket, ReadBack::Absent)), Status::InDoubt);
}

#[test]
fn a_target_that_fails_for_everybody_is_only_waited_for() {
    for class in [KEYED, RESEND] {
        let mut rig = Rig::new();
        let ticket = rig.sent(0, new(1, 1, 1, class));
        for _ in 0..8 {
            rig.answer(ticket, server_error());
            let mut next = Vec::new();
            while next.is_empty() {
                let wake = rig.core.next_wake().unwrap();
                rig.now.wall -= 1; // keeps the key young, whatever the backoff
                next = rig.pass(wake.saturating_sub(rig.now.mono));
            }
            let [Action::WriteIntent(..)] = next[..] else {
                assert!(class == KEYED, "{next:?}"); // its window is over at last
                return;
            };
            rig.intent_durable(ticket);
        }
    }
}

#[test]
fn a_look_waits_until_a_write_must_show() {
    let mut rig = Rig::new();
    let slow = NewPosting { lag_ms: 5_000, ..new(1, 1, 1, Class::Upsert) };
    let ticket = rig.sent(0, slow);
    rig.answer(ticket, server_error());
    assert_eq!(rig.pass(TIMEOUT + 4_999), []);
    assert_eq!(rig.pass(1), [read_back(ticket)]);
}

#[test]
fn a_look_after_a_foreign_intent_waits_too() {
    let mut rig = Rig::new();
    let ticket = rig.admit(P0, 0, NewPosting { lag_ms: 5_000, ..new(1, 1, 1, Class::Upsert) });
    rig.actions();
    let deadline = rig.now.wall + 700;
    let prior = crate::Intent { attempt: 1, epoch: 1, first_attempt_at: 0, deadline, request_hash: 1 };
    assert_eq!(rig.known(ticket, Prior::Intent(prior), None), []);
    assert_eq!(rig.pass(750 + 4_999), []);
    assert_eq!(rig.pass(1), [read_back(ticket)]);
}

#[test]
fn a_document_that_says_something_else_is_treated_as_the_route_says() {
    let differs = || ReadBack::Differs { document: None };
    for (on_existing, status) in
        [(OnExisting::Verify, Status::InDoubt), (OnExisting::Skip, Status::Committed)]
    {
        for class in [Class::Upsert, KEYED_READABLE] {
            let mut rig = Rig::new();
            let ticket = rig.sent(0, NewPosting { on_existing, ..new(1, 1, 1, class) });
            rig.now = rig.now.plus(10_000);
            rig.answer(ticket, server_error());
            assert_eq!(rig.pass(TIMEOUT), [read_back(ticket)]);
            assert_eq!(settles_as(&rig.saw(ticket, differs())), status, "{class:?}");
        }
    }
    let mut rig = Rig::new();
    let ticket = rig.sent(0, new(1, 1, 1, Class::Upsert));
    rig.answer(ticket, server_error());
    assert_eq!(rig.pass(TIMEOUT), [read_back(ticket)]);
    intent(&rig.saw(ticket, differs()));
}
