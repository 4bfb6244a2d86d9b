//! A route that an operator paused sends nothing new, holds no other route, and goes on in order.

use event::RouteId;

use super::rig::{KEYED, P0, P1, Rig, TARGET, TIMEOUT, WINDOW, applied, new, reason};
use crate::{Action, Answer, Backlog, ErrorClass, Input, NewPosting, Prior, Scope, Ticket};

const ROUTE: RouteId = RouteId(1);

fn on(route: u64, event: i64) -> NewPosting {
    let mut posting = new(event as u128, event as u128, 1, KEYED);
    posting.key.route = RouteId(route);
    posting
}

fn admit(rig: &mut Rig, offset: i64, new: NewPosting) -> Option<Ticket> {
    let mut tickets = Vec::new();
    assert!(rig.core.admit(P0, offset, &[new], &mut tickets));
    tickets[0]
}

#[test]
fn a_paused_route_leaves_its_records_and_another_of_its_connection_goes_on() {
    let mut rig = Rig::new();
    rig.core.pause_route(ROUTE, TARGET);
    assert_eq!(admit(&mut rig, 0, on(1, 0)), None);
    let other = admit(&mut rig, 1, on(2, 1)).unwrap();
    rig.known(other, Prior::None, None);
    assert_eq!(rig.intent_durable(other), [Action::Send { ticket: other, attempt: 1, timeout_ms: TIMEOUT }]);
    rig.answer(other, applied());
    let done = rig.tell(Input::OutcomeDurable(other));
    assert_eq!(done, [Action::Done { ticket: other, duplicate_of: None }], "the prefix is held");

    rig.core.resume_route(ROUTE, rig.now);
    let backlog = Backlog::Route(ROUTE);
    let fit = WINDOW / 2;
    assert_eq!(rig.actions(), [Action::Reread { partition: P0, backlog, from: 0, to: 1, fit }]);
    let mut tickets = Vec::new();
    rig.core.readmit(P0, backlog, 0, &[on(1, 0)], &mut tickets);
    rig.core.reread(P0, backlog, 1);
    let ticket = tickets[0].unwrap();
    rig.known(ticket, Prior::None, None);
    rig.intent_durable(ticket);
    rig.answer(ticket, applied());
    let done = rig.tell(Input::OutcomeDurable(ticket));
    assert!(done.contains(&Action::StoreOffset { partition: P0, offset: 2 }), "{done:?}");
    assert!(admit(&mut rig, 2, on(1, 2)).is_some(), "nothing is left behind it");
}

#[test]
fn what_was_taken_in_waits_and_what_is_in_flight_ends() {
    let mut rig = Rig::new();
    let sent = rig.sent(0, on(1, 0));
    let waits = rig.admit(P0, 1, on(1, 1));
    rig.actions();
    rig.core.pause_route(ROUTE, TARGET);
    assert_eq!(rig.known(waits, Prior::None, None), [], "no Intent, no request");
    assert!(matches!(rig.answer(sent, applied())[..], [Action::WriteOutcome(..)]));
    assert_eq!(rig.pass(100_000), []);
    rig.core.resume_route(ROUTE, rig.now);
    assert!(matches!(rig.actions()[..], [Action::WriteIntent(ticket, _)] if ticket == waits));
}

#[test]
fn a_request_that_was_turned_away_is_not_repeated_but_a_doubtful_one_is_resolved() {
    let mut rig = Rig::new();
    let away = rig.sent(0, on(1, 0));
    let doubtful = rig.sent(1, on(1, 1));
    rig.core.pause_route(ROUTE, TARGET);
    let again =
        Answer::Again { reason: reason(ErrorClass::LockContention), after_ms: None, scope: Scope::Lane };
    rig.answer(away, again);
    rig.answer(doubtful, Answer::Unknown(reason(ErrorClass::Transient)));
    let actions = rig.pass(2_000);
    assert!(matches!(actions[..], [Action::WriteIntent(ticket, _)] if ticket == doubtful), "{actions:?}");
    rig.core.resume_route(ROUTE, rig.now);
    assert!(matches!(rig.actions()[..], [Action::WriteIntent(ticket, _)] if ticket == away));
}

#[test]
fn a_full_window_of_a_paused_route_lets_the_others_in() {
    let mut rig = Rig::new();
    for offset in 0..WINDOW as i64 {
        admit(&mut rig, offset, on(1, offset)).unwrap();
    }
    assert!(rig.core.is_paused(P0));
    rig.core.pause_route(ROUTE, TARGET);
    assert!(!rig.core.is_paused(P0));
    assert!(admit(&mut rig, WINDOW as i64, on(2, 100)).is_some());
}

#[test]
fn a_partition_that_comes_later_leaves_them_too() {
    let mut rig = Rig::new();
    rig.core.pause_route(ROUTE, TARGET);
    rig.core.revoke(P1, rig.now);
    rig.core.assign(P1, 7);
    let mut tickets = Vec::new();
    assert!(rig.core.admit(P1, 7, &[on(1, 7), on(2, 7)], &mut tickets));
    assert!(tickets[0].is_none() && tickets[1].is_some());
}
