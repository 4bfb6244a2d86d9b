//! Who waits for an Intent on a connection: what is live, what is tried once more, what fills a gap, each with its share.

use std::collections::VecDeque;

use crate::posting::Ticket;

/// Why a posting is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// Its event has just happened.
    #[default]
    Live,
    /// An operator wants a few events to be delivered once more.
    Redrive,
    /// An operator wants a stretch of the past to be delivered once more.
    Backfill,
}

const KINDS: usize = 3;

/// How many of a connection's attempts each kind has, of the sum of those that wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shares {
    /// What is live.
    pub live: u32,
    /// What is tried once more.
    pub redrive: u32,
    /// What fills a gap.
    pub backfill: u32,
}

impl Default for Shares {
    fn default() -> Self {
        Self { live: 16, redrive: 4, backfill: 1 }
    }
}

impl Shares {
    fn all(self) -> [i64; KINDS] {
        [self.live, self.redrive, self.backfill].map(|share| i64::from(share.max(1)))
    }
}

/// Postings in line, by kind. One kind alone has everything.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Line {
    pub(crate) shares: Shares,
    waiting: [VecDeque<Ticket>; KINDS],
    /// What each kind has too little so far.
    credit: [i64; KINDS],
}

impl Line {
    pub(crate) fn push(&mut self, urgency: Urgency, ticket: Ticket) {
        self.waiting[urgency as usize].push_back(ticket);
    }

    /// Who is next.
    pub(crate) fn front(&self) -> Option<&Ticket> {
        self.waiting[self.turn()?].front()
    }

    pub(crate) fn pop(&mut self) -> Option<Ticket> {
        let turn = self.turn()?;
        let ticket = self.waiting[turn].pop_front();
        self.charge(turn);
        ticket
    }

    /// Puts the first of the next kind of whom `is_meant` holds before the others of its kind.
    pub(crate) fn prefer(&mut self, is_meant: impl FnMut(&Ticket) -> bool) {
        let Some(line) = self.turn().and_then(|turn| self.waiting.get_mut(turn)) else { return };
        if let Some(at) = line.iter().position(is_meant) {
            line.swap(0, at);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// The kind whose turn it is: the one that has most to its credit of those that wait, the more urgent one of equals.
    fn turn(&self) -> Option<usize> {
        let shares = self.shares.all();
        let waiting = (0..KINDS).filter(|kind| !self.waiting[*kind].is_empty());
        waiting.max_by_key(|kind| (self.credit[*kind] + shares[*kind], std::cmp::Reverse(*kind)))
    }

    /// A kind has had its turn, which those that wait beside it paid for.
    fn charge(&mut self, turn: usize) {
        let waits = |kind: usize| kind == turn || !self.waiting[kind].is_empty();
        let shares = self.shares.all();
        let beside: Vec<usize> = (0..KINDS).filter(|kind| waits(*kind)).collect();
        if beside.len() == 1 {
            self.credit = [0; KINDS]; // nobody was kept waiting
            return;
        }
        let sum: i64 = beside.iter().map(|kind| shares[*kind]).sum();
        beside.iter().for_each(|kind| self.credit[*kind] += shares[*kind]);
        self.credit[turn] -= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(slot: u32) -> Ticket {
        Ticket { slot, serial: 0 }
    }

    /// How many of each kind come out first: the thousands of a slot say its kind.
    fn taken(line: &mut Line, count: usize) -> [usize; KINDS] {
        let mut of = [0; KINDS];
        for _ in 0..count {
            let front = line.front().copied();
            let next = line.pop();
            assert_eq!(front, next, "who is next changes nothing");
            of[next.unwrap().slot as usize / 1_000] += 1;
        }
        of
    }

    #[test]
    fn each_kind_has_its_share_and_its_order_while_all_wait() {
        let mut line = Line::default();
        for n in 0..200 {
            line.push(Urgency::Backfill, ticket(2_000 + n));
            line.push(Urgency::Redrive, ticket(1_000 + n));
            line.push(Urgency::Live, ticket(n));
        }
        assert_eq!(line.front(), Some(&ticket(0)), "live goes first");
        assert_eq!(taken(&mut line, 21), [16, 4, 1]);
        assert_eq!(taken(&mut line, 210), [160, 40, 10]);
        assert_eq!(taken(&mut line, 369)[0], 24, "the rest of them, and nobody is left out");
        assert!(line.is_empty() && line.pop().is_none());
    }

    #[test]
    fn one_kind_alone_has_everything_and_owes_nothing_for_it() {
        let mut line = Line::default();
        (0..100).for_each(|n| line.push(Urgency::Backfill, ticket(2_000 + n)));
        assert_eq!(taken(&mut line, 50), [0, 0, 50]);
        (0..32).for_each(|n| line.push(Urgency::Live, ticket(n)));
        assert_eq!(taken(&mut line, 17), [16, 0, 1]);
    }

    #[test]
    fn a_share_of_nothing_still_comes_to_its_end() {
        let mut line = Line { shares: Shares { live: 1_000, redrive: 0, backfill: 0 }, ..Line::default() };
        line.push(Urgency::Backfill, ticket(2_000));
        (0..2_000).for_each(|n| line.push(Urgency::Live, ticket(n % 1_000)));
        assert_eq!(taken(&mut line, 1_001)[2], 1);
    }

    #[test]
    fn whoever_is_preferred_goes_first_of_its_kind() {
        let mut line = Line::default();
        (0..3).for_each(|n| line.push(Urgency::Live, ticket(n)));
        line.prefer(|next| next.slot == 2);
        assert_eq!((line.pop(), line.pop()), (Some(ticket(2)), Some(ticket(1))));
    }
}
