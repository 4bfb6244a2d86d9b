//! The protocol of GUARANTEES.md in every order of things: small worlds, everything that can happen in them, each state checked.
//!
//! The core is the real one. It is a value: it is copied wherever more than one thing can happen next, and hashed, so that a
//! state that was reached in another way is gone through once. `COUNTERFOIL_EXHAUSTIVE=large` takes larger worlds as well.

mod choice;
mod explore;
#[cfg(feature = "mutants")]
mod mutants;
mod scopes;

use std::collections::BTreeSet;

use explore::Explored;
use scopes::{LARGE, SMALL, Scope};

use crate::{
    plan::ROUTES,
    sometimes::Sometimes,
    world::Point::{self, *},
};

/// Where a crash must have met a posting of every class: row F01 of the fault plan.
const CRASHES: [Point; 14] = [
    NotFetched,
    Polled,
    Waits,
    IntentAsked,
    IntentDurable,
    Sent,
    Answered,
    LetterAsked,
    LetterAcked,
    OutcomeAsked,
    OutcomeDurable,
    Over,
    OffsetStored,
    OffsetCommitted,
];

const REQUIRED: [&str; 14] = [
    "crash after the effect and before the outcome",
    "crash with a durable write not yet reported",
    "duplicate stopped by the ledger",
    "duplicate stopped by the target's key",
    "foreign Intent met",
    "own Intent met after a rebalance",
    "a dead process's request applied late",
    "resolved by a resend",
    "read back: matches",
    "read back: absent",
    "read back: several",
    "parked",
    "superseded",
    "sent under a shared Intent",
];

#[derive(Default)]
struct Total {
    states: usize,
    steps: usize,
    crashes: BTreeSet<(usize, Point)>,
    seen: Sometimes,
}

/// Goes through a scope in each of its configurations, and holds against it how many states there were when it was written.
fn go_through(scope: &Scope, total: &mut Total) {
    let (mut states, mut steps, mut rests, mut deepest) = (0, 0, 0, 0);
    for config in scope.configs() {
        let explored = Explored::all(scope.world(config));
        let explored = explored.unwrap_or_else(|broken| panic!("{}, {config:?}: {broken}", scope.name));
        states += explored.states;
        steps += explored.steps;
        rests += explored.rests;
        deepest = explored.deepest.max(deepest);
        total.crashes.extend(explored.crashes);
        total.seen.add(&explored.seen);
    }
    println!("{states:>9} states {steps:>9} steps {rests:>7} ends, {deepest} deep: {}", scope.name);
    assert!(states >= scope.states, "{}: {states} states, there were {}", scope.name, scope.states);
    total.states += states;
    total.steps += steps;
}

#[test]
fn the_promise_holds_in_every_order_of_things() {
    let mut total = Total::default();
    let large = std::env::var("COUNTERFOIL_EXHAUSTIVE").is_ok_and(|size| size == "large");
    let scopes = SMALL.iter().chain(LARGE.iter().filter(|_| large));
    scopes.for_each(|scope| go_through(scope, &mut total));
    println!("{} states, {} steps", total.states, total.steps);
    total.seen.assert_happened(&REQUIRED);
    assert_crashed_everywhere(&total.crashes);
}

fn assert_crashed_everywhere(crashes: &BTreeSet<(usize, Point)>) {
    for (route, class) in ROUTES.iter().enumerate() {
        let readable = scopes::is_readable(route).then_some([Looks, Looked]).into_iter().flatten();
        let ranged = scopes::is_shareable(route).then_some(RangeAsked);
        let points = CRASHES.into_iter().chain(readable).chain(ranged);
        let missed: Vec<Point> = points.filter(|point| !crashes.contains(&(route, *point))).collect();
        assert!(missed.is_empty(), "no crash met {class:?} at {missed:?}");
    }
}
