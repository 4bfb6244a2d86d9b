//! The world around one core: logs, ledger, targets, clocks, and everything on its way between them.

mod carry_out;
mod faults;
mod progress;

use std::collections::HashMap;

use delivery::{
    Backlog, Bulk, ConnectionId, ConnectionLimits, Core, CoreOptions, Gauges, Input, Intents, Limit,
    NewPosting, Now, OnExisting, PartitionId, ReadBack, TenantSlot, Ticket,
};
use event::{EntityId, EventId, PostingKey, RouteId};
use uuid::Uuid;

use crate::{
    ledger::{Ledger, Write},
    plan::{
        COMPANY, IN_FLIGHT, LEASE_MS, Op, PARTITIONS, Plan, RATE, RATE_MS, ROUTES, SHARED_MS, SKEW_MS, Step,
        TIMEOUT_MS, WINDOW,
    },
    sometimes::Sometimes,
    target::{Request, Targets},
};

const EPOCH_START_WALL: i64 = 1_700_000_000_000;

/// A record as it stands in the log.
#[derive(Clone, Debug)]
pub struct Logged {
    pub unreadable: bool,
    /// One for each route.
    pub requests: Vec<Request>,
}

/// A partition and this process's hold of it.
#[derive(Default)]
pub struct Partition {
    pub log: Vec<Logged>,
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

#[derive(Clone, Copy, Debug)]
struct Known {
    request: Request,
    partition: usize,
    offset: i64,
}

#[derive(Clone, Debug)]
enum Reply {
    Answer(delivery::Answer),
    ReadBack(ReadBack),
}

/// A request under way.
#[derive(Clone, Debug)]
struct Flight {
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
#[derive(Clone, Copy, Debug)]
struct Reread {
    partition: usize,
    backlog: Backlog,
    from: i64,
    to: i64,
    fit: usize,
}

#[derive(Clone, Copy, Debug)]
enum Letter {
    Posting(Ticket, Request),
    Record { partition: usize, offset: i64 },
}

pub struct World {
    pub partitions: Vec<Partition>,
    pub ledger: Ledger,
    pub targets: Targets,
    pub seen: Sometimes,
    pub core: Core,
    concurrency: usize,
    limited: bool,
    bulk: bool,
    batches: u64,
    /// When requests of this process left, by connection.
    left: Vec<(usize, u64)>,
    trouble: u8,
    #[cfg(feature = "mutants")]
    pub mutant: Option<delivery::Mutant>,
    intents: Intents,
    /// When each event was accepted, by the true wall clock.
    accepted: HashMap<usize, i64>,
    epoch: u64,
    /// True time, milliseconds; the core sees it through clocks of its own.
    now: u64,
    born: u64,
    clock_error: i64,
    tickets: HashMap<Ticket, Known>,
    consults: Vec<Ticket>,
    unreported: Vec<Write>,
    rereads: Vec<Reread>,
    letters: Vec<Letter>,
    lettered: Vec<Letter>,
    flights: Vec<Flight>,
    /// Until when each connection asked for silence.
    silent_until: [u64; ROUTES.len()],
    /// What an operator paused; a new process is told so before it is given partitions.
    paused: [bool; ROUTES.len()],
}

impl World {
    pub fn new(plan: &Plan) -> Self {
        let mut world = Self {
            partitions: logs(plan),
            ledger: Ledger::default(),
            targets: Targets::default(),
            seen: Sometimes::default(),
            core: Core::new(CoreOptions {
                epoch: 0,
                window: 1,
                clock_skew_ms: 0,
                intents: Intents::Each,
                in_flight: usize::MAX,
                horizon_ms: u64::MAX,
            }),
            concurrency: plan.concurrency,
            limited: plan.limited,
            bulk: plan.bulk,
            batches: 0,
            left: Vec::new(),
            trouble: plan.trouble,
            #[cfg(feature = "mutants")]
            mutant: plan.mutant,
            intents: if plan.shared { Intents::Shared { upsert_ms: SHARED_MS } } else { Intents::Each },
            accepted: HashMap::new(),
            epoch: 0,
            now: 1_000,
            born: 0,
            clock_error: 0,
            tickets: HashMap::new(),
            consults: Vec::new(),
            unreported: Vec::new(),
            rereads: Vec::new(),
            letters: Vec::new(),
            lettered: Vec::new(),
            flights: Vec::new(),
            silent_until: [0; ROUTES.len()],
            paused: [false; ROUTES.len()],
        };
        world.boot(0);
        world
    }

    /// A process starts, with a clock of its own.
    fn boot(&mut self, dice: u8) {
        self.epoch += 1;
        self.born = self.now;
        self.clock_error = i64::from(dice) % (SKEW_MS as i64 + 1) - SKEW_MS as i64 / 2;
        self.core = Core::new(CoreOptions {
            epoch: self.epoch,
            window: WINDOW,
            clock_skew_ms: SKEW_MS,
            intents: self.intents,
            in_flight: if self.limited { IN_FLIGHT } else { usize::MAX },
            horizon_ms: u64::MAX,
        });
        #[cfg(feature = "mutants")]
        self.mutant.into_iter().for_each(|mutant| self.core.break_on_purpose(mutant));
        for id in 0..ROUTES.len() as u32 {
            let limits = ConnectionLimits { concurrency: self.concurrency, timeout_ms: TIMEOUT_MS };
            self.core.connect(ConnectionId(id), limits);
            if self.limited {
                self.core.limit(ConnectionId(id), &[Limit::Rate { max: RATE, per_ms: RATE_MS }]);
                self.core.belongs(ConnectionId(id), TenantSlot(id % 2), 1 + 2 * (id % 2));
            }
        }
        self.left.clear();
        for route in (0..ROUTES.len()).filter(|route| self.paused[*route]) {
            self.core.pause_route(RouteId(route as u64), ConnectionId(route as u32));
        }
        (0..PARTITIONS).for_each(|partition| self.assign(partition));
    }

    /// An operator pauses a route, or resumes it.
    fn turn(&mut self, route: usize, pause: bool) {
        self.paused[route] = pause;
        let id = RouteId(route as u64);
        if pause {
            self.seen.hit("route paused");
            self.core.pause_route(id, ConnectionId(route as u32));
        } else {
            self.core.resume_route(id, self.clock());
        }
        self.carry_out();
    }

    fn clock(&self) -> Now {
        Now { mono: self.now - self.born, wall: EPOCH_START_WALL + self.now as i64 + self.clock_error }
    }

    /// A moment of this process's wall clock in true time.
    fn true_time(&self, wall: i64) -> u64 {
        (wall - EPOCH_START_WALL - self.clock_error).max(0) as u64
    }

    pub fn step(&mut self, step: Step) {
        let pick = usize::from(step.pick);
        match step.op {
            Op::Progress => (0..1 + u32::from(step.dice % 4))
                .for_each(|round| self.progress(usize::from(step.pick.rotate_left(5 * round)), step.dice)),
            Op::Fetch => self.fetch(pick % PARTITIONS),
            Op::LoseAnswer => self.lose_answer(pick, step.dice),
            Op::ApplyLate => self.apply_late(pick, step.dice),
            Op::FailIntent => self.fail_intent(step.dice),
            Op::Pass => self.pass(u64::from(step.dice) * 4, step.dice),
            Op::PassToWake => self.pass_to_wake(step.dice),
            Op::RenewLease => self.renew_leases(),
            Op::CommitOffsets => self.partitions.iter_mut().for_each(|p| p.committed = p.stored),
            Op::Rebalance => self.rebalance(pick % PARTITIONS, step.dice),
            Op::Crash => self.crash(step.dice),
            Op::Turn => self.turn(pick % ROUTES.len(), !self.paused[pick % ROUTES.len()]),
        }
    }

    fn tell(&mut self, input: Input) {
        self.core.handle(input, self.clock());
        self.carry_out();
    }

    fn fetch(&mut self, partition: usize) {
        let state = &mut self.partitions[partition];
        let offset = state.position;
        let Some(record) = state.log.get(offset as usize) else { return };
        if !state.assigned || state.paused {
            return;
        }
        let record = record.clone();
        state.position += 1;
        let id = PartitionId(partition as u32);
        if record.unreadable {
            assert!(self.core.hold(id, offset));
            self.letters.push(Letter::Record { partition, offset });
        } else {
            let wall = EPOCH_START_WALL + self.now as i64;
            let mut accepted = |r: &Request| *self.accepted.entry(r.event).or_insert(wall);
            let postings: Vec<NewPosting> =
                record.requests.iter().map(|r| posting(*r, accepted(r), (self.limited, self.bulk))).collect();
            let mut tickets = Vec::new();
            assert!(self.core.admit(id, offset, &postings, &mut tickets));
            self.note_tickets(tickets, record.requests, partition, offset);
            assert!(!self.core.admit(id, offset, &postings, &mut Vec::new()), "admitted twice");
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
                Some(ticket) => drop(self.tickets.insert(ticket, Known { request, partition, offset })),
                None => self.seen.hit("left in the log"),
            }
        }
        // The window, what one record more may bring, and what is read again for each connection that spilled and each route that was paused.
        let live = self.tickets.values().filter(|k| k.partition == partition).count();
        assert!(live <= WINDOW * (2 * ROUTES.len() + 1) + ROUTES.len(), "BND-1: {live} postings in memory");
    }

    /// What was left in the log is read again, some of it at a time.
    fn read_again(&mut self, at: usize, dice: u8) {
        let Reread { partition, backlog, from, to, fit } = self.rereads.swap_remove(at);
        let most = (1 + usize::from(dice) % 4).min(fit);
        let (mut next, mut read) = (from, 0);
        while next < to && read < most {
            let record = self.partitions[partition].log[next as usize].clone();
            let requests: Vec<Request> =
                record.requests.into_iter().filter(|r| is_of(backlog, r.route)).collect();
            let postings: Vec<NewPosting> = requests
                .iter()
                .map(|r| posting(*r, self.accepted[&r.event], (self.limited, self.bulk)))
                .collect();
            let mut tickets = Vec::new();
            self.core.readmit(PartitionId(partition as u32), backlog, next, &postings, &mut tickets);
            read += usize::from(!requests.is_empty());
            self.note_tickets(tickets, requests, partition, next);
            next += 1;
        }
        self.seen.hit("read again");
        self.core.reread(PartitionId(partition as u32), backlog, next);
        self.carry_out();
    }

    fn renew_leases(&mut self) {
        let now = self.clock();
        for (id, partition) in self.partitions.iter_mut().enumerate().filter(|(_, p)| p.assigned) {
            partition.lease_until = now.mono + LEASE_MS;
            self.core.renew_lease(PartitionId(id as u32), partition.lease_until, now);
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
                if self.partitions[partition].draining {
                    self.revoke(partition, 0);
                }
                if !self.partitions[partition].assigned {
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
        panic!("LIV-1: no rest: {:?}, in flight {:?}", self.core.gauges(), self.flights);
    }

    fn is_at_rest(&self) -> bool {
        let fetched = self.partitions.iter().all(|p| p.position as usize == p.log.len());
        fetched && self.flights.is_empty() && self.core.gauges() == Gauges::default()
    }
}

fn logs(plan: &Plan) -> Vec<Partition> {
    let mut partitions: Vec<Partition> = (0..PARTITIONS).map(|_| Partition::default()).collect();
    for (event, record) in plan.records.iter().enumerate() {
        let log = &mut partitions[record.entity % PARTITIONS].log;
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
    partitions
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
        accepted_at,
    }
}
