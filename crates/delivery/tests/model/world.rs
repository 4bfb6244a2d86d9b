//! The world around one core: logs, ledger, targets, clocks, and everything on its way between them.

mod carry_out;
mod digest;
mod faults;
mod looking;
mod processes;
mod progress;

pub use faults::Fate;
pub use looking::Point;
pub use processes::Process;
use processes::nothing;
pub use progress::Move;

use std::{collections::BTreeMap, rc::Rc};

use delivery::{
    Backlog, Bulk, ConnectionId, ConnectionLimits, Core, CoreOptions, Gauges, Input, Intents, Limit,
    NewPosting, Now, OnExisting, PartitionId, ReadBack, TenantSlot, Ticket, Urgency,
};
use event::{EntityId, EventId, PostingKey, RouteId};
use uuid::Uuid;

use crate::{
    ledger::Ledger,
    plan::{
        COMPANY, IN_FLIGHT, LEASE_MS, Op, PARTITIONS, Plan, RATE, RATE_MS, ROUTES, SHARED_MS, SKEW_MS, Step,
        TIMEOUT_MS, WINDOW,
    },
    sometimes::Sometimes,
    target::{Request, Targets},
};

const EPOCH_START_WALL: i64 = 1_700_000_000_000;

/// A record as it stands in the log.
#[derive(Clone, Debug, Hash)]
pub struct Logged {
    pub unreadable: bool,
    /// One for each route.
    pub requests: Vec<Request>,
}

/// A partition and this process's hold of it.
#[derive(Clone, Default)]
pub struct Partition {
    pub log: Rc<Vec<Logged>>,
    pub assigned: bool,
    pub draining: bool,
    pub paused: bool,
    pub position: i64,
    pub stored: i64,
    /// What the brokers know; where the next owner starts.
    pub committed: i64,
    /// In the core's monotonic time.
    pub lease_until: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Known {
    request: Request,
    partition: usize,
    offset: i64,
}

#[derive(Clone, Debug, Hash)]
enum Reply {
    Answer(delivery::Answer),
    ReadBack(ReadBack),
}

/// A request under way.
#[derive(Clone, Debug, Hash)]
struct Flight {
    /// The process that sent it.
    epoch: u64,
    /// None: nobody waits for its answer any more, but the target may still apply it.
    ticket: Option<Ticket>,
    request: Request,
    partition: usize,
    reads: bool,
    /// It has no Intent of its own.
    shared: bool,
    /// Its partition was revoked meanwhile.
    orphan: bool,
    /// The number of the request that it shares with others.
    batch: Option<u64>,
    /// What the target said, once it has worked on it.
    reply: Option<Reply>,
    /// When we give up; when the target has certainly given up.
    times_out: u64,
    over: u64,
}

/// A stretch of the log to be read again.
#[derive(Clone, Copy, Debug, Hash)]
struct Reread {
    partition: usize,
    backlog: Backlog,
    from: i64,
    to: i64,
    fit: usize,
}

#[derive(Clone, Copy, Debug, Hash)]
enum Letter {
    Posting(Ticket, Request),
    Record { partition: usize, offset: i64 },
}

#[derive(Clone)]
pub struct World {
    /// The process that things happen to.
    pub me: Process,
    /// One that the group took its partitions from, and that lives on.
    pub zombie: Option<Box<Process>>,
    pub ledger: Ledger,
    pub targets: Targets,
    pub seen: Sometimes,
    concurrency: usize,
    limited: bool,
    bulk: bool,
    batches: u64,
    trouble: u8,
    #[cfg(feature = "mutants")]
    pub mutant: Option<delivery::Mutant>,
    intents: Intents,
    /// When each event was accepted, by the true wall clock.
    accepted: BTreeMap<usize, i64>,
    /// True time, milliseconds; the core sees it through clocks of its own.
    now: u64,
    flights: Vec<Flight>,
    /// What an operator paused; a new process is told so before it is given partitions.
    paused: [bool; ROUTES.len()],
}

impl World {
    pub fn new(plan: &Plan) -> Self {
        let mut world = Self {
            me: Process::new(nothing(), logs(plan), 0),
            zombie: None,
            ledger: Ledger::default(),
            targets: Targets::default(),
            seen: Sometimes::default(),
            concurrency: plan.concurrency,
            limited: plan.limited,
            bulk: plan.bulk,
            batches: 0,
            trouble: plan.trouble,
            #[cfg(feature = "mutants")]
            mutant: plan.mutant,
            intents: if plan.shared { Intents::Shared { upsert_ms: SHARED_MS } } else { Intents::Each },
            accepted: BTreeMap::new(),
            now: 1_000,
            flights: Vec::new(),
            paused: [false; ROUTES.len()],
        };
        world.boot(0);
        world
    }

    /// A process starts, with a clock of its own.
    pub fn boot(&mut self, dice: u8) {
        self.me.epoch += 1;
        self.me.born = self.now;
        self.me.clock_error = i64::from(dice) % (SKEW_MS as i64 + 1) - SKEW_MS as i64 / 2;
        self.me.core = Core::new(CoreOptions {
            epoch: self.me.epoch,
            window: WINDOW,
            clock_skew_ms: SKEW_MS,
            intents: self.intents,
            in_flight: if self.limited { IN_FLIGHT } else { usize::MAX },
            horizon_ms: u64::MAX,
        });
        #[cfg(feature = "mutants")]
        self.mutant.into_iter().for_each(|mutant| self.me.core.break_on_purpose(mutant));
        for id in 0..ROUTES.len() as u32 {
            let limits = ConnectionLimits { concurrency: self.concurrency, timeout_ms: TIMEOUT_MS };
            self.me.core.connect(ConnectionId(id), limits);
            if self.limited {
                self.me.core.limit(ConnectionId(id), &[Limit::Rate { max: RATE, per_ms: RATE_MS }]);
                self.me.core.belongs(ConnectionId(id), TenantSlot(id % 2), 1 + 2 * (id % 2));
            }
        }
        for route in (0..ROUTES.len()).filter(|route| self.paused[*route]) {
            self.me.core.pause_route(RouteId(route as u64), ConnectionId(route as u32));
        }
        (0..PARTITIONS).for_each(|partition| self.assign(partition));
    }

    /// An operator pauses a route, or resumes it.
    pub fn turn(&mut self, route: usize, pause: bool) {
        self.paused[route] = pause;
        let id = RouteId(route as u64);
        if pause {
            self.seen.hit("route paused");
            self.me.core.pause_route(id, ConnectionId(route as u32));
        } else {
            self.me.core.resume_route(id, self.clock());
        }
        self.carry_out();
    }

    pub fn clock(&self) -> Now {
        Now { mono: self.now - self.me.born, wall: EPOCH_START_WALL + self.now as i64 + self.me.clock_error }
    }

    /// A moment of this process's wall clock in true time.
    fn true_time(&self, wall: i64) -> u64 {
        (wall - EPOCH_START_WALL - self.me.clock_error).max(0) as u64
    }

    pub fn step(&mut self, step: Step) {
        let pick = usize::from(step.pick);
        match step.op {
            Op::Progress => (0..1 + u32::from(step.dice % 4))
                .for_each(|round| self.progress(usize::from(step.pick.rotate_left(5 * round)), step.dice)),
            Op::Fetch => self.fetch(pick % PARTITIONS),
            Op::LoseAnswer => self.lose_answer(pick, step.dice),
            Op::ApplyLate => self.apply_late(pick, step.dice),
            Op::FailIntent => self.fail_intent(step.dice & 1 != 0),
            Op::Pass => self.pass(u64::from(step.dice) * 4, step.dice),
            Op::PassToWake => self.pass_to_wake(step.dice),
            Op::RenewLease => self.renew_leases(),
            Op::CommitOffsets => self.me.partitions.iter_mut().for_each(|p| p.committed = p.stored),
            Op::Rebalance => self.rebalance(pick % PARTITIONS, step.dice),
            Op::Crash => self.crash(step.dice),
            Op::Turn => self.turn(pick % ROUTES.len(), !self.paused[pick % ROUTES.len()]),
        }
    }

    fn tell(&mut self, input: Input) {
        self.me.core.handle(input, self.clock());
        self.carry_out();
    }

    pub fn fetch(&mut self, partition: usize) {
        let state = &mut self.me.partitions[partition];
        let offset = state.position;
        let Some(record) = state.log.get(offset as usize) else { return };
        if !state.assigned || state.paused {
            return;
        }
        let record = record.clone();
        state.position += 1;
        let id = PartitionId(partition as u32);
        if record.unreadable {
            assert!(self.me.core.hold(id, offset));
            self.me.letters.push(Letter::Record { partition, offset });
        } else {
            let wall = EPOCH_START_WALL + self.now as i64;
            let mut accepted = |r: &Request| *self.accepted.entry(r.event).or_insert(wall);
            let postings: Vec<NewPosting> =
                record.requests.iter().map(|r| posting(*r, accepted(r), (self.limited, self.bulk))).collect();
            let mut tickets = Vec::new();
            assert!(self.me.core.admit(id, offset, &postings, &mut tickets));
            self.note_tickets(tickets, record.requests, partition, offset);
            assert!(!self.me.core.admit(id, offset, &postings, &mut Vec::new()), "admitted twice");
        }
        self.carry_out();
    }

    fn note_tickets(
        &mut self,
        tickets: Vec<Option<Ticket>>,
        requests: Vec<Request>,
        partition: usize,
        offset: i64,
    ) {
        for (ticket, request) in tickets.into_iter().zip(requests) {
            match ticket {
                Some(ticket) => drop(self.me.tickets.insert(ticket, Known { request, partition, offset })),
                None => self.seen.hit("left in the log"),
            }
        }
        // The window, what one record more may bring, and what is read again for each connection that spilled and each route that was paused.
        let live = self.me.tickets.values().filter(|k| k.partition == partition).count();
        assert!(live <= WINDOW * (2 * ROUTES.len() + 1) + ROUTES.len(), "BND-1: {live} postings in memory");
    }

    /// What was left in the log is read again, some of it at a time.
    fn read_again(&mut self, at: usize, most: usize) {
        let Reread { partition, backlog, from, to, fit } = self.me.rereads.swap_remove(at);
        let most = most.min(fit);
        let (mut next, mut read) = (from, 0);
        while next < to && read < most {
            let record = self.me.partitions[partition].log[next as usize].clone();
            let requests: Vec<Request> =
                record.requests.into_iter().filter(|r| is_of(backlog, r.route)).collect();
            let postings: Vec<NewPosting> = requests
                .iter()
                .map(|r| posting(*r, self.accepted[&r.event], (self.limited, self.bulk)))
                .collect();
            let mut tickets = Vec::new();
            self.me.core.readmit(PartitionId(partition as u32), backlog, next, &postings, &mut tickets);
            read += usize::from(!requests.is_empty());
            self.note_tickets(tickets, requests, partition, next);
            next += 1;
        }
        self.seen.hit("read again");
        self.me.core.reread(PartitionId(partition as u32), backlog, next);
        self.carry_out();
    }

    pub fn renew_leases(&mut self) {
        let now = self.clock();
        for (id, partition) in self.me.partitions.iter_mut().enumerate().filter(|(_, p)| p.assigned) {
            partition.lease_until = now.mono + LEASE_MS;
            self.me.core.renew_lease(PartitionId(id as u32), partition.lease_until, now);
        }
        self.carry_out();
    }

    /// Faults have stopped: everything comes to its end, or the case fails.
    pub fn come_to_rest(&mut self) {
        self.trouble = 0;
        (0..ROUTES.len())
            .filter(|r| self.paused[*r])
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|r| self.turn(r, false));
        for round in 0..20_000u16 {
            self.renew_leases();
            for partition in 0..PARTITIONS {
                if self.me.partitions[partition].draining {
                    self.revoke(partition, 0);
                }
                if !self.me.partitions[partition].assigned {
                    self.assign(partition);
                }
                self.fetch(partition);
            }
            if self.can_progress() {
                self.progress(usize::from(round), 0);
            } else if self.is_at_rest() {
                return;
            } else {
                self.pass_to_wake(round as u8);
            }
        }
        panic!("LIV-1: no rest: {:?}, in flight {:?}", self.me.core.gauges(), self.flights);
    }

    pub fn is_at_rest(&self) -> bool {
        let fetched = self.me.partitions.iter().all(|p| p.position as usize == p.log.len());
        fetched && self.flights.is_empty() && self.me.core.gauges() == Gauges::default()
    }
}

fn logs(plan: &Plan) -> Vec<Partition> {
    let mut logs: Vec<Vec<Logged>> = vec![Vec::new(); PARTITIONS];
    for (event, record) in plan.records.iter().enumerate() {
        let log = &mut logs[record.entity % PARTITIONS];
        let on = |route: &usize| record.routes & (1 << *route) != 0;
        let version = event as i64 / 2 + record.ahead;
        let request = |route| Request { event, route, entity: record.entity, version };
        match log.last().cloned() {
            Some(last) if record.repeats => log.push(last),
            _ => log.push(Logged {
                unreadable: record.unreadable,
                requests: if record.unreadable {
                    Vec::new()
                } else {
                    (0..ROUTES.len()).filter(on).map(request).collect()
                },
            }),
        }
    }
    logs.into_iter().map(|log| Partition { log: Rc::new(log), ..Partition::default() }).collect()
}

/// In the model each route has a connection of its own.
fn is_of(backlog: Backlog, route: usize) -> bool {
    match backlog {
        Backlog::Connection(ConnectionId(id)) => id as usize == route,
        Backlog::Route(RouteId(id)) => id as usize == route,
    }
}

fn posting(request: Request, accepted_at: i64, (limited, bulk): (bool, bool)) -> NewPosting {
    NewPosting {
        key: PostingKey {
            event: EventId(Uuid::from_u128(request.event as u128)),
            route: RouteId(request.route as u64),
            generation: 0,
        },
        entity: EntityId(Uuid::from_u128(request.entity as u128)),
        connection: ConnectionId(request.route as u32),
        class: ROUTES[request.route],
        source_version: request.version,
        request_hash: request.event as u64,
        lag_ms: 0,
        on_existing: match ROUTES[request.route] {
            delivery::Class::Keyed { .. } => OnExisting::Verify,
            _ => OnExisting::Overwrite,
        },
        alone: false,
        conflate: limited,
        lock: limited.then_some(request.entity as u64 % 2),
        bulk: bulk.then_some(Bulk {
            kind: request.entity as u64 / 4,
            max_items: COMPANY,
            max_bytes: u32::MAX,
            bytes: 1,
            counts_each: false,
        }),
        urgency: match request.entity % 4 {
            2 => Urgency::Redrive,
            3 => Urgency::Backfill,
            _ => Urgency::Live,
        },
        accepted_at,
    }
}
