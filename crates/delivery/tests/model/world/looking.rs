//! What somebody who sees everything knows of a world: where a posting stands, and what waits for which moment.

use super::{Flight, Known, Letter, World};
use crate::{
    ledger::{Entry, Write},
    target::Request,
};

/// Where a posting stands, at the process that owns it. A crash at each of these is row F01 of the fault plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    NotFetched,
    Polled,
    /// Behind another one, for a lease, for a slot or for a moment.
    Waits,
    IntentAsked,
    IntentDurable,
    RangeAsked,
    Sent,
    /// The target has worked on it; its answer is on its way.
    Answered,
    Looks,
    Looked,
    LetterAsked,
    LetterAcked,
    OutcomeAsked,
    OutcomeDurable,
    /// It is over; its offset is not stored, stored, committed.
    Over,
    OffsetStored,
    OffsetCommitted,
}

impl World {
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What the request asks for, and whether it only looks.
    pub fn flight(&self, at: usize) -> (Request, bool) {
        (self.flights[at].request, self.flights[at].reads)
    }

    /// When the core wants to be woken, in true time.
    pub fn next_wake(&self) -> Option<u64> {
        self.me.core.next_wake().map(|mono| self.me.born + mono)
    }

    /// Whether an operator paused the route.
    pub fn is_paused(&self, route: usize) -> bool {
        self.paused[route]
    }

    /// When the next lease ends, in true time.
    pub fn lease_end(&self) -> Option<u64> {
        let now = self.clock().mono;
        let ends = self.me.partitions.iter().filter(|p| p.assigned && p.lease_until > now);
        ends.map(|p| self.me.born + p.lease_until).min()
    }

    /// How many requests that somebody waits for time out until then.
    pub fn timing_out(&self, until: u64) -> usize {
        self.flights.iter().filter(|f| f.ticket.is_some() && f.times_out <= until).count()
    }

    pub fn has_intent_to_write(&self) -> bool {
        let intent = |w: &Write| matches!(w.entry, Entry::Intent(_));
        !self.me.asked.is_empty() || self.me.queue.iter().any(intent)
    }

    /// Where each posting of the logs stands.
    pub fn standings(&self) -> Vec<(usize, Point)> {
        let partitions = self.me.partitions.iter().enumerate();
        let records = partitions
            .flat_map(|(id, p)| p.log.iter().enumerate().map(move |(offset, r)| (id, offset as i64, r)));
        let requests = records.flat_map(|(id, offset, r)| r.requests.iter().map(move |r| (id, offset, *r)));
        requests.map(|(id, offset, request)| (request.route, self.stands(id, offset, request))).collect()
    }

    fn stands(&self, partition: usize, offset: i64, request: Request) -> Point {
        let (me, at) = (&self.me, &self.me.partitions[partition]);
        let ours = |f: &&Flight| self.is_awaited(f) && f.request == request;
        if let Some(flight) = self.flights.iter().find(ours) {
            return match (flight.reads, flight.reply.is_some()) {
                (false, false) => Point::Sent,
                (false, true) => Point::Answered,
                (true, false) => Point::Looks,
                (true, true) => Point::Looked,
            };
        }
        let write = |w: &&Write| w.request == request;
        let letter = |l: &Letter| matches!(l, Letter::Posting(_, r) if *r == request);
        let known = |k: &Known| (k.partition, k.offset) == (partition, offset);
        let ticket = me.tickets.iter().find(|(_, k)| known(k) && k.request == request).map(|(t, _)| *t);
        match (me.queue.iter().find(write), me.unreported.iter().find(write)) {
            (Some(Write { entry: Entry::Intent(_), .. }), _) => Point::IntentAsked,
            (Some(Write { entry: Entry::Outcome(_), .. }), _) => Point::OutcomeAsked,
            (_, Some(Write { entry: Entry::Intent(_), .. })) => Point::IntentDurable,
            (_, Some(Write { entry: Entry::Outcome(_), .. })) => Point::OutcomeDurable,
            _ if me.letters.iter().any(letter) => Point::LetterAsked,
            _ if me.lettered.iter().any(letter) => Point::LetterAcked,
            _ if ticket.is_some_and(|t| me.consults.contains(&t)) => Point::Polled,
            _ if ticket.is_some() && me.asked.iter().any(|(p, _)| *p == partition) => Point::RangeAsked,
            _ if ticket.is_some() => Point::Waits,
            _ if at.committed > offset => Point::OffsetCommitted,
            _ if at.stored > offset => Point::OffsetStored,
            _ if at.position > offset => Point::Over,
            _ => Point::NotFetched,
        }
    }
}
