//! The window of a partition: the records between the committed offset and the newest one seen.

use std::collections::VecDeque;

use crate::check_invariant;

/// A partition of an input topic, numbered densely by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId(pub u32);

#[derive(Clone, Debug, Hash)]
struct Entry {
    offset: i64,
    pending: u32,
}

/// The records of one partition that are not all settled yet, in offset order.
///
/// Invariant OFF-1: [`Window::settle`] only ever yields the end of the contiguous settled prefix.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Window {
    entries: VecDeque<Entry>,
    last_stored: i64,
}

impl Window {
    /// An empty window whose next record has `next_offset` or more.
    pub(crate) fn new(next_offset: i64) -> Self {
        Self { entries: VecDeque::new(), last_stored: next_offset }
    }

    /// How many records are in the window.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The first offset that was not seen yet.
    pub(crate) fn next(&self) -> i64 {
        self.entries.back().map_or(self.last_stored, |e| e.offset + 1)
    }

    /// Whether `offset` would be a new record. After a rebalance the log may hand out a record twice.
    pub(crate) fn is_new(&self, offset: i64) -> bool {
        offset >= self.next()
    }

    /// Adds a record with `pending` postings to settle. Returns the offset to store if it has none and heads the window.
    pub(crate) fn push(&mut self, offset: i64, pending: u32) -> Option<i64> {
        check_invariant!(ContiguousPrefix, self.is_new(offset));
        self.entries.push_back(Entry { offset, pending });
        self.advance()
    }

    /// One posting of the record at `offset` is settled. Returns the offset to store if the prefix grew.
    pub(crate) fn settle(&mut self, offset: i64) -> Option<i64> {
        if let Ok(at) = self.entries.binary_search_by_key(&offset, |e| e.offset) {
            check_invariant!(ContiguousPrefix, self.entries[at].pending > 0);
            self.entries[at].pending = self.entries[at].pending.saturating_sub(1);
        }
        self.advance()
    }

    /// The record at `offset`, which was held as one, turned out to have `pending` postings. Returns the offset to store if the prefix grew.
    pub(crate) fn turn_out(&mut self, offset: i64, pending: u32) -> Option<i64> {
        if let Ok(at) = self.entries.binary_search_by_key(&offset, |e| e.offset) {
            check_invariant!(ContiguousPrefix, self.entries[at].pending == 1);
            self.entries[at].pending = pending;
        }
        self.advance()
    }

    fn advance(&mut self) -> Option<i64> {
        let before = self.last_stored;
        while self.entries.front().is_some_and(|e| e.pending == 0) {
            if let Some(done) = self.entries.pop_front() {
                self.last_stored = done.offset + 1;
            }
        }
        (self.last_stored != before).then_some(self.last_stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_contiguous_prefix_is_stored() {
        let mut window = Window::new(10);
        for offset in [10, 11, 13] {
            assert_eq!(window.push(offset, 1), None);
        }
        assert_eq!(window.settle(11), None);
        assert_eq!(window.settle(13), None);
        assert_eq!(window.settle(10), Some(14), "a gap in the log is no hole in the prefix");
        assert_eq!(window.len(), 0);
    }

    #[test]
    fn a_held_record_may_turn_out_to_have_any_number_of_postings() {
        let mut window = Window::new(0);
        for offset in 0..3 {
            assert_eq!(window.push(offset, 1), None);
        }
        assert_eq!(window.turn_out(1, 0), None);
        assert_eq!(window.turn_out(0, 2), None);
        assert_eq!(window.settle(0), None);
        assert_eq!(window.settle(0), Some(2), "what has none is over with what is before it");
    }

    #[test]
    fn a_record_waits_for_all_its_routes() {
        let mut window = Window::new(0);
        assert_eq!(window.push(0, 2), None);
        assert_eq!(window.push(1, 0), None);
        assert_eq!(window.settle(0), None);
        assert_eq!(window.settle(0), Some(2));
        assert!(!window.is_new(1));
        assert!(window.is_new(2));
    }
}
