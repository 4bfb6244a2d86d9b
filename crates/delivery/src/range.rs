//! The Intent that a range of records shares: durable before any of them is sent without one of its own.

use crate::posting::Ticket;

/// What is known and asked of a partition's range. Offsets are the first ones that it does not cover.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Range {
    /// Left by earlier owners: what is below and has no outcome may have been sent.
    pub(crate) inherited: i64,
    /// Durable, by this owner.
    durable: i64,
    /// Asked for.
    asked: i64,
    /// Postings that wait for the range to reach them.
    waiting: Vec<Ticket>,
}

impl Range {
    /// Whether a record may be sent under the range.
    pub(crate) fn covers(&self, offset: i64) -> bool {
        offset < self.durable
    }

    /// The range to ask for so that sending at `offset` need not wait, now or `ahead` records later.
    pub(crate) fn ask(&mut self, offset: i64, ahead: usize) -> Option<i64> {
        let ahead = ahead as i64;
        if offset + ahead < self.asked {
            return None;
        }
        self.asked = offset + 2 * ahead + 1;
        Some(self.asked)
    }

    pub(crate) fn wait(&mut self, ticket: Ticket) {
        self.waiting.push(ticket);
    }

    /// The range reaches as far as `until`. Gives back who waited.
    pub(crate) fn reached(&mut self, until: i64) -> Vec<Ticket> {
        self.durable = self.durable.max(until);
        std::mem::take(&mut self.waiting)
    }

    /// What was asked for cannot be had now. Gives back who waited.
    pub(crate) fn failed(&mut self) -> Vec<Ticket> {
        self.asked = self.durable;
        std::mem::take(&mut self.waiting)
    }
}
