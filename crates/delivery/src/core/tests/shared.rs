//! Attempts under the Intent of a range.

use super::rig::{
    EPOCH, KEYED, KEYED_READABLE, P0, PARK, Rig, SKEW, TARGET, TIMEOUT, WINDOW, again, applied, intent, new,
    read_back, reason, refused, settles_as,
};
use crate::{
    Action, Answer, Class, ConnectionLimits, Core, CoreOptions, ErrorClass, Input, Intents, NewPosting,
    Prior, ReadBack, Scope, Status, Ticket,
};

/// A core that shares Intents, whose earlier owner left a range up to `inherited`.
pub(super) fn sharing(inherited: i64) -> Rig {
    let mut rig = Rig::new();
    let intents = Intents::Shared { upsert_ms: TIMEOUT };
    rig.core = Core::new(CoreOptions {
        epoch: EPOCH,
        window: WINDOW,
        clock_skew_ms: SKEW,
        intents,
        in_flight: usize::MAX,
        horizon_ms: u64::MAX,
    });
    rig.core.connect(TARGET, ConnectionLimits { concurrency: 4, timeout_ms: TIMEOUT });
    rig.core.assign(P0, 0);
    rig.core.inherit(P0, inherited);
    rig.core.renew_lease(P0, u64::MAX, rig.now);
    rig
}

pub(super) fn begin(rig: &mut Rig, offset: i64, new: NewPosting) -> (Ticket, Vec<Action>) {
    let ticket = rig.admit(P0, offset, new);
    assert_eq!(rig.actions(), [Action::Consult(ticket)]);
    let actions = rig.known(ticket, Prior::None, None);
    (ticket, actions)
}

pub(super) fn send(ticket: Ticket, attempt: u32) -> Action {
    Action::Send { ticket, attempt, timeout_ms: TIMEOUT }
}

#[test]
fn nothing_is_sent_before_the_range_is_durable_and_then_no_intent_is_written() {
    for class in [KEYED, Class::Upsert] {
        let mut rig = sharing(0);
        let (first, actions) = begin(&mut rig, 0, new(1, 1, 1, class));
        let until = 2 * WINDOW as i64 + 1;
        assert_eq!(actions, [Action::WriteRange { partition: P0, until }]);
        let (second, actions) = begin(&mut rig, 1, new(2, 2, 1, class));
        assert_eq!(actions, []);
        let durable = Input::RangeDurable { partition: P0, until };
        assert_eq!(rig.tell(durable), [send(first, 1), send(second, 1)]);
        assert_eq!(settles_as(&rig.answer(first, applied())), Status::Committed);
    }
}

#[test]
fn a_range_that_cannot_be_written_is_asked_for_again() {
    let mut rig = sharing(0);
    begin(&mut rig, 0, new(1, 1, 1, KEYED));
    assert_eq!(rig.tell(Input::RangeFailed(P0)), []);
    assert!(matches!(rig.pass(TIMEOUT)[..], [Action::WriteRange { .. }]));
}

#[test]
fn class_n_and_long_requests_at_u_and_old_keys_have_intents_of_their_own() {
    let mut rig = sharing(0);
    let (_, actions) = begin(&mut rig, 0, new(1, 1, 1, PARK));
    intent(&actions);
    let old = NewPosting { accepted_at: rig.now.wall - 10_000, ..new(2, 2, 1, KEYED) };
    let (_, actions) = begin(&mut rig, 1, old);
    intent(&actions);
    rig.core.connect(TARGET, ConnectionLimits { concurrency: 4, timeout_ms: TIMEOUT + 1 });
    let (_, actions) = begin(&mut rig, 2, new(3, 3, 1, Class::Upsert));
    intent(&actions);
}

#[test]
fn a_ledger_that_fails_lets_nothing_out() {
    let mut rig = sharing(0);
    rig.core.ledger_fails(true);
    let (ticket, actions) = begin(&mut rig, 0, new(1, 1, 1, KEYED));
    intent(&actions);
    assert_eq!(rig.tell(Input::IntentFailed(ticket)), []);
    rig.core.ledger_fails(false);
    assert!(matches!(rig.pass(TIMEOUT)[..], [Action::WriteRange { .. }]));
}

#[test]
fn what_an_earlier_owner_may_have_sent_is_resolved_by_class() {
    let mut rig = sharing(4);
    let (upsert, actions) = begin(&mut rig, 0, new(1, 1, 1, Class::Upsert));
    assert_eq!(actions, [read_back(upsert)]);
    assert_eq!(settles_as(&rig.saw(upsert, ReadBack::Matches { document: None })), Status::Committed);
    let (_, actions) = begin(&mut rig, 1, new(2, 2, 1, KEYED));
    assert!(
        matches!(actions[..], [Action::WriteRange { .. }]),
        "a key makes the repeat harmless: {actions:?}"
    );
    let old = |event, class| NewPosting { accepted_at: 0, ..new(event, event, 1, class) };
    let (readable, actions) = begin(&mut rig, 2, old(3, KEYED_READABLE));
    assert_eq!(actions, [read_back(readable)]);
    let (_, actions) = begin(&mut rig, 3, old(4, KEYED));
    assert_eq!(settles_as(&actions), Status::InDoubt);
    let (_, actions) = begin(&mut rig, 4, old(5, KEYED));
    intent(&actions); // beyond the range: never sent
}

/// Found by the exhaustive model: the range took so long that the key grew old, and then the Intent could not be written.
#[test]
fn an_intent_that_fails_does_not_make_an_earlier_owner_s_attempt_young() {
    let mut rig = sharing(1);
    let aging = NewPosting { accepted_at: rig.now.wall - 9_900, ..new(1, 1, 1, KEYED) };
    let (ticket, actions) = begin(&mut rig, 0, aging);
    let [Action::WriteRange { until, .. }] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(rig.pass(200), []);
    intent(&rig.tell(Input::RangeDurable { partition: P0, until }));
    assert_eq!(rig.tell(Input::IntentFailed(ticket)), []);
    assert_eq!(settles_as(&rig.pass(TIMEOUT)), Status::InDoubt, "the key is no longer to be trusted");
}

#[test]
fn a_refusal_of_what_an_earlier_owner_may_have_sent_does_not_end_it_at_u() {
    let mut rig = sharing(1);
    let (ticket, _) = begin(&mut rig, 0, new(1, 1, 1, Class::Upsert));
    let actions = rig.saw(ticket, ReadBack::Absent);
    let [Action::WriteRange { until, .. }] = actions[..] else { panic!("{actions:?}") };
    let sent = rig.tell(Input::RangeDurable { partition: P0, until });
    assert_eq!(sent, [send(ticket, 1)]);
    assert!(matches!(rig.answer(ticket, refused())[..], [Action::DeadLetter(..)]), "the look showed nothing");
}

#[test]
fn a_request_at_u_waits_for_a_lease_that_outlives_it() {
    let mut rig = sharing(0);
    rig.core.assign(P0, 0);
    rig.core.renew_lease(P0, rig.now.mono + TIMEOUT - 1, rig.now);
    let (_, actions) = begin(&mut rig, 0, new(2, 2, 1, Class::Upsert));
    let [Action::WriteRange { until, .. }] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(rig.tell(Input::RangeDurable { partition: P0, until }), []);
    rig.core.renew_lease(P0, rig.now.mono + TIMEOUT, rig.now);
    assert!(matches!(rig.actions()[..], [Action::Send { .. }]));
}

#[test]
fn a_drain_lets_nothing_more_out_and_does_not_wait_for_it() {
    let mut rig = sharing(0);
    let (ticket, actions) = begin(&mut rig, 0, new(1, 1, 1, KEYED));
    let [Action::WriteRange { until, .. }] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(rig.tell(Input::RangeDurable { partition: P0, until }), [send(ticket, 1)]);
    rig.answer(ticket, again(Scope::Connection, Some(100)));
    let (_, actions) = begin(&mut rig, 1, new(2, 2, 1, KEYED));
    assert_eq!(actions, [], "the connection is blocked");
    rig.core.drain(P0, u64::MAX);
    assert_eq!(rig.core.unsettled(P0), 0);
    assert_eq!(rig.pass(1_000), []);
}

/// The next owner knows no deadline: it would look at once, find nothing, and send what the target is still at.
#[test]
fn a_drain_outlasts_a_request_at_u_that_was_not_answered() {
    for (class, waited_for) in [(Class::Upsert, 1), (KEYED, 0)] {
        let mut rig = sharing(0);
        let (ticket, actions) = begin(&mut rig, 0, new(1, 1, 1, class));
        let [Action::WriteRange { until, .. }] = actions[..] else { panic!("{actions:?}") };
        assert_eq!(rig.tell(Input::RangeDurable { partition: P0, until }), [send(ticket, 1)]);
        assert_eq!(rig.answer(ticket, Answer::Unknown(reason(ErrorClass::Transient))), []);
        rig.core.drain(P0, u64::MAX);
        assert_eq!(rig.core.unsettled(P0), waited_for, "{class:?}");
        assert_eq!(rig.pass(TIMEOUT), [], "nothing more goes out in a drain");
        assert_eq!(rig.core.unsettled(P0), 0, "{class:?}");
    }
}
