//! What must hold once everything has come to rest.

use delivery::{Class, Gauges, Status};

use crate::{plan::ROUTES, world::World};

pub fn at_rest(world: &World) {
    assert_eq!(world.me.core.gauges(), Gauges::default(), "the core is not empty");
    for (id, partition) in world.me.partitions.iter().enumerate() {
        let end = partition.log.len() as i64;
        assert_eq!(partition.stored, end, "OFF-2: partition {id}");
        for (offset, record) in partition.log.iter().enumerate().filter(|(_, r)| r.unreadable) {
            assert!(world.ledger.has_unreadable(id, offset as i64), "CON-1: {record:?} is lost");
        }
        for request in partition.log.iter().flat_map(|r| &r.requests) {
            let outcome = world.ledger.outcome(request.event, request.route);
            let status = outcome.unwrap_or_else(|| panic!("CON-1: {request:?} has no outcome")).status;
            let effects = world.targets.effects(request.event, request.route);
            let once = !matches!(ROUTES[request.route], Class::Neither(_));
            match status {
                Status::Committed if once => assert_eq!(effects, 1, "EFF-1: {request:?}"),
                Status::Committed => assert!(effects >= 1, "EFF-2: {request:?}"),
                Status::Rejected | Status::Superseded => {
                    assert_eq!(effects, 0, "EFF-1: {request:?} is {status:?}")
                }
                Status::InDoubt => {}
            }
        }
    }
}
