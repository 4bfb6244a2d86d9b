//! Concurrency and refusals for now.

use super::rig::{KEYED, P0, P1, PARK, Rig, SOON, TARGET, TIMEOUT, again, applied, intent, new, read_back};
use crate::{
    Action, Answer, Class, ConnectionId, ConnectionLimits, ErrorClass, Input, Limit, NewPosting, Prior,
    ReadBack, Reason, Scope, Status, TenantSlot, Ticket,
};

fn sends(actions: &[Action]) -> Vec<Ticket> {
    let sent = |a: &Action| if let Action::Send { ticket, .. } = a { Some(*ticket) } else { None };
    actions.iter().filter_map(sent).collect()
}

/// `count` lanes whose Intent was asked for and, where it was written, made durable.
fn crowd(rig: &mut Rig, count: i64) -> (Vec<Ticket>, Vec<Ticket>) {
    let tickets: Vec<Ticket> =
        (0..count).map(|at| rig.admit(P0, at, new(at as u128, at as u128, 1, KEYED))).collect();
    rig.actions();
    let mut sent = Vec::new();
    for ticket in &tickets {
        let intended = rig.known(*ticket, Prior::None, None);
        if matches!(intended[..], [Action::WriteIntent(..)]) {
            sent.extend(sends(&rig.intent_durable(*ticket)));
        }
    }
    (tickets, sent)
}

#[test]
fn no_more_requests_than_the_connection_allows() {
    let mut rig = Rig::with_concurrency(2);
    let (tickets, mut sent) = crowd(&mut rig, 6);
    assert_eq!(sent, tickets[..2]);
    while let Some(ticket) = sent.pop() {
        assert!(rig.core.gauges().in_flight <= 2);
        let mut next = rig.answer(ticket, applied());
        while let Some(action) = next.pop() {
            match action {
                Action::WriteIntent(t, _) => next.extend(rig.intent_durable(t)),
                Action::WriteOutcome(t, _) => next.extend(rig.tell(Input::OutcomeDurable(t))),
                Action::Send { ticket, .. } => sent.push(ticket),
                _ => {}
            }
        }
    }
    rig.no_gauges_left();
    assert_eq!(rig.core.connections[&TARGET].staged, 0);
}

#[test]
fn intents_are_written_one_round_ahead_and_no_further() {
    let mut rig = Rig::with_concurrency(2);
    let tickets: Vec<Ticket> =
        (0..6).map(|at| rig.admit(P0, at, new(at as u128, at as u128, 1, PARK))).collect();
    rig.actions();
    let written: usize = tickets.iter().map(|t| rig.known(*t, Prior::None, None).len()).sum();
    assert_eq!(written, 2, "a crash now leaves two postings to resolve, not six");
}

#[test]
fn raised_limits_let_what_waits_go() {
    let mut rig = Rig::with_concurrency(0); // paused by its configuration
    let ticket = rig.admit(P0, 0, new(1, 1, 1, PARK));
    rig.actions();
    assert_eq!(rig.known(ticket, Prior::None, None), []);
    rig.core.connect(TARGET, ConnectionLimits { concurrency: 1, timeout_ms: TIMEOUT });
    assert!(rig.core.next_wake().is_some_and(|wake| wake <= rig.now.mono), "nothing else would wake it");
    intent(&rig.pass(0));
}

#[test]
fn throttling_blocks_the_whole_connection_until_the_time_the_target_named() {
    let mut rig = Rig::new();
    let throttled = rig.sent(0, new(1, 1, 1, KEYED));
    rig.answer(throttled, again(Scope::Connection, Some(5_000)));
    let other = rig.admit(P0, 1, new(2, 2, 1, KEYED));
    rig.known(other, Prior::None, None);
    assert_eq!(rig.intent_durable(other), []);
    assert_eq!(rig.core.next_wake(), Some(rig.now.mono + 5_000));
    assert_eq!(sends(&rig.pass(4_999)), []);
    // The other one has waited so long that its Intent would end before its request: it is renewed first.
    let next = rig.pass(1);
    assert_eq!(sends(&next), []);
    let renewed: Vec<Ticket> =
        next.iter().filter_map(|a| if let Action::WriteIntent(t, _) = a { Some(*t) } else { None }).collect();
    // One goes first, to see whether the target takes any again.
    assert_eq!(renewed.len(), 1);
    let probe = renewed[0];
    assert_eq!(sends(&rig.intent_durable(probe)), [probe]);
    assert_eq!(sends(&rig.intent_durable(throttled)), [], "while the probe is under way");
    assert_eq!(sends(&rig.answer(probe, applied())), [throttled]);
}

#[test]
fn a_target_that_keeps_silent_is_probed_one_request_at_a_time() {
    let mut rig = Rig::with_concurrency(16);
    let silent = || Answer::Unknown(super::rig::reason(crate::ErrorClass::Transient));
    let tickets: Vec<Ticket> = (0..9).map(|at| rig.sent(at, new(at as u128, at as u128, 1, KEYED))).collect();
    tickets[..8].iter().for_each(|t| drop(rig.answer(*t, silent())));
    assert!(rig.core.connections[&TARGET].seems_away());
    let ask = |rig: &mut Rig| {
        let mut probes = Vec::new();
        for action in rig.pass(5_000) {
            if let Action::WriteIntent(ticket, _) = action {
                probes.extend(sends(&rig.intent_durable(ticket)));
            }
        }
        probes
    };
    rig.answer(tickets[8], silent());
    let probes = ask(&mut rig);
    assert_eq!(probes.len(), 1);
    let after = rig.answer(probes[0], applied());
    assert!(!rig.core.connections[&TARGET].seems_away());
    let intended = after.iter().filter(|a| matches!(a, Action::WriteIntent(..))).count();
    assert!(intended > 1, "{after:?}");
}

/// Sixteen lanes stand before failures of their own, which the target has stored, and one comes new.
#[test]
fn failures_that_are_stored_do_not_pass_for_an_absent_target() {
    let mut rig = Rig::with_concurrency(16);
    let keyed = Class::Keyed { window_ms: u64::MAX, readable: false };
    let stored =
        || Answer::Unknown(Reason { status: Some(500), ..super::rig::reason(ErrorClass::Transient) });
    let stuck: Vec<Ticket> = (0..16).map(|at| rig.sent(at, new(at as u128, at as u128, 1, keyed))).collect();
    let mut actions: Vec<Action> = stuck.iter().flat_map(|ticket| rig.answer(*ticket, stored())).collect();
    assert!(rig.core.connections[&TARGET].seems_away());
    for at in 16..20 {
        let ticket = rig.admit(P0, at, new(at as u128, at as u128, 1, keyed));
        rig.actions();
        actions.extend(rig.known(ticket, Prior::None, None));
    }
    let (mut parked, mut committed) = (0, 0);
    let until = rig.now.mono + 180_000;
    while rig.now.mono < until {
        for action in std::mem::take(&mut actions) {
            actions.extend(match action {
                Action::WriteIntent(ticket, _) => rig.intent_durable(ticket),
                Action::Send { ticket, .. } if stuck.contains(&ticket) => rig.answer(ticket, stored()),
                Action::Send { ticket, .. } => rig.answer(ticket, applied()),
                Action::WriteOutcome(ticket, outcome) => {
                    parked += usize::from(outcome.status == Status::InDoubt);
                    committed += usize::from(outcome.status == Status::Committed);
                    rig.tell(Input::OutcomeDurable(ticket))
                }
                _ => vec![],
            });
        }
        if actions.is_empty() {
            let Some(wake) = rig.core.next_wake() else { break };
            actions = rig.pass(wake.saturating_sub(rig.now.mono));
        }
    }
    assert_eq!((committed, parked), (4, 16));
}

#[test]
fn a_shorter_hold_does_not_end_a_longer_one() {
    let mut rig = Rig::new();
    let (one, two) = (rig.sent(0, new(1, 1, 1, KEYED)), rig.sent(1, new(2, 2, 1, KEYED)));
    rig.answer(one, again(Scope::Connection, Some(5_000)));
    rig.answer(two, again(Scope::Connection, Some(100)));
    intent(&rig.pass(100));
    assert_eq!(rig.intent_durable(two), []);
    assert_eq!(sends(&rig.pass(4_899)), []);
}

#[test]
fn a_throttled_look_blocks_the_connection_too() {
    let mut rig = Rig::new();
    let (looking, next) = rig.unknown(0, new(1, 1, 1, Class::Upsert));
    assert_eq!(next, [read_back(looking)]);
    rig.saw(looking, ReadBack::Failed(again(Scope::Connection, Some(500))));
    let other = rig.admit(P0, 1, new(2, 2, 1, KEYED));
    rig.known(other, Prior::None, None);
    assert_eq!(rig.intent_durable(other), []);
    assert_eq!(sends(&rig.pass(499)), []);
    let sent = Action::Send { ticket: other, attempt: 1, timeout_ms: TIMEOUT };
    assert_eq!(rig.pass(1), [sent], "one probe");
    let next = rig.answer(other, applied());
    assert!(next.contains(&read_back(looking)), "{next:?}");
}

#[test]
fn a_refusal_for_the_lane_blocks_no_other() {
    let mut rig = Rig::new();
    let locked = rig.sent(0, new(1, 1, 1, KEYED));
    assert_eq!(rig.answer(locked, again(Scope::Lane, Some(5_000))), []);
    rig.sent(1, new(2, 2, 1, KEYED)); // asserts that it is sent
    assert_eq!(rig.pass(4_999), []);
    let retry = intent(&rig.pass(1));
    assert_eq!(retry.attempt, 2);
}

#[test]
fn a_connection_that_goes_on_refusing_is_asked_less_and_less_often() {
    let mut rig = Rig::with_concurrency(1);
    let ticket = rig.sent(0, new(1, 1, 1, KEYED));
    let mut waits = Vec::new();
    for _ in 0..12 {
        rig.answer(ticket, again(Scope::Connection, None));
        let before = rig.now.mono;
        let mut next = Vec::new();
        while sends(&next).is_empty() {
            let wake = rig.core.next_wake().unwrap();
            next = rig.pass(wake - rig.now.mono);
            if matches!(next[..], [Action::WriteIntent(..)]) {
                next = rig.intent_durable(ticket);
            }
        }
        waits.push(rig.now.mono - before);
    }
    assert!(waits[0] <= 100 && waits.is_sorted_by(|a, b| a / 2 <= *b), "{waits:?}");
    assert!((22_500..=30_000).contains(&waits[11]), "{waits:?}");
    rig.answer(ticket, Answer::Unknown(super::rig::reason(crate::ErrorClass::Transient)));
    assert_eq!(rig.core.connections[&TARGET].refusals, 0);
    rig.pass(SOON);
}

#[test]
fn a_rate_holds_back_and_wakes() {
    let mut rig = Rig::with_concurrency(16);
    rig.core.limit(TARGET, &[Limit::Rate { max: 2, per_ms: 160 }]);
    rig.pass(0);
    let (tickets, sent) = crowd(&mut rig, 3);
    assert_eq!(sent, tickets[..2]);
    let wake = rig.core.next_wake().unwrap();
    assert!((160..=171).contains(&(wake - rig.now.mono)), "{wake}");
    assert_eq!(sends(&rig.pass(wake - rig.now.mono)), tickets[2..]);
}

#[test]
fn an_intent_of_class_n_waits_for_the_rate_too() {
    let mut rig = Rig::with_concurrency(16);
    rig.core.limit(TARGET, &[Limit::Rate { max: 1, per_ms: 160 }]);
    rig.pass(0);
    let one = rig.admit(P0, 0, new(1, 1, 1, PARK));
    let two = rig.admit(P0, 1, new(2, 2, 1, PARK));
    rig.actions();
    intent(&rig.known(one, Prior::None, None));
    assert_eq!(rig.known(two, Prior::None, None), [], "a crash now would park it for nothing");
    rig.intent_durable(one);
    let wake = rig.core.next_wake().unwrap();
    intent(&rig.pass(wake - rig.now.mono));
}

#[test]
fn what_the_target_locks_is_held_until_the_answer_is_in() {
    let mut rig = Rig::with_concurrency(16);
    let locked = |event, lock| NewPosting { lock: Some(lock), ..new(event, event, 1, KEYED) };
    let one = rig.sent(0, locked(1, 7));
    let two = rig.admit(P0, 1, locked(2, 7));
    rig.actions();
    assert_eq!(rig.known(two, Prior::None, None), [], "it waits for the lock");
    rig.sent(2, locked(3, 8));
    let next = rig.answer(one, applied());
    assert!(next.iter().any(|a| matches!(a, Action::WriteIntent(t, _) if *t == two)), "{next:?}");
    assert_eq!(sends(&rig.intent_durable(two)), [two]);
    rig.core.revoke(P0, rig.now);
    let three = rig.admit(P1, 0, locked(4, 7));
    rig.actions();
    assert_eq!(rig.known(three, Prior::None, None), [], "the orphan has the lock");
    intent(&rig.answer(two, applied()));
}

#[test]
fn tenants_take_turns_when_all_requests_are_in_flight() {
    let mut rig = Rig::with_limit(2);
    let other = ConnectionId(1);
    rig.core.connect(other, ConnectionLimits { concurrency: 8, timeout_ms: TIMEOUT });
    rig.core.belongs(TARGET, TenantSlot(0), 1);
    rig.core.belongs(other, TenantSlot(1), 1);
    let mut flood = Vec::new();
    for at in 0..8 {
        let ticket = rig.admit(P0, at, new(at as u128, at as u128, 1, KEYED));
        flood.extend(rig.known(ticket, Prior::None, None));
        flood.extend(rig.intent_durable(ticket));
    }
    let first = sends(&flood);
    assert_eq!(first.len(), 2);
    let late = rig.admit(P1, 0, NewPosting { connection: other, ..new(20, 20, 1, KEYED) });
    rig.known(late, Prior::None, None);
    assert_eq!(sends(&rig.intent_durable(late)), [], "all are in flight");
    let mut order = sends(&rig.answer(first[0], applied()));
    order.extend(sends(&rig.answer(first[1], applied())));
    assert!(order.contains(&late), "it waited for the whole flood: {order:?}");
}
