//! Operations of several requests: a part may be applied, and what is missing follows.

use super::rig::{KEYED, P0, PARK, Rig, SOON, applied, intent, new, read_back, reason, settles_as};
use crate::{
    Action, Answer, Class, ErrorClass, Input, Intents, NewPosting, Prior, ReadBack, Scope, Status, Ticket,
};

fn unfinished(scope: Scope) -> Answer {
    Answer::Unfinished { reason: reason(ErrorClass::LockContention), after_ms: None, scope }
}

fn seen_unfinished(rig: &mut Rig, ticket: Ticket) -> Vec<Action> {
    rig.saw(ticket, ReadBack::Unfinished { document: None })
}

#[test]
fn what_is_unfinished_is_looked_at_without_waiting_for_the_deadline_and_goes_on() {
    let mut rig = Rig::new();
    let ticket = rig.sent(0, new(1, 1, 1, Class::Upsert));
    assert_eq!(rig.answer(ticket, unfinished(Scope::Lane)), []);
    assert_eq!(rig.pass(SOON), [read_back(ticket)], "nothing is under way");
    assert_eq!(intent(&seen_unfinished(&mut rig, ticket)).attempt, 2);
    rig.intent_durable(ticket);
    assert_eq!(settles_as(&rig.answer(ticket, applied())), Status::Committed);
}

#[test]
fn what_is_unfinished_is_resolved_by_its_class() {
    let mut rig = Rig::new();
    let keyed = rig.sent(0, new(1, 1, 1, KEYED));
    rig.answer(keyed, unfinished(Scope::Lane));
    assert_eq!(intent(&rig.pass(SOON)).attempt, 2, "the key makes a repeat harmless");
    let mut rig = Rig::new();
    let neither = rig.sent(0, new(1, 1, 1, PARK));
    rig.answer(neither, unfinished(Scope::Lane));
    assert_eq!(settles_as(&rig.pass(SOON)), Status::InDoubt);
}

#[test]
fn an_unfinished_answer_can_hold_the_connection() {
    let mut rig = Rig::new();
    let ticket = rig.sent(0, new(1, 1, 1, Class::Upsert));
    let held = Answer::Unfinished {
        reason: reason(ErrorClass::Throttled),
        after_ms: Some(5_000),
        scope: Scope::Connection,
    };
    rig.answer(ticket, held);
    let other = rig.admit(P0, 1, new(2, 2, 1, Class::Upsert));
    rig.known(other, Prior::None, None);
    assert_eq!(rig.intent_durable(other), [], "the connection is held");
    assert!(rig.pass(5_000).contains(&read_back(ticket)));
}

#[test]
fn a_refused_rest_is_in_doubt_and_no_dead_letter() {
    let mut rig = Rig::new();
    let ticket = rig.sent(0, new(1, 1, 1, Class::Upsert));
    let end = rig.answer(ticket, Answer::Stuck(reason(ErrorClass::ClosedPeriod)));
    assert_eq!(settles_as(&end), Status::InDoubt);
    let [Action::WriteOutcome(_, outcome)] = &end[..] else { panic!() };
    assert_eq!(outcome.reason.as_ref().map(|r| r.class), Some(ErrorClass::ClosedPeriod));
}

#[test]
fn what_has_begun_is_not_replaced_by_a_newer_version() {
    let mut rig = Rig::new();
    let state = |event, version| NewPosting { conflate: true, ..new(event, 1, version, Class::Upsert) };
    let ticket = rig.sent(0, state(1, 1));
    rig.admit(P0, 1, state(2, 2));
    rig.answer(ticket, unfinished(Scope::Lane));
    rig.pass(SOON);
    assert_eq!(intent(&seen_unfinished(&mut rig, ticket)).attempt, 2, "its effect is there already");
}

#[test]
fn a_posting_that_must_not_be_repeated_blindly_has_intents_of_its_own() {
    let mut rig = Rig::with_intents(Intents::Shared { upsert_ms: 5_000 });
    for (offset, alone) in [(0, false), (1, true)] {
        let ticket = rig.admit(
            P0,
            offset,
            NewPosting { alone, ..new(offset as u128 + 1, offset as u128 + 1, 1, Class::Upsert) },
        );
        let actions = rig.known(ticket, Prior::None, None);
        let own = actions.iter().any(|a| matches!(a, Action::WriteIntent(..)));
        assert_eq!(own, alone, "{actions:?}");
        if let Some(Action::WriteRange { partition, until }) = actions.first() {
            rig.tell(Input::RangeDurable { partition: *partition, until: *until });
        }
    }
}
