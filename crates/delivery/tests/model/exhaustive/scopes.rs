//! The small worlds: what is in their logs, and how much goes wrong at most.

use delivery::Class;

use super::choice::{Bounds, Small};
use crate::{
    plan::{Plan, ROUTES, Record},
    world::World,
};

pub struct Scope {
    pub name: &'static str,
    pub records: &'static [Entry],
    pub concurrency: usize,
    pub bounds: Bounds,
    /// How many states there are, over all configurations.
    pub states: usize,
}

#[derive(Clone, Copy)]
pub enum Entry {
    /// Of an entity, so far ahead in its version.
    Event(usize, i64),
    /// The event before it again.
    Again,
    Unreadable,
}

use Entry::{Again, Event, Unreadable};

const NONE: Bounds = Bounds { troubles: 0, crashes: 0, disks: 0, cuts: 0, revokes: 0, pauses: 0 };

const ONE: &[Entry] = &[Event(0, 0)];
const TWO_VERSIONS: &[Entry] = &[Event(0, 0), Event(0, 1)];
const WRONG_ORDER: &[Entry] = &[Event(0, 1), Event(0, 0)];
const TWO_ENTITIES: &[Entry] = &[Event(0, 0), Event(2, 0)];

const fn scope(name: &'static str, records: &'static [Entry], bounds: Bounds, states: usize) -> Scope {
    Scope { name, records, concurrency: 2, bounds, states }
}

/// What every run goes through.
pub static SMALL: [Scope; 15] = [
    LOST_DISK,
    scope(
        "two versions, paused once, 1 crash",
        TWO_VERSIONS,
        Bounds { crashes: 1, pauses: 1, ..NONE },
        36_161,
    ),
    scope("one event, a takeover, 1 trouble", ONE, Bounds { troubles: 1, cuts: 1, ..NONE }, 35_160),
    scope("one event, a takeover, 1 crash", ONE, Bounds { crashes: 1, cuts: 1, ..NONE }, 24_835),
    scope("one event, 1 trouble, 2 crashes", ONE, Bounds { troubles: 1, crashes: 2, ..NONE }, 32_006),
    scope(
        "two versions, 1 trouble, 1 crash",
        TWO_VERSIONS,
        Bounds { troubles: 1, crashes: 1, ..NONE },
        164_514,
    ),
    scope("two versions, 2 crashes", TWO_VERSIONS, Bounds { crashes: 2, ..NONE }, 40_530),
    scope("in the wrong order, 1 trouble", WRONG_ORDER, Bounds { troubles: 1, ..NONE }, 4_155),
    scope("in the wrong order, 1 crash", WRONG_ORDER, Bounds { crashes: 1, ..NONE }, 3_122),
    scope("two entities, 1 trouble", TWO_ENTITIES, Bounds { troubles: 1, ..NONE }, 49_321),
    scope("two entities, 1 crash", TWO_ENTITIES, Bounds { crashes: 1, ..NONE }, 23_198),
    Scope {
        concurrency: 1,
        ..scope("two entities, one slot, 1 crash", TWO_ENTITIES, Bounds { crashes: 1, ..NONE }, 17_724)
    },
    scope("two versions, a takeover", TWO_VERSIONS, Bounds { cuts: 1, ..NONE }, 44_134),
    scope(
        "two versions, given back once, 1 crash",
        TWO_VERSIONS,
        Bounds { crashes: 1, revokes: 1, ..NONE },
        109_434,
    ),
    scope(
        "an event, an unreadable record, the event again, 1 crash",
        &[Event(0, 0), Unreadable, Again],
        Bounds { crashes: 1, ..NONE },
        13_858,
    ),
];

/// A crash that takes the disk with it. Not for the routes whose Intents only the disk knows, and whose requests
/// somebody has to wait for.
pub const LOST_DISK: Scope = scope(
    "one event, 1 trouble, 1 crash with or without the disk",
    ONE,
    Bounds { troubles: 1, crashes: 1, disks: 1, ..NONE },
    7_357,
);

/// What takes about ten minutes of one core together. The last number is rounded down.
pub static LARGE: [Scope; 7] = [
    scope("one event, a takeover, 2 crashes", ONE, Bounds { crashes: 2, cuts: 1, ..NONE }, 128_566),
    scope("one event, 2 troubles, 2 crashes", ONE, Bounds { troubles: 2, crashes: 2, ..NONE }, 301_420),
    scope(
        "one event, a takeover, 1 trouble, 1 crash",
        ONE,
        Bounds { troubles: 1, crashes: 1, cuts: 1, ..NONE },
        445_579,
    ),
    scope(
        "two versions, 1 trouble, 2 crashes",
        TWO_VERSIONS,
        Bounds { troubles: 1, crashes: 2, ..NONE },
        1_340_356,
    ),
    scope("two versions, a takeover, 1 crash", TWO_VERSIONS, Bounds { crashes: 1, cuts: 1, ..NONE }, 890_783),
    scope(
        "two versions, a takeover, 1 trouble",
        TWO_VERSIONS,
        Bounds { troubles: 1, cuts: 1, ..NONE },
        1_536_018,
    ),
    scope(
        "two entities, 1 trouble, 1 crash",
        TWO_ENTITIES,
        Bounds { troubles: 1, crashes: 1, ..NONE },
        1_850_000,
    ),
];

/// A route, and whether its Intents are shared.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub route: usize,
    pub shared: bool,
}

pub fn is_shareable(route: usize) -> bool {
    !matches!(ROUTES[route], Class::Neither(_))
}

pub fn is_readable(route: usize) -> bool {
    matches!(ROUTES[route], Class::Upsert | Class::Keyed { readable: true, .. })
}

impl Scope {
    /// Every route; where Intents may be shared both ways.
    pub fn configs(&self) -> Vec<Config> {
        let both = |route| [false, true].map(|shared| Config { route, shared });
        let configs = (0..ROUTES.len()).flat_map(both).filter(|c| !c.shared || is_shareable(c.route));
        configs.filter(|c| self.bounds.disks == 0 || c.survives_lost_disk()).collect()
    }

    pub fn world(&self, Config { route, shared }: Config) -> Small {
        let record = |entry: &Entry| {
            let (entity, ahead) = if let Event(entity, ahead) = entry { (*entity, *ahead) } else { (0, 0) };
            let (unreadable, repeats) = (matches!(entry, Unreadable), matches!(entry, Again));
            Record { entity, ahead, routes: 1 << route, unreadable, repeats }
        };
        let plan = Plan {
            records: self.records.iter().map(record).collect(),
            concurrency: self.concurrency,
            limited: false,
            bulk: false,
            trouble: 0,
            shared,
            steps: Vec::new(),
            #[cfg(feature = "mutants")]
            mutant: None,
        };
        Small::new(World::new(&plan), route, self.bounds)
    }
}

impl Config {
    /// A key's age counts from the new attempt once its Intent is lost: a short window is not for lost disks either.
    fn survives_lost_disk(self) -> bool {
        match ROUTES[self.route] {
            Class::Keyed { readable, .. } => !readable,
            Class::Upsert | Class::Neither(_) => true,
        }
    }
}
