//! Carries out what the core decides, and checks each decision against what is durable.

use std::collections::BTreeSet;

use delivery::{Action, Class, ErrorClass, Intent, Intents, Outcome, ResolvedBy, Scope, Status, Ticket};

use super::{Flight, Known, Letter, Reply, Reread, World};
use crate::{
    ledger::{Entry, Write},
    plan::{COMPANY, IN_FLIGHT, RATE, RATE_MS, ROUTES, TIMEOUT_MS},
    target::{Request, again},
};

impl World {
    pub(super) fn carry_out(&mut self) {
        let actions: Vec<Action> = self.me.core.drain_actions().collect();
        for action in actions {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Consult(ticket) => self.me.consults.push(ticket),
            Action::WriteIntent(ticket, intent) => self.write(ticket, Entry::Intent(intent)),
            Action::WriteRange { partition, until } => {
                self.me.asked.push((partition.0 as usize, until));
            }
            Action::Send { ticket, attempt, timeout_ms } => self.send(ticket, attempt, timeout_ms, None),
            Action::SendTogether { postings, timeout_ms } => self.send_together(&postings, timeout_ms),
            Action::ReadBack { ticket, timeout_ms } => {
                let over = self.now + timeout_ms;
                self.depart(ticket, (true, false), over, None);
            }
            Action::DeadLetter(ticket, _) => {
                let request = self.me.tickets[&ticket].request;
                self.me.letters.push(Letter::Posting(ticket, request));
            }
            Action::WriteOutcome(ticket, outcome) => self.settle(ticket, outcome),
            Action::Done { ticket, duplicate_of } => {
                if duplicate_of.is_some() {
                    self.seen.hit("duplicate stopped by the ledger");
                }
                self.me.tickets.remove(&ticket).expect("ended once");
            }
            Action::Reread { partition, backlog, from, to, fit } => {
                let partition = partition.0 as usize;
                self.me.rereads.push(Reread { partition, backlog, from, to, fit });
            }
            Action::StoreOffset { partition, offset } => self.store_offset(partition.0 as usize, offset),
            Action::Pause(partition) => {
                self.me.partitions[partition.0 as usize].paused = true;
                self.seen.hit("window paused");
            }
            Action::Resume(partition) => self.me.partitions[partition.0 as usize].paused = false,
        }
    }

    fn write(&mut self, ticket: Ticket, entry: Entry) {
        let known = self.me.tickets[&ticket];
        self.me.queue.push_back(Write { ticket, partition: known.partition, request: known.request, entry });
    }

    /// Of one connection, and of each entity one at most; a target in trouble may refuse them as a whole.
    fn send_together(&mut self, postings: &[(Ticket, u32)], timeout_ms: u64) {
        self.batches += 1;
        self.seen.hit("sent together");
        let of = |(ticket, _): &(Ticket, u32)| self.me.tickets[ticket].request;
        let entities: BTreeSet<usize> = postings.iter().map(|p| of(p).entity).collect();
        let routes: BTreeSet<usize> = postings.iter().map(|p| of(p).route).collect();
        let sizes = (postings.len() > 1, postings.len() <= COMPANY as usize, entities.len(), routes.len());
        assert_eq!(sizes, (true, true, postings.len(), 1), "ORD-1: who shares a request");
        for (ticket, attempt) in postings {
            self.send(*ticket, *attempt, timeout_ms, Some(self.batches));
        }
        if self.trouble > 0 && (self.now + self.batches).is_multiple_of(5) {
            self.seen.hit("refused as a whole");
            let refused = again(ErrorClass::Validation, Some(0), Scope::Apart);
            for flight in self.flights.iter_mut().filter(|f| f.batch == Some(self.batches)) {
                flight.reply = Some(Reply::Answer(refused.clone()));
            }
        }
    }

    /// INT-1: the durable Intent of this very attempt, by this process, with the hash of this request.
    fn send(&mut self, ticket: Ticket, attempt: u32, timeout_ms: u64, batch: Option<u64>) {
        let Known { request, partition, offset } = self.me.tickets[&ticket];
        if self.shares(request, partition, offset) {
            return self.depart(ticket, (false, true), self.now + timeout_ms, batch);
        }
        let Some(Entry::Intent(Intent { attempt: intended, epoch, deadline, request_hash, .. })) =
            self.ledger.entry(request)
        else {
            panic!("INT-1: no Intent of {request:?}, but {:?}", self.ledger.entry(request));
        };
        let intent = (*intended, *epoch, *request_hash);
        assert_eq!(
            intent,
            (attempt, self.me.epoch, request.event as u64),
            "INT-1: not the Intent of {request:?}"
        );
        let over = self.true_time(*deadline);
        assert!(over >= self.now + timeout_ms, "INT-1: the request may outlive its Intent");
        self.depart(ticket, (false, false), over, batch);
    }

    /// INT-1 in its other form: a durable range covers the record, and its class makes a repeat harmless.
    fn shares(&mut self, request: Request, partition: usize, offset: i64) -> bool {
        let own = matches!(
            self.ledger.entry(request),
            Some(Entry::Intent(intent)) if intent.epoch == self.me.epoch && intent.attempt > 0
        );
        let shares = match ROUTES[request.route] {
            Class::Keyed { .. } | Class::Upsert => self.intents != Intents::Each,
            Class::Neither(_) => false,
        };
        if own || !shares || offset >= self.ledger.range(partition) {
            return false;
        }
        self.seen.hit("sent under a shared Intent");
        true
    }

    fn depart(&mut self, ticket: Ticket, (reads, shared): (bool, bool), over: u64, batch: Option<u64>) {
        let known = self.me.tickets[&ticket];
        let (route, state) = (known.request.route, &self.me.partitions[known.partition]);
        let leased = self.clock().mono < state.lease_until;
        assert!(state.assigned && leased, "OWN-1: {:?} leaves without a lease", known.request);
        assert!(
            self.now >= self.me.silent_until[route],
            "BND-1: {:?} leaves although the target is throttling",
            known.request
        );
        let upsert = ROUTES[route] == Class::Upsert;
        let lease_left = state.lease_until.saturating_sub(self.clock().mono);
        assert!(
            !(shared && upsert) || over <= self.now + lease_left,
            "OWN-1: {:?} may be applied when the lease is over",
            known.request
        );
        self.nothing_else_may_be_applied(known.request);
        self.flights.push(Flight {
            epoch: self.me.epoch,
            ticket: Some(ticket),
            request: known.request,
            partition: known.partition,
            reads,
            shared,
            orphan: false,
            batch,
            reply: None,
            times_out: self.now + TIMEOUT_MS,
            over,
        });
        let first = batch.is_none_or(|_| self.flights.iter().filter(|f| f.batch == batch).count() == 1);
        let busy = self.requests(|f| f.request.route == route);
        assert!(busy <= self.concurrency, "BND-1: {busy} requests on route {route}");
        if self.limited {
            self.within_limits(known.request, first);
        }
    }

    /// Requests that are waited for; those of a batch are one.
    fn requests(&self, of: impl Fn(&Flight) -> bool) -> usize {
        let waited = self.flights.iter().filter(|f| self.is_awaited(f) && of(f));
        let (batches, alone): (Vec<_>, Vec<_>) = waited.map(|f| f.batch).partition(Option::is_some);
        alone.len() + batches.into_iter().collect::<BTreeSet<_>>().len()
    }

    fn within_limits(&mut self, request: Request, first: bool) {
        let waited = |f: &&Flight| self.is_awaited(f);
        let all = self.requests(|_| true);
        assert!(all <= IN_FLIGHT, "BND-1: {all} requests in flight");
        let lock = |r: Request| (r.route, r.entity % 2);
        let locked = self.flights.iter().filter(waited).filter(|f| lock(f.request) == lock(request)).count();
        assert_eq!(locked, 1, "BND-1: {request:?} leaves while its lock is held");
        if first {
            self.me.left.push((request.route, self.now));
        }
        let since = (self.now + 1).saturating_sub(RATE_MS);
        let lately =
            self.me.left.iter().filter(|(route, at)| *route == request.route && *at >= since).count();
        assert!(lately as u64 <= RATE, "BND-1: {lately} requests within {RATE_MS} ms on one connection");
        if lately as u64 == RATE {
            self.seen.hit("used up its rate");
        }
        if all == IN_FLIGHT {
            self.seen.hit("all slots of the process taken");
        }
    }

    /// What the whole wait for a foreign Intent is for. A key that the target remembers makes the wait unnecessary.
    fn nothing_else_may_be_applied(&self, request: Request) {
        let remembered = matches!(ROUTES[request.route], delivery::Class::Keyed { .. });
        let live = self.flights.iter().find(|f| !f.reads && f.request == request && f.over > self.now);
        assert!(live.is_none() || remembered, "INT-1: {request:?} is resolved while {live:?} may be applied");
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        let Known { request, partition, .. } = self.me.tickets[&ticket];
        let state = &self.me.partitions[partition];
        let owner = state.assigned && (state.draining || self.clock().mono < state.lease_until);
        assert!(owner, "OWN-1: an outcome of {request:?} is written without a lease");
        let effects = self.targets.effects(request.event, request.route);
        match outcome.status {
            Status::Committed => {
                assert!(effects >= 1, "EFF-1: {request:?} is Committed without an effect");
                let halfway = self.targets.is_halfway(request.event, request.route);
                assert!(!halfway, "EFF-1: {request:?} is Committed while a step is missing");
            }
            Status::Rejected => {
                assert_eq!(effects, 0, "EFF-1: {request:?} is Rejected and has an effect");
                self.seen.hit("rejected");
            }
            Status::Superseded if outcome.reason.as_ref().is_some_and(|r| &*r.code == "SNK-0016") => {
                let newer = |r: &Request| (r.route, r.entity) == (request.route, request.entity);
                let newer = |r: &Request| newer(r) && r.version > request.version;
                let log = self.me.partitions[partition].log.iter();
                assert!(
                    log.flat_map(|l| &l.requests).any(newer),
                    "CON-1: nothing takes the place of {request:?}"
                );
                self.seen.hit("replaced by a newer version");
            }
            Status::Superseded => self.seen.hit("superseded"),
            Status::InDoubt => {
                self.nothing_else_may_be_applied(request);
                self.seen.hit("parked");
            }
        }
        if (outcome.status, outcome.resolved_by) == (Status::Committed, ResolvedBy::Resend) {
            self.seen.hit("resolved by a resend");
        }
        self.write(ticket, Entry::Outcome(outcome));
    }

    /// OFF-1: everything before the offset has its end durable.
    fn store_offset(&mut self, partition: usize, offset: i64) {
        if self.is_fenced() {
            return; // the group takes no commit of a former member
        }
        let state = &mut self.me.partitions[partition];
        assert!(state.stored < offset && offset <= state.position, "OFF-1: {offset} after {}", state.stored);
        for (at, record) in state.log[..offset as usize].iter().enumerate() {
            let lettered = !record.unreadable || self.ledger.has_unreadable(partition, at as i64);
            let settled = record.requests.iter().all(|r| self.ledger.outcome(r.event, r.route).is_some());
            assert!(
                lettered && settled,
                "OFF-1: offset {offset} of partition {partition} passes record {at}"
            );
        }
        state.stored = offset;
    }
}
