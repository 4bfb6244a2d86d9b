//! The protocol of GUARANTEES.md in every order of things: small worlds, all of what can happen in them, every state checked.
//!
//! The core is the real one. It is a value: it is copied where more than one thing can happen next, and hashed to know where one has been.

mod choice;
mod explore;

use choice::{Bounds, Small};
use explore::Explored;

use crate::{
    plan::{Plan, Record},
    world::World,
};

fn small(records: &[(usize, i64)], route: usize, shared: bool, bounds: Bounds) -> Small {
    let record = |(entity, ahead): &(usize, i64)| Record {
        entity: *entity,
        ahead: *ahead,
        routes: 1 << route,
        unreadable: false,
        repeats: false,
    };
    let plan = Plan {
        records: records.iter().map(record).collect(),
        concurrency: 2,
        limited: false,
        trouble: 0,
        shared,
        steps: Vec::new(),
        #[cfg(feature = "mutants")]
        mutant: None,
    };
    Small::new(World::new(&plan), bounds)
}

#[test]
fn measure() {
    let get = |n: &str, d: u64| crate::from_env(n, d) as u8;
    for route in 0..5 {
        for shared in [false, true] {
            for records in [&[(0, 0), (0, 1)][..], &[(0, 0), (2, 0)]] {
                let began = std::time::Instant::now();
                let bounds = Bounds { troubles: get("T", 1), crashes: get("C", 1), disks: get("D", 0), cuts: get("L", 0), revokes: get("R", 0) };
                let e = Explored::all(small(records, route, shared, bounds));
                println!("{route} {shared} {records:?}: {} states {} steps {} rests {} deep {:?}", e.states, e.steps, e.rests, e.deepest, began.elapsed());
            }
        }
    }
}
