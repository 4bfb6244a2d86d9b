//! Concurrency and refusals for now.

use super::rig::{KEYED, P0, P1, PARK, Rig, SOON, TARGET, TIMEOUT, again, applied, intent, new, read_back};
use crate::{
    Action, Answer, Class, ConnectionId, ConnectionLimits, ErrorClass, Input, Left, LeftOf, Limit,
    NewPosting, Prior, ReadBack, Reason, Scope, Status, TenantSlot, Ticket,
};

fn sends(actions: &[Action]) -> Vec<Ticket> {
    let sent = |a: &Action| if let Action::Send { ticket, .. } = a { Some(*ticket) } else { None };
    actions.iter().filter_map(sent).collect()
}

/// `count` lanes whose Intent was asked for and, where it was written, made durable.
fn crowd(rig: &mut Rig, count: i64) -> (Vec<Ticket>, Vec<Ticket>) {
    crowd_at(rig, 0, count)
}

/// The same from an offset on.
fn crowd_at(rig: &mut Rig, first: i64, count: i64) -> (Vec<Ticket>, Vec<Ticket>) {
    let tickets: Vec<Ticket> =
        (first..first + count).map(|at| rig.admit(P0, at, new(at as u128, at as u128, 1, KEYED))).collect();
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

fn left(remaining: u64, max: u64) -> Left {
    Left { of: LeftOf::Requests { per_ms: 160_000 }, remaining, max: Some(max), reserve: 0, reset_ms: None }
}

/// It is told by the answer to a request that left when all before it was known.
fn tell(rig: &mut Rig, left: Left) {
    rig.now.mono += 1;
    rig.core.left(TARGET, &left, rig.now.mono, rig.now);
}

fn room_after(rig: &mut Rig, left: Left) -> u64 {
    tell(rig, left);
    rig.core.room(TARGET, rig.now)
}

#[test]
fn what_leaves_besides_is_used_up_as_well() {
    let mut rig = Rig::with_concurrency(16);
    let limits =
        [Limit::Rate { max: 10, per_ms: 1_600 }, Limit::Cost { capacity: 40, per_second: 1, cost: 5 }];
    rig.core.limit(TARGET, &limits);
    assert_eq!(rig.core.room(TARGET, rig.now), 8, "40 points of 5");
    rig.core.spent(TARGET, 3, rig.now);
    assert_eq!(rig.core.room(TARGET, rig.now), 5);
    assert_eq!(room_after(&mut rig, left(4, 100)), 4, "the target says less");
    rig.core.spent(TARGET, 1, rig.now);
    assert_eq!(rig.core.room(TARGET, rig.now), 3);
    rig.core.spent(TARGET, 9, rig.now);
    assert_eq!(rig.core.room(TARGET, rig.now), 0, "more than there was");
}

#[test]
fn of_answers_that_overtook_each_other_the_smaller_number_holds() {
    let mut rig = Rig::with_concurrency(16);
    let began = rig.now.mono + 1;
    assert_eq!(room_after(&mut rig, left(2, 100)), 2);
    rig.now.mono += 1;
    rig.core.left(TARGET, &left(3, 100), began, rig.now);
    assert_eq!(rig.core.room(TARGET, rig.now), 2, "it may have been counted before the other");
    assert_eq!(room_after(&mut rig, left(3, 100)), 3, "this one left after the other had come");
}

#[test]
fn what_is_left_of_the_account_tightens_a_limit_and_never_loosens_it() {
    let mut rig = Rig::new();
    rig.core.limit(TARGET, &[Limit::Rate { max: 100, per_ms: 160_000 }]);
    assert_eq!(room_after(&mut rig, left(40, 100)), 40);
    assert_eq!(room_after(&mut rig, Left { reserve: 10, ..left(40, 100) }), 30, "less what others keep");
    assert_eq!(room_after(&mut rig, left(930, 1_000)), 30, "70 of our 100 are used, by whomever");
    assert_eq!(room_after(&mut rig, left(400, 1_000)), 0, "and 600 are more than there are");
    assert_eq!(room_after(&mut rig, left(1_000, 1_000)), 100, "the newest counts, within the limit");
    rig.core.apportion(TARGET, 1, 4);
    assert_eq!(room_after(&mut rig, left(40, 100)), 25, "what is left is everybody's: our part is less");
    assert_eq!(room_after(&mut rig, left(20, 100)), 20, "and here it is more");
    let other = Left { of: LeftOf::Requests { per_ms: 1_000 }, ..left(7, 1_000) };
    assert_eq!(room_after(&mut rig, Left { max: None, ..other }), 7, "of a limit that nobody has set");
}

#[test]
fn what_leaves_is_taken_from_what_was_told() {
    let mut rig = Rig::with_concurrency(16);
    tell(&mut rig, left(3, 100));
    let (tickets, sent) = crowd(&mut rig, 5);
    assert_eq!(sent, tickets[..3]);
    // Two are under way, and the target may not have counted them.
    assert_eq!(room_after(&mut rig, left(4, 100)), 2);
    assert_eq!(room_after(&mut rig, left(1, 100)), 0);
}

#[test]
fn with_nothing_left_one_looks_after_a_minute_at_the_latest() {
    let mut rig = Rig::with_concurrency(16);
    tell(&mut rig, left(0, 100));
    let (tickets, sent) = crowd(&mut rig, 3);
    assert_eq!(sent, []);
    assert_eq!(sends(&rig.pass(59_999)), []);
    let probes = |rig: &mut Rig, ms| {
        let mut actions = rig.pass(ms);
        let mut sent = sends(&actions);
        // What has waited so long needs its Intent anew.
        while let Some(action) = actions.pop() {
            if let Action::WriteIntent(ticket, _) = action {
                let next = rig.intent_durable(ticket);
                sent.extend(sends(&next));
                actions.extend(next);
            }
        }
        sent
    };
    assert_eq!(probes(&mut rig, 1).len(), 1, "one looks, and the others wait for what it is told");
    assert_eq!(probes(&mut rig, 1), []);
    tell(&mut rig, left(50, 100));
    assert_eq!(probes(&mut rig, 0).len(), tickets.len() - 1);
}

#[test]
fn a_reset_that_was_told_is_waited_for() {
    let mut rig = Rig::new();
    let reset = |ms| Left { reset_ms: Some(ms), ..left(0, 100) };
    for ms in [5_000, 600_000] {
        assert_eq!(room_after(&mut rig, reset(ms)), 0);
        assert_eq!((rig.room_in(ms - 1), rig.room_in(ms)), (0, 1), "{ms}");
    }
    // What was left is no news once the stretch is over.
    assert_eq!(room_after(&mut rig, Left { reset_ms: Some(5_000), ..left(9, 100) }), 9);
    assert_eq!((rig.room_in(4_999), rig.room_in(5_000)), (9, u64::MAX));
}

/// One request leaves, whoever it is, and is answered.
fn one_is_answered(rig: &mut Rig, at: i64) {
    let (tickets, mut sent) = crowd_at(rig, at, 1);
    if sent.is_empty() {
        sent = sends(&rig.pass(0));
    }
    assert_eq!(sent, tickets);
    rig.answer(tickets[0], applied());
    rig.tell(Input::OutcomeDurable(tickets[0]));
}

#[test]
fn a_look_that_brings_no_news_is_followed_by_another_within_a_minute() {
    let mut rig = Rig::new();
    tell(&mut rig, Left { reset_ms: Some(600_000), ..left(0, 100) });
    // Another user of the account has taken what came back: it says so, without a reset.
    rig.now.mono += 600_000;
    let (looking, sent) = crowd(&mut rig, 1);
    assert_eq!(sent, looking);
    assert_eq!((rig.room_in(59_999), rig.room_in(60_000)), (0, 1));
}

#[test]
fn a_target_that_tells_nothing_any_more_is_believed_once_the_stretch_is_over() {
    let mut rig = Rig::with_concurrency(16);
    tell(&mut rig, left(0, 100));
    rig.now.mono += 60_000;
    one_is_answered(&mut rig, 0);
    assert_eq!(rig.core.room(TARGET, rig.now), 0, "the stretch of 160 s is not over");
    rig.now.mono += 100_000;
    assert_eq!(rig.core.room(TARGET, rig.now), 1);
    one_is_answered(&mut rig, 1);
    assert_eq!(rig.core.room(TARGET, rig.now), u64::MAX);
}

#[test]
fn a_connection_that_moves_to_another_account_starts_anew() {
    let mut rig = Rig::with_concurrency(16);
    tell(&mut rig, Left { reset_ms: Some(600_000), ..left(0, 100) });
    rig.core.rest(TARGET, 600_000, rig.now);
    let (tickets, sent) = crowd(&mut rig, 3);
    assert_eq!(sent, []);
    rig.core.moved(TARGET);
    assert_eq!(rig.core.room(TARGET, rig.now), u64::MAX);
    assert_eq!(sends(&rig.pass(0)).len(), tickets.len());
}

#[test]
fn points_that_are_left_come_back_at_our_rate() {
    let mut rig = Rig::new();
    rig.core.limit(TARGET, &[Limit::Cost { capacity: 1_000, per_second: 50, cost: 10 }]);
    let points = |remaining| Left { of: LeftOf::Points { wait_ms: 60_000 }, ..left(remaining, 1_000) };
    assert_eq!(room_after(&mut rig, points(35)), 3);
    assert_eq!((rig.room_in(99), rig.room_in(100), rig.room_in(10_000)), (3, 4, 53));
    assert_eq!(rig.room_in(3_600_000), 100, "no more than the bucket holds");
    let none = room_after(&mut rig, points(0));
    assert_eq!((none, rig.room_in(199), rig.room_in(200)), (0, 0, 1));
}

#[test]
fn a_wait_holds_the_connection_back_whatever_became_of_the_request() {
    let mut rig = Rig::new();
    let one = rig.sent(0, new(1, 1, 1, KEYED));
    rig.core.rest(TARGET, 20_000, rig.now);
    rig.answer(one, Answer::Unknown(super::rig::reason(ErrorClass::Transient)));
    let other = rig.admit(P0, 1, new(2, 2, 1, PARK));
    rig.known(other, Prior::None, None);
    assert_eq!(sends(&rig.intent_durable(other)), []);
    assert!(rig.core.connections[&TARGET].blocked_until == rig.now.mono + 20_000);
}
