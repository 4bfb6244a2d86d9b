//! Leases, drain and revoke.

use super::rig::{
    EPOCH, KEYED, P0, P1, PARK, Rig, SKEW, TARGET, TIMEOUT, WINDOW, again, applied, done, new, read_back,
    settles_as, store,
};
use crate::{
    Action, Class, ConnectionLimits, Core, CoreOptions, Gauges, Input, Intents, Prior, ReadBack, Scope,
    Status, Ticket,
};

fn unleased() -> Rig {
    let mut rig = Rig::new();
    rig.core = Core::new(CoreOptions {
        epoch: EPOCH,
        window: WINDOW,
        clock_skew_ms: SKEW,
        intents: Intents::Each,
        in_flight: usize::MAX,
        horizon_ms: u64::MAX,
    });
    rig.core.connect(TARGET, ConnectionLimits { concurrency: 4, timeout_ms: TIMEOUT });
    rig.core.assign(P0, 0);
    rig
}

fn send(ticket: Ticket, attempt: u32) -> Action {
    Action::Send { ticket, attempt, timeout_ms: TIMEOUT }
}

fn renew(rig: &mut Rig, ms: u64) -> Vec<Action> {
    rig.core.renew_lease(P0, rig.now.mono + ms, rig.now);
    rig.actions()
}

#[test]
fn nothing_is_intended_or_sent_without_a_lease() {
    let mut rig = unleased();
    let ticket = rig.admit(P0, 0, new(1, 1, 1, PARK));
    rig.actions();
    assert_eq!(rig.known(ticket, Prior::None, None), [], "an Intent that is never sent is one more to park");
    assert_eq!(rig.pass(60_000), []);
    let next = renew(&mut rig, 5_000);
    assert!(matches!(next[..], [Action::WriteIntent(..)]), "{next:?}");
    assert_eq!(rig.intent_durable(ticket), [send(ticket, 1)]);
}

#[test]
fn a_lease_that_ends_before_the_request_leaves_holds_it_back() {
    let mut rig = unleased();
    renew(&mut rig, 100);
    let ticket = rig.admit(P0, 0, new(1, 1, 1, PARK));
    rig.known(ticket, Prior::None, None);
    rig.actions();
    rig.pass(100);
    assert_eq!(rig.intent_durable(ticket), []);
    assert_eq!(renew(&mut rig, 5_000), [send(ticket, 1)], "its Intent still stands");
    assert_eq!(rig.core.connections[&TARGET].staged, 0);
}

#[test]
fn looking_needs_the_lease_as_well() {
    let mut rig = unleased();
    renew(&mut rig, 50);
    let ticket = rig.sent(0, new(1, 1, 1, Class::Upsert));
    rig.answer(ticket, crate::Answer::Unknown(super::rig::reason(crate::ErrorClass::Transient)));
    assert_eq!(rig.pass(TIMEOUT), []);
    assert_eq!(renew(&mut rig, 5_000), [read_back(ticket)]);
}

#[test]
fn a_renewal_never_shortens_the_lease() {
    let mut rig = unleased();
    renew(&mut rig, 5_000);
    renew(&mut rig, 1);
    rig.now = rig.now.plus(4_999);
    rig.sent(0, new(1, 1, 1, PARK)); // asserts that it is sent
}

#[test]
fn draining_begins_nothing_and_lets_what_has_its_intent_end() {
    let mut rig = Rig::new();
    let flying = rig.sent(0, new(1, 1, 1, PARK));
    let intended = rig.admit(P0, 1, new(2, 2, 1, PARK));
    rig.known(intended, Prior::None, None);
    let looked_up = rig.admit(P0, 2, new(3, 3, 1, PARK));
    rig.actions();
    rig.core.drain(P0, u64::MAX);
    assert_eq!(rig.known(looked_up, Prior::None, None), [], "no Intent for what will not be sent");
    assert_eq!(rig.core.unsettled(P0), 2);
    assert_eq!(
        rig.intent_durable(intended),
        [send(intended, 1)],
        "else the next owner would have to park it"
    );
    rig.answer(flying, applied());
    assert_eq!(rig.core.unsettled(P0), 2, "its outcome is being written");
    assert_eq!(rig.tell(Input::OutcomeDurable(flying)), [done(flying), store(P0, 1)]);
    rig.answer(intended, applied());
    assert_eq!(rig.tell(Input::OutcomeDurable(intended)), [done(intended), store(P0, 2)]);
    assert_eq!(rig.core.unsettled(P0), 0);
    let now = rig.now;
    rig.core.renew_lease(P0, u64::MAX, now);
    assert_eq!(rig.actions(), [], "a renewal does not end a drain");
    rig.core.revoke(P0, now);
    rig.no_gauges_left();
    assert_eq!(rig.core.connections[&TARGET].staged, 0);
}

#[test]
fn draining_without_a_lease_sends_nothing() {
    let mut rig = unleased();
    renew(&mut rig, 50);
    let intended = rig.admit(P0, 0, new(1, 1, 1, PARK));
    rig.known(intended, Prior::None, None);
    rig.actions();
    rig.core.drain(P0, u64::MAX);
    rig.pass(100);
    assert_eq!(rig.intent_durable(intended), []);
    assert_eq!(rig.core.unsettled(P0), 0, "it is the next owner's to resolve");
}

#[test]
fn draining_one_partition_leaves_the_others_alone() {
    let mut rig = Rig::new();
    rig.core.drain(P0, u64::MAX);
    let other = rig.admit(P1, 0, new(1, 1, 1, PARK));
    rig.known(other, Prior::None, None);
    assert_eq!(rig.intent_durable(other), [send(other, 1)]);
}

#[test]
fn an_orphan_keeps_its_slot_until_it_is_answered() {
    let mut rig = Rig::with_concurrency(1);
    let orphan = rig.sent(0, new(1, 1, 1, KEYED));
    let waiting = rig.admit(P1, 0, new(2, 2, 1, KEYED));
    rig.known(waiting, Prior::None, None);
    assert_eq!(rig.intent_durable(waiting), []);
    let now = rig.now;
    rig.core.revoke(P0, now);
    assert_eq!(rig.actions(), []);
    assert_eq!(rig.core.gauges(), Gauges { postings: 1, lanes: 1, in_flight: 1, ..Gauges::default() });
    assert_eq!(
        rig.answer(orphan, applied()),
        [send(waiting, 1)],
        "no outcome: it is the next owner's posting"
    );
    assert_eq!(rig.answer(orphan, applied()), [], "told twice, counted once");
    assert_eq!(rig.core.gauges().in_flight, 1);
}

#[test]
fn an_orphaned_look_gives_its_slot_back_too() {
    let mut rig = Rig::with_concurrency(1);
    let (orphan, next) = rig.unknown(0, new(1, 1, 1, Class::Upsert));
    assert_eq!(next, [read_back(orphan)]);
    let now = rig.now;
    rig.core.revoke(P0, now);
    assert_eq!(rig.core.gauges().in_flight, 1);
    assert_eq!(rig.saw(orphan, ReadBack::Absent), []);
    rig.no_gauges_left();
}

#[test]
fn facts_about_a_revoked_partition_change_nothing() {
    let mut rig = Rig::new();
    let looking = rig.admit(P0, 0, new(1, 1, 1, KEYED));
    let intending = rig.admit(P0, 1, new(2, 2, 1, KEYED));
    rig.known(intending, Prior::None, None);
    let settling = rig.sent(2, new(3, 3, 1, KEYED));
    rig.answer(settling, applied());
    let refused = rig.sent(3, new(4, 4, 1, KEYED));
    rig.answer(refused, super::rig::refused());
    let waiting = rig.sent(4, new(5, 5, 1, KEYED));
    rig.answer(waiting, again(Scope::Lane, None));
    let now = rig.now;
    rig.core.revoke(P0, now);
    rig.actions();
    rig.no_gauges_left();
    // The slots are in use again, so that only the serial tells a stale fact from a fresh one.
    rig.core.assign(P0, 0);
    rig.core.renew_lease(P0, u64::MAX, now);
    for at in 0..5 {
        rig.admit(P0, at, new(10 + at as u128, 10 + at as u128, 1, KEYED));
    }
    assert_eq!(rig.actions().len(), 5);
    for late in [
        Input::Known { ticket: looking, prior: Prior::None, last_version: None },
        Input::IntentDurable(intending),
        Input::IntentFailed(intending),
        Input::OutcomeDurable(settling),
        Input::DeadLettered(refused),
        Input::Answered(waiting, applied()),
    ] {
        assert_eq!(rig.tell(late), []);
    }
    assert_eq!(rig.pass(60_000), []);
    assert_eq!(rig.core.connections[&TARGET].staged, 0);
    assert_eq!(rig.core.gauges(), Gauges { postings: 5, lanes: 5, in_flight: 0, ..Gauges::default() });
}

#[test]
fn a_partition_that_comes_back_starts_where_it_is_told() {
    let mut rig = Rig::new();
    rig.admit(P0, 0, new(1, 1, 1, PARK));
    let now = rig.now;
    rig.core.revoke(P0, now);
    rig.core.assign(P0, 0);
    rig.core.renew_lease(P0, u64::MAX, now);
    rig.actions();
    let again = rig.admit(P0, 0, new(1, 1, 1, PARK));
    assert_eq!(rig.actions(), [Action::Consult(again)]);
}

#[test]
fn an_outcome_without_a_lease_waits_for_it_and_goes_with_the_partition() {
    for comes_back in [true, false] {
        let mut rig = unleased();
        renew(&mut rig, 100);
        let ticket = rig.admit(P0, 0, new(1, 1, 1, PARK));
        rig.known(ticket, Prior::None, None);
        assert_eq!(rig.intent_durable(ticket).last(), Some(&send(ticket, 1)));
        rig.pass(100);
        assert_eq!(rig.answer(ticket, applied()), [], "somebody else may have parked it by now");
        if comes_back {
            assert_eq!(settles_as(&renew(&mut rig, 100)), Status::Committed);
        } else {
            rig.core.drain(P0, u64::MAX);
            rig.core.revoke(P0, rig.now);
            assert_eq!(rig.actions(), []);
            rig.no_gauges_left();
        }
    }
}

#[test]
fn an_outcome_in_a_drain_is_written_for_nobody_else_has_begun() {
    let mut rig = unleased();
    renew(&mut rig, 100);
    let ticket = rig.admit(P0, 0, new(1, 1, 1, PARK));
    rig.known(ticket, Prior::None, None);
    rig.intent_durable(ticket);
    rig.core.drain(P0, u64::MAX);
    rig.pass(100);
    assert_eq!(settles_as(&rig.answer(ticket, applied())), Status::Committed);
}

#[test]
fn a_process_that_sleeps_through_its_drain_writes_no_outcome() {
    let mut rig = unleased();
    renew(&mut rig, 100);
    let ticket = rig.admit(P0, 0, new(1, 1, 1, PARK));
    rig.known(ticket, Prior::None, None);
    rig.intent_durable(ticket);
    rig.core.drain(P0, rig.now.mono + 150);
    rig.pass(149);
    assert!(rig.core.holds(P0, rig.now), "the lease is over, the drain is not");
    rig.pass(1);
    assert!(!rig.core.holds(P0, rig.now));
    assert_eq!(rig.answer(ticket, applied()), [], "somebody else may have parked it by now");
    rig.core.revoke(P0, rig.now);
    rig.no_gauges_left();
}
