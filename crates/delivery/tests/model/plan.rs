//! What a case consists of: a log, a target's temper and a schedule. proptest draws it and shrinks it.

use delivery::{Class, OnUnknown};
use proptest::prelude::*;

pub const PARTITIONS: usize = 2;
pub const TIMEOUT_MS: u64 = 200;
pub const SKEW_MS: u64 = 50;
pub const WINDOW: usize = 6;
pub const LEASE_MS: u64 = 1_500;
/// Requests at U that may go without an Intent of their own: all of them, but not all of the time under a lease.
pub const SHARED_MS: u64 = TIMEOUT_MS;

/// Most requests over all connections, where they are limited.
pub const IN_FLIGHT: usize = 2;
/// Most postings in a request, where they share requests.
pub const COMPANY: u32 = 3;
/// Most requests of a connection within [`RATE_MS`], where they are limited.
pub const RATE: u64 = 4;
pub const RATE_MS: u64 = 160;

/// One connection and one route for each class.
pub const ROUTES: [Class; 5] = [
    Class::Keyed { window_ms: 10_000_000, readable: false },
    Class::Keyed { window_ms: 1_200, readable: true },
    Class::Upsert,
    Class::Neither(OnUnknown::Park),
    Class::Neither(OnUnknown::Resend),
];

/// A record of the log. Entity `e` lives in partition `e % PARTITIONS`.
#[derive(Clone, Debug)]
pub struct Record {
    pub entity: usize,
    /// How far its version is ahead of its place in the log; makes a few records stale, and a few equal.
    pub ahead: i64,
    /// Bit `r` set: the record goes to `ROUTES[r]`.
    pub routes: u8,
    /// Cannot be decoded.
    pub unreadable: bool,
    /// Carries the event of the record before it in its partition again (a gateway retry).
    pub repeats: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A few of the things under way come one step further.
    Progress,
    /// The next record of a partition arrives.
    Fetch,
    /// A request in flight gets no answer.
    LoseAnswer,
    /// The target applies a request that nobody waits for any more.
    ApplyLate,
    /// The Intent next in line cannot be written.
    FailIntent,
    /// Time passes.
    Pass,
    /// Time passes until the core asked to be woken.
    PassToWake,
    RenewLease,
    /// The stored offsets reach the brokers.
    CommitOffsets,
    /// A partition drains, is revoked, or is assigned again.
    Rebalance,
    Crash,
    /// A route is paused, or resumed.
    Turn,
}

/// An operation with what it needs of chance.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub op: Op,
    pub pick: u16,
    pub dice: u8,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub records: Vec<Record>,
    pub concurrency: usize,
    /// Whether connections have a rate, tenants take turns and targets lock.
    pub limited: bool,
    /// Whether postings share requests.
    pub bulk: bool,
    /// How many of 256 requests meet trouble.
    pub trouble: u8,
    /// Whether Intents are shared where they may be.
    pub shared: bool,
    pub steps: Vec<Step>,
    #[cfg(feature = "mutants")]
    pub mutant: Option<delivery::Mutant>,
}

fn record() -> impl Strategy<Value = Record> {
    (0..4usize, 0..4i64, 1..32u8, prop::bool::weighted(0.05), prop::bool::weighted(0.15)).prop_map(
        |(entity, ahead, routes, unreadable, repeats)| Record { entity, ahead, routes, unreadable, repeats },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let op = prop_oneof![
        48 => Just(Op::Progress),
        12 => Just(Op::Fetch),
        3 => Just(Op::LoseAnswer),
        2 => Just(Op::ApplyLate),
        2 => Just(Op::FailIntent),
        4 => Just(Op::Pass),
        10 => Just(Op::PassToWake),
        6 => Just(Op::RenewLease),
        3 => Just(Op::CommitOffsets),
        2 => Just(Op::Rebalance),
        3 => Just(Op::Crash),
        2 => Just(Op::Turn),
    ];
    (op, any::<u16>(), any::<u8>()).prop_map(|(op, pick, dice)| Step { op, pick, dice })
}

pub fn plan() -> impl Strategy<Value = Plan> {
    let records = prop::collection::vec(record(), 4..24);
    let steps = prop::collection::vec(step(), 50..400);
    (
        records,
        (1..4usize, prop::bool::weighted(0.3), prop::bool::weighted(0.4)),
        0..208u8,
        any::<bool>(),
        steps,
    )
        .prop_map(|(records, (concurrency, limited, bulk), trouble, shared, steps)| Plan {
            records,
            concurrency,
            limited,
            bulk,
            trouble,
            shared,
            steps,
            #[cfg(feature = "mutants")]
            mutant: None,
        })
}
