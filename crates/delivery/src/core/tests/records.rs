//! Records, windows and offsets.

use super::rig::{P0, PARK, Rig, WINDOW, applied, done, new, store};
use crate::{Action, Input, NewPosting, Ticket};

fn on_route(route: u64, mut posting: NewPosting) -> NewPosting {
    posting.key.route = event::RouteId(route);
    posting.connection = crate::ConnectionId(route as u32);
    posting
}

fn committed(rig: &mut Rig, ticket: Ticket) -> Vec<Action> {
    rig.answer(ticket, applied());
    rig.tell(Input::OutcomeDurable(ticket))
}

#[test]
fn a_record_is_passed_when_all_its_routes_are_settled() {
    let mut rig = Rig::new();
    rig.core.connect(crate::ConnectionId(1), crate::ConnectionLimits { concurrency: 1, timeout_ms: 10 });
    let mut tickets = Vec::new();
    let routes = [on_route(0, new(1, 1, 1, PARK)), on_route(1, new(1, 1, 1, PARK))];
    assert!(rig.core.admit(P0, 0, &routes, &mut tickets));
    let tickets: Vec<_> = tickets.into_iter().flatten().collect();
    let consulted = tickets.iter().map(|t| Action::Consult(*t)).collect::<Vec<_>>();
    assert_eq!(rig.actions(), consulted, "lanes of two connections do not wait for each other");
    for ticket in &tickets {
        rig.known(*ticket, crate::Prior::None, None);
        rig.intent_durable(*ticket);
    }
    assert_eq!(committed(&mut rig, tickets[1]), [done(tickets[1])]);
    assert_eq!(committed(&mut rig, tickets[0]), [done(tickets[0]), store(P0, 1)]);
    rig.no_gauges_left();
}

#[test]
fn a_record_without_routes_is_passed_at_once() {
    let mut rig = Rig::new();
    let mut tickets = Vec::new();
    assert!(rig.core.admit(P0, 4, &[], &mut tickets));
    assert_eq!(rig.actions(), [store(P0, 5)]);
    assert!(tickets.is_empty());
}

#[test]
fn a_record_is_admitted_once_and_only_where_it_belongs() {
    let mut rig = Rig::new();
    let mut tickets = Vec::new();
    rig.admit(P0, 3, new(1, 1, 1, PARK));
    for offset in [2, 3] {
        assert!(!rig.core.admit(P0, offset, &[new(1, 1, 1, PARK)], &mut tickets));
    }
    assert!(!rig.core.admit(crate::PartitionId(7), 0, &[new(1, 1, 1, PARK)], &mut tickets));
    assert_eq!(rig.core.gauges().postings, 1);
}

#[test]
fn an_unreadable_record_holds_the_prefix_until_its_dead_letter_is_safe() {
    let mut rig = Rig::new();
    assert!(rig.core.hold(P0, 0));
    let good = rig.sent(1, new(1, 1, 1, PARK));
    assert_eq!(committed(&mut rig, good), [done(good)], "delivered, yet the offset waits");
    rig.core.release(P0, 0);
    assert_eq!(rig.actions(), [store(P0, 2)]);
}

#[test]
fn a_full_window_pauses_and_half_of_it_resumes() {
    let mut rig = Rig::with_concurrency(WINDOW);
    let mut tickets = Vec::new();
    for offset in 0..WINDOW as i64 {
        let last = offset == WINDOW as i64 - 1;
        tickets.push(rig.admit(P0, offset, new(offset as u128, offset as u128, 1, PARK)));
        assert_eq!(rig.actions().contains(&Action::Pause(P0)), last, "at offset {offset}");
    }
    for (settled, ticket) in tickets.into_iter().enumerate() {
        rig.known(ticket, crate::Prior::None, Some(9)); // stale: the shortest way to an outcome
        let after = rig.tell(Input::OutcomeDurable(ticket));
        let half = settled + 1 == WINDOW / 2;
        assert_eq!(after.contains(&Action::Resume(P0)), half, "after {} settled", settled + 1);
    }
}

#[test]
fn a_hole_in_the_middle_stops_the_offset() {
    let mut rig = Rig::new();
    let tickets: Vec<Ticket> = (0..3).map(|at| rig.sent(at, new(at as u128, at as u128, 1, PARK))).collect();
    assert_eq!(committed(&mut rig, tickets[2]), [done(tickets[2])]);
    assert_eq!(committed(&mut rig, tickets[0]), [done(tickets[0]), store(P0, 1)]);
    assert_eq!(committed(&mut rig, tickets[1]), [done(tickets[1]), store(P0, 3)]);
}
