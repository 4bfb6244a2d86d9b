//! A window that is full: who fills it leaves its records in the log, and takes them up again in order.

use super::rig::{P0, PARK, Rig, TARGET, TIMEOUT, WINDOW, applied, new};
use crate::{Action, Backlog, ConnectionId, ConnectionLimits, Input, NewPosting, Prior, Ticket};

const OTHER: ConnectionId = ConnectionId(1);

fn two() -> Rig {
    let mut rig = Rig::new();
    rig.core.connect(OTHER, ConnectionLimits { concurrency: 4, timeout_ms: TIMEOUT });
    rig
}

fn to(connection: ConnectionId, event: i64) -> NewPosting {
    NewPosting { connection, ..new(event as u128, event as u128, 1, PARK) }
}

fn admit(rig: &mut Rig, offset: i64, new: NewPosting) -> Option<Ticket> {
    let mut tickets = Vec::new();
    assert!(rig.core.admit(P0, offset, &[new], &mut tickets));
    tickets[0]
}

/// Fills the window with postings of one connection, and lets it stay full.
fn full() -> (Rig, Vec<Ticket>) {
    let mut rig = two();
    let stuck: Vec<Ticket> =
        (0..WINDOW as i64).filter_map(|at| admit(&mut rig, at, to(TARGET, at))).collect();
    assert!(rig.actions().contains(&Action::Pause(P0)));
    assert_eq!(rig.pass(1), []);
    assert_eq!(rig.pass(498), []);
    assert_eq!(rig.pass(2), [Action::Resume(P0)]);
    (rig, stuck)
}

fn commit(rig: &mut Rig, ticket: Ticket) -> Vec<Action> {
    rig.known(ticket, Prior::None, None);
    rig.intent_durable(ticket);
    rig.answer(ticket, applied());
    rig.tell(Input::OutcomeDurable(ticket))
}

#[test]
fn a_connection_that_fills_the_window_leaves_its_records_and_others_go_on() {
    let (mut rig, _) = full();
    let before = WINDOW as i64;
    assert_eq!(admit(&mut rig, before, to(TARGET, before)), None);
    let other = admit(&mut rig, before + 1, to(OTHER, before + 1)).unwrap();
    let done = commit(&mut rig, other);
    assert_eq!(
        done,
        [Action::Done { ticket: other, duplicate_of: None }],
        "the prefix is held, the lane is not"
    );
    assert_eq!(rig.core.gauges().spills, 1);
}

#[test]
fn what_was_left_is_read_again_once_there_is_room_and_then_all_is_as_before() {
    let (mut rig, stuck) = full();
    let first = WINDOW as i64;
    for at in first..first + 3 {
        assert_eq!(admit(&mut rig, at, to(TARGET, at)), None);
    }
    let mut asked = Vec::new();
    for ticket in stuck {
        asked.extend(commit(&mut rig, ticket).into_iter().filter(|a| matches!(a, Action::Reread { .. })));
    }
    let fit = WINDOW / 2;
    let reread = |from| Action::Reread {
        partition: P0,
        backlog: Backlog::Connection(TARGET),
        from,
        to: first + 3,
        fit,
    };
    assert_eq!(asked, [reread(first)]);
    // In two goes; what arrives meanwhile is left too, for it must come behind.
    let mut tickets = Vec::new();
    rig.core.readmit(P0, Backlog::Connection(TARGET), first, &[to(TARGET, first)], &mut tickets);
    rig.core.reread(P0, Backlog::Connection(TARGET), first + 1);
    assert_eq!(rig.actions(), [Action::Consult(tickets[0].unwrap()), reread(first + 1)]);
    assert_eq!(admit(&mut rig, first + 3, to(TARGET, first + 3)), None);
    for at in [first + 1, first + 2] {
        rig.core.readmit(P0, Backlog::Connection(TARGET), at, &[to(TARGET, at)], &mut tickets);
    }
    rig.core.reread(P0, Backlog::Connection(TARGET), first + 3);
    rig.actions();
    for ticket in tickets.drain(..).flatten().collect::<Vec<_>>() {
        commit(&mut rig, ticket);
    }
    rig.core.readmit(P0, Backlog::Connection(TARGET), first + 3, &[to(TARGET, first + 3)], &mut tickets);
    rig.core.reread(P0, Backlog::Connection(TARGET), first + 4);
    let last = tickets[0].unwrap();
    let actions = commit(&mut rig, last);
    assert!(actions.contains(&Action::StoreOffset { partition: P0, offset: first + 4 }), "{actions:?}");
    assert!(admit(&mut rig, first + 4, to(TARGET, first + 4)).is_some(), "nothing is left behind it");
    assert_eq!(rig.core.gauges().spills, 0);
}

#[test]
fn a_connection_that_is_alone_leaves_nothing() {
    let mut rig = Rig::new();
    for at in 0..WINDOW as i64 {
        admit(&mut rig, at, to(TARGET, at));
    }
    rig.actions();
    assert_eq!(rig.pass(1), []);
    assert_eq!(rig.pass(10_000), []);
    assert_eq!(rig.core.gauges().spills, 0);
}

#[test]
fn a_window_that_gets_room_in_time_leaves_nothing() {
    let mut rig = two();
    let tickets: Vec<Ticket> =
        (0..WINDOW as i64).filter_map(|at| admit(&mut rig, at, to(TARGET, at))).collect();
    rig.actions();
    rig.pass(1);
    tickets[..WINDOW / 2].iter().for_each(|t| drop(commit(&mut rig, *t)));
    for at in WINDOW as i64..WINDOW as i64 + 4 {
        admit(&mut rig, at, to(TARGET, at));
    }
    rig.actions();
    rig.pass(400);
    rig.pass(200);
    assert_eq!(rig.core.gauges().spills, 0, "it was full twice, each time shortly");
}

#[test]
fn unreadable_records_fill_a_window_too() {
    let mut rig = two();
    for at in 0..WINDOW as i64 {
        assert!(rig.core.hold(P0, at));
    }
    assert_eq!(rig.actions(), [Action::Pause(P0)]);
    (0..WINDOW as i64 / 2).for_each(|at| rig.core.release(P0, at));
    assert!(rig.actions().contains(&Action::Resume(P0)));
}
