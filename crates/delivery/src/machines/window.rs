//! OFF-1: the window of a partition beside a list of everything that ever came.

use proptest::{prelude::*, sample::select};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::config;
use crate::window::Window;

/// Every record with what is not settled of it.
#[derive(Clone, Debug)]
struct Records {
    first: i64,
    records: Vec<(i64, u32)>,
}

impl Records {
    fn next(&self) -> i64 {
        self.records.last().map_or(self.first, |(offset, _)| offset + 1)
    }

    /// How many records from the first one on are settled.
    fn settled(&self) -> usize {
        self.records.iter().take_while(|(_, pending)| *pending == 0).count()
    }

    /// The offset after the last of them.
    fn stored(&self) -> i64 {
        self.records[..self.settled()].last().map_or(self.first, |(offset, _)| offset + 1)
    }
}

#[derive(Clone, Debug)]
enum Happens {
    /// A record comes, so many offsets behind the one before it.
    Push {
        gap: i64,
        pending: u32,
    },
    Settle(i64),
    /// Of a record that is settled long since, or never was.
    SettleUnknown(i64),
}

impl ReferenceStateMachine for Records {
    type State = Self;
    type Transition = Happens;

    fn init_state() -> BoxedStrategy<Self> {
        (0..5i64).prop_map(|first| Self { first, records: Vec::new() }).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Happens> {
        let push = (0..3i64, 0..4u32).prop_map(|(gap, pending)| Happens::Push { gap, pending });
        let unknown = (-1..state.stored() + 1).prop_map(Happens::SettleUnknown);
        let open: Vec<i64> =
            state.records.iter().filter(|(_, p)| *p > 0).map(|(offset, _)| *offset).collect();
        match open.is_empty() {
            true => prop_oneof![4 => push, 1 => unknown].boxed(),
            false => {
                prop_oneof![4 => push, 1 => unknown, 6 => select(open).prop_map(Happens::Settle)].boxed()
            }
        }
    }

    fn preconditions(state: &Self, happens: &Happens) -> bool {
        let pending = |offset: &i64| state.records.iter().find(|(o, _)| o == offset).map(|(_, p)| *p);
        match happens {
            Happens::Push { .. } => true,
            Happens::Settle(offset) => pending(offset).is_some_and(|p| p > 0),
            Happens::SettleUnknown(offset) => *offset < state.stored() || pending(offset).is_none(),
        }
    }

    fn apply(mut state: Self, happens: &Happens) -> Self {
        match happens {
            Happens::Push { gap, pending } => state.records.push((state.next() + gap, *pending)),
            Happens::Settle(offset) => {
                let record = state.records.iter_mut().find(|(o, _)| o == offset);
                record.into_iter().for_each(|(_, pending)| *pending -= 1);
            }
            Happens::SettleUnknown(_) => {}
        }
        state
    }
}

/// The window, and the last offset that it said to store.
struct Real {
    window: Window,
    stored: i64,
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Records;

    fn init_test(state: &Records) -> Self {
        Self { window: Window::new(state.first), stored: state.first }
    }

    fn apply(mut real: Self, after: &Records, happens: Happens) -> Self {
        let said = match happens {
            Happens::Push { pending, .. } => {
                let (offset, _) = after.records[after.records.len() - 1];
                assert!(real.window.is_new(offset));
                real.window.push(offset, pending)
            }
            Happens::Settle(offset) | Happens::SettleUnknown(offset) => real.window.settle(offset),
        };
        let expected = (after.stored() != real.stored).then_some(after.stored());
        assert_eq!(said, expected, "OFF-1: after {happens:?}");
        real.stored = said.unwrap_or(real.stored);
        real
    }

    fn check_invariants(real: &Self, state: &Records) {
        assert_eq!(real.window.len(), state.records.len() - state.settled());
        assert_eq!(real.window.next(), state.next());
        assert!(real.window.is_new(state.next()) && !real.window.is_new(state.next() - 1));
    }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn only_the_contiguous_settled_prefix_is_ever_stored(sequential 1..60 => Real);
}
