//! Where what a vendor allows every account and what a connection allows itself meet: of both, whatever is less.

use std::fmt;

use delivery::Limit;
use target::definition as vendor;
use tenancy::{CostBucket, DEFAULT_CONCURRENCY, Limits, PerTime, RequestQuota};

use crate::Span;

/// A limit of a connection that is more than its vendor allows.
pub(crate) const TOO_MUCH: &str = "CFG-0124";

/// What a connection may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The most requests in flight, of each sink.
    pub concurrency: usize,
    /// What it may be asked for over time.
    pub budgets: Vec<Limit>,
    /// Limits that are more than the vendor's, each with the connection's reason.
    pub raised: Vec<(&'static str, String)>,
}

/// A limit of a connection that is more than the vendor's, without a reason. The vendor's is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// Which.
    pub(crate) limit: &'static str,
    /// What it says, and what the vendor allows.
    pub(crate) what: String,
}

/// What a connection with these limits may be asked for, and where it wants more than it may.
pub(crate) fn allowed(said: &Limits, vendor: &vendor::Limits) -> (Allowed, Vec<Excess>) {
    let mut meeting = Meeting { said, raised: Vec::new(), excess: Vec::new() };
    let concurrency = meeting.concurrency(vendor.concurrency);
    let rates = meeting.stretches(
        "rate",
        (said.rate.map(Stretch::of), vendor.rate.map(Stretch::of_vendor)),
        Stretch::requests,
    );
    let quotas = meeting.stretches(
        "quota",
        (said.quota.map(Stretch::of_quota), vendor.quota.map(Stretch::of_vendors_quota)),
        Stretch::requests,
    );
    let cost = meeting.cost(vendor.cost_bucket);
    let times = meeting.stretches(
        "exec_time",
        (said.exec_time.map(Stretch::of), vendor.exec_time.map(Stretch::of_vendor)),
        Stretch::time,
    );
    let budgets = rates.into_iter().chain(quotas).chain(cost).chain(times).collect();
    (Allowed { concurrency, budgets, raised: meeting.raised }, meeting.excess)
}

/// So many, or so many milliseconds, within so much time.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    max: u64,
    per_ms: u64,
    /// What of it is left to others, percent.
    reserve: u8,
}

impl Stretch {
    fn of(said: PerTime) -> Self {
        Self { max: said.max, per_ms: said.per.as_millis() as u64, reserve: 0 }
    }

    fn of_quota(said: RequestQuota) -> Self {
        Self { reserve: said.reserve_percent, ..Self::of(said.whole) }
    }

    fn of_vendor(vendor: vendor::PerTime) -> Self {
        Self { max: vendor.max, per_ms: vendor.per_ms, reserve: 0 }
    }

    fn of_vendors_quota(vendor: vendor::Quota) -> Self {
        Self { reserve: vendor.reserve_percent, ..Self::of_vendor(vendor.whole) }
    }

    fn requests(self) -> Limit {
        let left = self.max * u64::from(100 - self.reserve) / 100;
        Limit::Rate { max: left.max(1), per_ms: self.per_ms }
    }

    fn time(self) -> Limit {
        Limit::Time { max_ms: self.max, per_ms: self.per_ms }
    }

    /// The most that this lets through in any stretch of so many milliseconds.
    fn most_within(self, ms: u64) -> u64 {
        self.max.saturating_mul(ms.div_ceil(self.per_ms))
    }
}

/// The two while they are brought together.
struct Meeting<'a> {
    said: &'a Limits,
    raised: Vec<(&'static str, String)>,
    excess: Vec<Excess>,
}

impl Meeting<'_> {
    /// Whether a limit that is more than the vendor's has a reason for that.
    fn has_reason(&mut self, limit: &'static str, what: String) -> bool {
        match self.said.raised.get(limit) {
            Some(reason) => self.raised.push((limit, reason.clone())),
            None => self.excess.push(Excess { limit, what }),
        }
        self.said.raised.contains_key(limit)
    }

    fn concurrency(&mut self, vendor: Option<u32>) -> usize {
        let vendor = vendor.map(|most| most as usize);
        match (self.said.concurrency, vendor) {
            (Some(said), Some(most)) if said > most => {
                let what = format!("`concurrency: {said}` is more than the {most} at a time");
                if self.has_reason("concurrency", what) { said } else { most }
            }
            (Some(said), _) => said,
            // The vendor's is of the account and ours of each sink: a large one is no reason to be bold.
            (None, vendor) => vendor.map_or(DEFAULT_CONCURRENCY, |most| most.min(DEFAULT_CONCURRENCY)),
        }
    }

    /// Of two over the same time the lesser counts, of two over different times both: neither says what the other does.
    fn stretches(
        &mut self,
        limit: &'static str,
        (said, vendor): (Option<Stretch>, Option<Stretch>),
        budget: fn(Stretch) -> Limit,
    ) -> Vec<Limit> {
        let kept: Vec<Stretch> = match (said, vendor) {
            (Some(said), Some(most)) if most.most_within(said.per_ms) < said.max => {
                let [wanted, allowed] = [said, most].map(|of| Budget(budget(Stretch { reserve: 0, ..of })));
                let what = format!("`{limit}` of {wanted} is more than the {allowed}");
                vec![if self.has_reason(limit, what) { said } else { most }]
            }
            (Some(said), Some(most)) if said.per_ms == most.per_ms => vec![said],
            (said, vendor) => vendor.into_iter().chain(said).collect(),
        };
        kept.into_iter().map(budget).collect()
    }

    fn cost(&mut self, vendor: Option<vendor::CostBucket>) -> Option<Limit> {
        let bucket = |capacity, per_second, cost| Some(Limit::Cost { capacity, per_second, cost });
        let (said, most) = match (self.said.cost_bucket, vendor) {
            (None, None) => return None,
            (None, Some(most)) => return bucket(most.capacity, most.per_second, most.request),
            (Some(said), None) => return bucket(said.capacity, said.per_second, said.request.unwrap_or(1)),
            (Some(said), Some(most)) => (said, most),
        };
        let CostBucket { capacity, per_second, request } = said;
        let request = request.unwrap_or(most.request);
        let is_more = capacity > most.capacity || per_second > most.per_second || request < most.request;
        let what = format!(
            "`cost_bucket` of {capacity} points, {per_second} per s, {request} for a request is more than the {} points, {} per s, \
             {} for a request",
            most.capacity, most.per_second, most.request
        );
        if !is_more || self.has_reason("cost_bucket", what) {
            return bucket(capacity, per_second, request);
        }
        bucket(capacity.min(most.capacity), per_second.min(most.per_second), request.max(most.request))
    }
}

/// A limit over time, for people.
struct Budget(Limit);

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Limit::Rate { max, per_ms } => write!(f, "{max} per {}", Span(per_ms)),
            Limit::Time { max_ms, per_ms } => write!(f, "{max_ms} ms per {}", Span(per_ms)),
            Limit::Cost { capacity, per_second, .. } => write!(f, "{capacity} points, {per_second} per s"),
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at a time", self.concurrency)?;
        self.budgets.iter().try_for_each(|budget| write!(f, ", {}", Budget(*budget)))?;
        self.raised.iter().try_for_each(|(limit, reason)| write!(f, ", {limit} raised: {reason}"))
    }
}

#[cfg(test)]
mod tests;
