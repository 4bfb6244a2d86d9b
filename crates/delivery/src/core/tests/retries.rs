//! What an attempt after the first one may share (docs/adr/0014): the range, as long as its terms hold, and no longer.

use std::sync::Arc;

use super::{
    rig::{
        KEYED, KEYED_READABLE, P0, Rig, SOON, TARGET, TIMEOUT, again, applied, intent, new, read_back,
        reason, settles_as,
    },
    shared::{begin, send, sharing},
};
use crate::{
    Action, Answer, Class, ConnectionLimits, Decision, ErrorClass, Input, NewPosting, Outcome, Prior,
    ReadBack, ResolvedBy, Scope, Status, Ticket,
};

/// Half the window of the rig's keys.
const HALF_WINDOW: u64 = 10_000;

/// A posting whose first request left under the range.
fn sent(class: Class) -> (Rig, Ticket) {
    let mut rig = sharing(0);
    let (ticket, actions) = begin(&mut rig, 0, new(1, 1, 1, class));
    let [Action::WriteRange { until, .. }] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(rig.tell(Input::RangeDurable { partition: P0, until }), [send(ticket, 1)]);
    (rig, ticket)
}

fn unknown() -> Answer {
    Answer::Unknown(reason(ErrorClass::Transient))
}

fn not_applied(after_ms: Option<u64>) -> Answer {
    again(Scope::Lane, after_ms)
}

#[test]
fn a_young_key_is_repeated_under_the_range() {
    for answer in [unknown(), not_applied(None)] {
        let (mut rig, ticket) = sent(KEYED);
        assert_eq!(rig.answer(ticket, answer), []);
        assert_eq!(rig.pass(SOON), [send(ticket, 2)]);
    }
}

#[test]
fn an_old_key_that_was_not_applied_has_an_intent_of_its_own() {
    let (mut rig, ticket) = sent(KEYED);
    assert_eq!(rig.answer(ticket, not_applied(Some(HALF_WINDOW))), []);
    let own = intent(&rig.pass(HALF_WINDOW));
    assert_eq!((own.attempt, own.request_hash), (2, 1));
    assert_eq!(rig.intent_durable(ticket), [send(ticket, 2)], "only now");
}

#[test]
fn an_old_key_of_which_nothing_is_known_is_not_repeated_at_all() {
    let (mut rig, ticket) = sent(KEYED);
    rig.now = rig.now.plus(HALF_WINDOW);
    rig.answer(ticket, unknown());
    assert_eq!(settles_as(&rig.pass(TIMEOUT)), Status::InDoubt);

    let (mut rig, ticket) = sent(KEYED_READABLE);
    rig.now = rig.now.plus(HALF_WINDOW);
    rig.answer(ticket, unknown());
    assert_eq!(rig.pass(TIMEOUT), [read_back(ticket)]);
    intent(&rig.saw(ticket, ReadBack::Absent));
}

/// In line for a slot, the terms may run out as well.
#[test]
fn a_key_that_grew_old_in_line_has_an_intent_of_its_own() {
    for first in [None, Some(not_applied(None))] {
        let mut rig = sharing(0);
        rig.core.connect(TARGET, ConnectionLimits { concurrency: 1, timeout_ms: TIMEOUT });
        let (ticket, actions) = begin(&mut rig, 0, new(1, 1, 1, KEYED));
        let [Action::WriteRange { until, .. }] = actions[..] else { panic!("{actions:?}") };
        let repeats = first.is_some();
        if let Some(answer) = first {
            assert_eq!(rig.tell(Input::RangeDurable { partition: P0, until }), [send(ticket, 1)]);
            rig.answer(ticket, answer);
        }
        // Somebody else has the only slot, and keeps it.
        let (other, actions) = begin(&mut rig, 1, new(2, 2, 1, KEYED));
        if repeats {
            assert_eq!(actions, [send(other, 1)]);
            assert_eq!(rig.pass(SOON), [], "in line");
        } else {
            assert_eq!(rig.tell(Input::RangeDurable { partition: P0, until }), [send(ticket, 1)]);
        }
        let (busy, waits) = if repeats { (other, ticket) } else { (ticket, other) };
        rig.now = rig.now.plus(HALF_WINDOW);
        let mut actions = rig.answer(busy, applied());
        actions.extend(rig.pass(1));
        let sends = actions.iter().filter(|action| matches!(action, Action::Send { .. })).count();
        assert_eq!(sends, 0, "beyond its terms: {actions:?}");
        let own = actions.iter().find_map(|action| match action {
            Action::WriteIntent(of, intent) if *of == waits => Some(intent.attempt),
            _ => None,
        });
        assert_eq!(own, Some(1 + u32::from(repeats)), "{actions:?}");
    }
}

#[test]
fn at_u_a_repeat_is_looked_up_first_and_stays_under_the_range_while_it_fits_the_lease() {
    let (mut rig, ticket) = sent(Class::Upsert);
    assert_eq!(rig.answer(ticket, unknown()), []);
    assert_eq!(rig.pass(TIMEOUT - 1), [], "the target may still be at it");
    assert_eq!(rig.pass(1), [read_back(ticket)]);
    assert_eq!(rig.saw(ticket, ReadBack::Absent), [send(ticket, 2)]);

    let (mut rig, ticket) = sent(Class::Upsert);
    rig.answer(ticket, not_applied(None));
    rig.core.connect(TARGET, ConnectionLimits { concurrency: 4, timeout_ms: TIMEOUT + 1 });
    assert_eq!(intent(&rig.pass(SOON)).attempt, 2, "the request has grown longer than a drain waits");
}

#[test]
fn a_ledger_that_fails_meanwhile_keeps_a_repeat_back() {
    let (mut rig, ticket) = sent(KEYED);
    rig.answer(ticket, not_applied(None));
    rig.core.ledger_fails(true);
    intent(&rig.pass(SOON));
    assert_eq!(rig.tell(Input::IntentFailed(ticket)), []);
}

/// What an operator has tried again must not be tried once more by whoever takes over.
#[test]
fn a_retry_that_an_operator_asked_for_never_shares_its_intent() {
    for class in [KEYED, Class::Upsert] {
        let mut rig = sharing(0);
        let (_, actions) = begin(&mut rig, 0, new(1, 1, 1, class));
        let [Action::WriteRange { until, .. }] = actions[..] else { panic!("{actions:?}") };
        rig.tell(Input::RangeDurable { partition: P0, until });
        let retried = NewPosting { accepted_at: rig.now.wall, ..new(2, 2, 1, class) };
        let ticket = rig.admit(P0, 1, retried);
        rig.actions();
        let prior = Prior::Decided(in_doubt(rig.now.wall), Decision::Retry, reason(ErrorClass::Transient));
        let own = intent(&rig.known(ticket, prior, None));
        assert_eq!(own.attempt, 4, "{class:?}: the range covers it, and must not be used");
        assert_eq!(rig.intent_durable(ticket), [send(ticket, 4)]);
        rig.answer(ticket, not_applied(None));
        assert_eq!(intent(&rig.pass(SOON)).attempt, 5, "{class:?}: nor after that");
    }
}

/// What the ledger says of a posting that was given up after three attempts.
fn in_doubt(at: i64) -> Outcome {
    Outcome {
        status: Status::InDoubt,
        document: None,
        attempts: 3,
        first_attempt_at: Some(at),
        settled_at: at,
        reason: Some(crate::Reason { message: Arc::from("given up"), ..reason(ErrorClass::Transient) }),
        resolved_by: ResolvedBy::Answer,
        source_version: 1,
        request_hash: 2,
    }
}
