//! A route leads elsewhere: what was never sent goes there, what may have been stays.

use event::RouteId;

use super::rig::*;
use crate::{
    Action, Answer, Backlog, Class, ConnectionId, ConnectionLimits, ErrorClass, Input, Intents, NewPosting,
    Prior, Scope, Ticket,
};

const OTHER: ConnectionId = ConnectionId(1);

fn world(intents: Intents) -> Rig {
    let mut rig = Rig::with_intents(intents);
    rig.core.connect(OTHER, ConnectionLimits { concurrency: 4, timeout_ms: TIMEOUT });
    rig
}

/// A version of the one document that these tests are about.
fn version(number: i64) -> NewPosting {
    new(number as u128, 1, number, KEYED)
}

fn elsewhere(posting: NewPosting) -> NewPosting {
    NewPosting { connection: OTHER, ..posting }
}

fn moved(rig: &mut Rig, ticket: Ticket, posting: NewPosting) -> Option<Ticket> {
    rig.core.reroute(ticket, elsewhere(posting), rig.now)
}

fn turned_away() -> Answer {
    Answer::Again { reason: reason(ErrorClass::LockContention), after_ms: None, scope: Scope::Lane }
}

/// The posting at the head of its lane, through to its end.
fn commits(rig: &mut Rig, ticket: Ticket) -> Vec<Action> {
    rig.known(ticket, Prior::None, None);
    let sent = rig.intent_durable(ticket);
    assert_eq!(sent, [Action::Send { ticket, attempt: 1, timeout_ms: TIMEOUT }]);
    rig.answer(ticket, applied());
    rig.tell(Input::OutcomeDurable(ticket))
}

#[test]
fn what_waits_goes_on_by_the_other_connection_in_its_order() {
    let mut rig = world(Intents::Each);
    let first = rig.sent(0, version(1));
    assert_eq!(rig.answer(first, turned_away()), []);
    let second = rig.admit(P0, 1, version(2));
    let first = moved(&mut rig, first, version(1)).unwrap();
    let second = moved(&mut rig, second, version(2)).unwrap();
    let asked = rig.actions();
    assert!(asked.contains(&Action::Consult(first)), "{asked:?}");
    assert!(!asked.contains(&Action::Consult(second)), "it stands behind");
    // Nothing is left where they were, and what was to wake them wakes nobody.
    assert_eq!(rig.pass(100_000), []);
    let done = commits(&mut rig, first);
    assert!(done.contains(&store(P0, 1)) && done.contains(&Action::Consult(second)), "{done:?}");
    assert!(commits(&mut rig, second).contains(&store(P0, 2)));
    rig.no_gauges_left();
}

#[test]
fn what_may_have_been_sent_stays_and_so_does_what_stands_behind_it() {
    let mut rig = world(Intents::Each);
    let (doubtful, _) = rig.unknown(0, version(1));
    let behind = rig.admit(P0, 1, version(2));
    assert_eq!(moved(&mut rig, doubtful, version(1)), None);
    assert_eq!(moved(&mut rig, behind, version(2)), None, "two versions of a document, side by side");
    // In flight, or about to be.
    let flies = rig.sent(2, new(3, 3, 1, KEYED));
    assert_eq!(moved(&mut rig, flies, new(3, 3, 1, KEYED)), None);
    let intends = rig.admit(P0, 3, new(4, 4, 1, KEYED));
    intent(&rig.known(intends, Prior::None, None)[1..]);
    assert_eq!(moved(&mut rig, intends, new(4, 4, 1, KEYED)), None);
    // An Intent of an earlier process.
    let foreign = rig.admit(P0, 4, new(5, 5, 1, KEYED));
    let left = crate::Intent { attempt: 1, epoch: 1, first_attempt_at: 1, deadline: 1, request_hash: 5 };
    rig.known(foreign, Prior::Intent(left), None);
    assert_eq!(moved(&mut rig, foreign, new(5, 5, 1, KEYED)), None);
}

#[test]
fn a_doubtful_one_stays_even_while_it_waits_for_its_next_attempt() {
    let mut rig = world(Intents::Each);
    rig.core.connect(TARGET, ConnectionLimits { concurrency: 1, timeout_ms: TIMEOUT });
    let doubtful = rig.sent(0, version(1));
    rig.answer(doubtful, Answer::Unknown(reason(ErrorClass::Transient)));
    let other = rig.admit(P0, 1, new(2, 2, 1, KEYED));
    rig.known(other, Prior::None, None); // its Intent is being written: there is no room for another one
    assert_eq!(rig.pass(TIMEOUT + SOON), []);
    assert!(
        rig.core
            .postings
            .iter()
            .any(|(_, p)| p.new.key == version(1).key && p.stage == crate::posting::Stage::Staging)
    );
    assert_eq!(moved(&mut rig, doubtful, version(1)), None);
}

#[test]
fn below_the_range_of_an_earlier_owner_anything_may_have_been_sent() {
    let mut rig = world(Intents::Shared { upsert_ms: 0 });
    rig.core.inherit(P0, 1);
    let inherited = rig.admit(P0, 0, version(1));
    assert_eq!(moved(&mut rig, inherited, version(1)), None);
    let later = rig.admit(P0, 1, new(2, 2, 1, KEYED));
    assert!(moved(&mut rig, later, new(2, 2, 1, KEYED)).is_some());
    // One of class N needs an Intent of its own, and has none.
    let alone = rig.admit(P1, 0, new(3, 3, 1, PARK));
    rig.core.inherit(P1, 1);
    assert!(moved(&mut rig, alone, new(3, 3, 1, PARK)).is_some());
}

#[test]
fn under_a_range_even_what_waits_for_a_slot_goes_and_another_one_has_its_place() {
    let mut rig = world(Intents::Shared { upsert_ms: 0 });
    rig.core.connect(TARGET, ConnectionLimits { concurrency: 1, timeout_ms: TIMEOUT });
    let at = |number: i64| new(number as u128, number as u128, 1, KEYED);
    let tickets: Vec<Ticket> = (0..3).map(|number| rig.admit(P0, number, at(number))).collect();
    tickets.iter().for_each(|ticket| drop(rig.known(*ticket, Prior::None, None)));
    let sent = rig.tell(Input::RangeDurable { partition: P0, until: 100 });
    assert_eq!(sent, [Action::Send { ticket: tickets[0], attempt: 1, timeout_ms: TIMEOUT }]);
    assert_eq!(rig.core.connections[&TARGET].staged, 1);
    assert_eq!(moved(&mut rig, tickets[0], at(0)), None, "it is in flight");
    let second = moved(&mut rig, tickets[1], at(1)).unwrap();
    assert_eq!(rig.core.connections[&TARGET].staged, 1, "the third one has its place");
    let gone = rig.known(second, Prior::None, None);
    assert!(gone.contains(&Action::Send { ticket: second, attempt: 1, timeout_ms: TIMEOUT }), "{gone:?}");
    // What held its place in the line is passed over.
    let next = rig.answer(tickets[0], applied());
    assert!(next.contains(&Action::Send { ticket: tickets[2], attempt: 1, timeout_ms: TIMEOUT }), "{next:?}");
}

#[test]
fn the_other_routes_of_its_lane_close_the_gap() {
    let mut rig = world(Intents::Each);
    let on = |route: u64, number: i64| {
        let mut posting = version(number);
        posting.key.route = RouteId(route);
        posting
    };
    let first = rig.admit(P0, 0, on(2, 1));
    let middle = rig.admit(P0, 1, on(1, 2));
    let last = rig.admit(P0, 2, on(2, 3));
    let tail = rig.admit(P0, 3, on(1, 4));
    rig.actions();
    let middle = moved(&mut rig, middle, on(1, 2)).unwrap();
    let tail = moved(&mut rig, tail, on(1, 4)).unwrap();
    assert_eq!(rig.actions(), [Action::Consult(middle)]);
    let behind = rig.admit(P0, 4, on(2, 5));
    assert!(commits(&mut rig, first).contains(&Action::Consult(last)));
    assert!(commits(&mut rig, last).contains(&Action::Consult(behind)));
    assert!(commits(&mut rig, middle).contains(&Action::Consult(tail)));
    commits(&mut rig, tail);
    assert!(commits(&mut rig, behind).contains(&store(P0, 5)));
    rig.no_gauges_left();
}

#[test]
fn a_head_that_moves_lets_the_next_one_start() {
    let mut rig = world(Intents::Each);
    let mut other = version(2);
    other.key.route = RouteId(2);
    let head = rig.admit(P0, 0, version(1));
    let next = rig.admit(P0, 1, other);
    rig.actions();
    let head = moved(&mut rig, head, version(1)).unwrap();
    let asked = rig.actions();
    assert!(asked.contains(&Action::Consult(next)) && asked.contains(&Action::Consult(head)), "{asked:?}");
}

#[test]
fn what_the_target_locks_is_free_for_the_next_one() {
    let mut rig = world(Intents::Each);
    let locks =
        |number: i64| NewPosting { lock: Some(7), ..new(number as u128, number as u128, 1, Class::Upsert) };
    rig.core.connect(TARGET, ConnectionLimits { concurrency: 0, timeout_ms: TIMEOUT });
    let tickets: Vec<Ticket> = (0..3).map(|number| rig.admit(P0, number, locks(number))).collect();
    tickets.iter().for_each(|ticket| drop(rig.known(*ticket, Prior::None, None)));
    let who = |rig: &Rig| {
        let has = rig.core.postings.iter().filter(|(_, p)| p.has_lock && p.new.connection == TARGET);
        has.map(|(_, p)| p.offset).collect::<Vec<i64>>()
    };
    assert_eq!(who(&rig), [0]);
    // One that waits for it leaves the line, and the one that has it passes it on.
    assert!(moved(&mut rig, tickets[1], locks(1)).is_some());
    assert_eq!(who(&rig), [0]);
    assert!(moved(&mut rig, tickets[0], locks(0)).is_some());
    assert_eq!(who(&rig), [2]);
}

#[test]
fn what_is_read_again_for_one_connection_does_not_fill_the_memory_of_the_other() {
    let mut rig = world(Intents::Each);
    let mut tickets = Vec::new();
    let at = |offset: i64| new(offset as u128, offset as u128, 1, KEYED);
    for offset in 0..=WINDOW as i64 {
        rig.core.admit(P0, offset, &[at(offset)], &mut tickets);
    }
    rig.pass(0);
    rig.pass(600); // the window was full for long enough: the connection leaves its records in the log
    assert_eq!(rig.core.gauges().spills, 1);
    for offset in 0..4 {
        rig.core.admit(P0, WINDOW as i64 + 1 + offset, &[at(WINDOW as i64 + 1 + offset)], &mut tickets);
    }
    let waits: Vec<Ticket> = tickets.iter().copied().flatten().collect();
    let went: Vec<bool> = waits
        .iter()
        .enumerate()
        .map(|(offset, ticket)| moved(&mut rig, *ticket, at(offset as i64)).is_some())
        .collect();
    assert_eq!(went.iter().filter(|went| **went).count(), WINDOW, "no more than a window: {went:?}");
}

#[test]
fn a_paused_route_keeps_its_backlog_and_goes_on_elsewhere() {
    let mut rig = world(Intents::Each);
    let ticket = rig.admit(P0, 0, version(1));
    rig.core.pause_route(RouteId(1), TARGET);
    rig.known(ticket, Prior::None, None);
    let ticket = moved(&mut rig, ticket, version(1)).unwrap();
    let backlog = |rig: &Rig| rig.core.postings.iter().next().map(|(_, posting)| posting.backlog);
    assert_eq!(backlog(&rig), Some(Backlog::Route(RouteId(1))));
    rig.actions();
    assert_eq!(rig.known(ticket, Prior::None, None), [], "still paused");
    rig.core.resume_route(RouteId(1), rig.now);
    assert!(rig.actions().iter().any(|a| matches!(a, Action::WriteIntent(t, _) if *t == ticket)));
}
