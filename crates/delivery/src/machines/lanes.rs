//! Order in a lane: the links that the core keeps between its postings, beside queues.

use std::collections::{BTreeMap, VecDeque};

use event::EntityId;
use proptest::{prelude::*, sample::select};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::config;
use crate::{
    connection::ConnectionId,
    lane::{LaneKey, Lanes, Place},
    posting::Ticket,
    window::PartitionId,
};

/// Postings of each lane, by their number, in the order of their coming.
#[derive(Clone, Debug, Default)]
struct Queues {
    lanes: BTreeMap<(u32, u8), VecDeque<u32>>,
    /// How many postings there were.
    count: u32,
}

#[derive(Clone, Debug)]
enum Happens {
    /// A posting comes, to the connection, of the entity.
    Push(u32, u8),
    /// The head of the lane is settled.
    Pop(u32, u8),
    /// The partition is taken away.
    Forget(u8),
}

/// An entity lives in one partition.
const PARTITIONS: u8 = 2;

impl ReferenceStateMachine for Queues {
    type State = Self;
    type Transition = Happens;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Happens> {
        let push = (0..2u32, 0..4u8).prop_map(|(connection, entity)| Happens::Push(connection, entity));
        let forget = (0..PARTITIONS).prop_map(Happens::Forget);
        let lanes: Vec<(u32, u8)> = state.lanes.keys().copied().collect();
        if lanes.is_empty() {
            return push.boxed();
        }
        let pop = select(lanes).prop_map(|(connection, entity)| Happens::Pop(connection, entity));
        prop_oneof![6 => push, 5 => pop, 1 => forget].boxed()
    }

    fn preconditions(state: &Self, happens: &Happens) -> bool {
        !matches!(happens, Happens::Pop(connection, entity) if !state.lanes.contains_key(&(*connection, *entity)))
    }

    fn apply(mut state: Self, happens: &Happens) -> Self {
        match happens {
            Happens::Push(connection, entity) => {
                state.lanes.entry((*connection, *entity)).or_default().push_back(state.count);
                state.count += 1;
            }
            Happens::Pop(connection, entity) => {
                state.lanes.entry((*connection, *entity)).or_default().pop_front();
                state.lanes.retain(|_, queue| !queue.is_empty());
            }
            Happens::Forget(partition) => {
                state.lanes.retain(|(_, entity), _| entity % PARTITIONS != *partition)
            }
        }
        state
    }
}

/// The lanes, and what the core keeps of them in its postings.
#[derive(Default)]
struct Real {
    lanes: Lanes,
    /// Who stands behind a posting.
    next: BTreeMap<u32, u32>,
    heads: BTreeMap<(u32, u8), u32>,
    count: u32,
}

fn ticket(number: u32) -> Ticket {
    Ticket { slot: number, serial: number }
}

fn key(connection: u32, entity: u8) -> LaneKey {
    let entity = EntityId(uuid::Uuid::from_u128(entity.into()));
    LaneKey { connection: ConnectionId(connection), entity }
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Queues;

    fn init_test(_: &Queues) -> Self {
        Self::default()
    }

    fn apply(mut real: Self, _: &Queues, happens: Happens) -> Self {
        match happens {
            Happens::Push(connection, entity) => {
                let number = real.count;
                real.count += 1;
                let partition = PartitionId((entity % PARTITIONS).into());
                match real.lanes.push(key(connection, entity), partition, ticket(number)) {
                    Place::Head => drop(real.heads.insert((connection, entity), number)),
                    Place::Behind(before) => drop(real.next.insert(before.slot, number)),
                }
            }
            Happens::Pop(connection, entity) => {
                let head = real.heads.remove(&(connection, entity));
                let next = head.and_then(|head| real.next.get(&head).copied());
                real.lanes.pop(key(connection, entity), next.map(ticket));
                real.heads.extend(next.map(|next| ((connection, entity), next)));
            }
            Happens::Forget(partition) => {
                real.lanes.forget(PartitionId(partition.into()));
                real.heads.retain(|(_, entity), _| entity % PARTITIONS != partition);
            }
        }
        real
    }

    fn check_invariants(real: &Self, state: &Queues) {
        assert_eq!(real.lanes.len(), state.lanes.len());
        for (lane, queue) in &state.lanes {
            let linked = |number: &u32| real.next.get(number).copied();
            let order: Vec<u32> = std::iter::successors(real.heads.get(lane).copied(), linked).collect();
            assert_eq!(*queue, order, "ORD-1: the order of {lane:?}");
        }
    }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn a_lane_keeps_the_order_in_which_its_postings_came(sequential 1..60 => Real);
}
