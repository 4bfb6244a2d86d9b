//! What a connection's target may be asked for at a time and over time.

use std::time::Duration;

use crate::{fields::Fields, node::Node, problem::Report};

const DEFAULT_CONCURRENCY: u32 = 16;
const MOST: u32 = 1_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);
/// Stretches of time that are counted over; 31 days at most.
const STRETCHES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(31 * 24 * 3_600);

/// What a connection's target may be asked for. Sinks that share a group share all of it but the concurrency, each by its
/// part of the tenant's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most requests in flight at once, of each sink.
    pub concurrency: usize,
    /// Requests within a stretch of time.
    pub rate: Option<PerTime>,
    /// Requests within a long stretch of time, less what is reserved for others.
    pub quota: Option<PerTime>,
    /// A bucket of points.
    pub cost_bucket: Option<CostBucket>,
    /// The duration of all requests together, milliseconds, within a stretch of time.
    pub exec_time: Option<PerTime>,
    /// A field of the event's data, `a.b.c`: requests whose field says the same go one after the other, since the target
    /// locks what it names.
    pub serialize_on: Option<String>,
    /// The most events that share a request, where the connector can do that; 1: each has its own.
    pub bulk: u32,
    /// How attempts are divided while several kinds of events wait.
    pub shares: Shares,
}

/// How a connection's attempts are divided between what is live and what is delivered once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// What has just happened.
    pub live: u32,
    /// A few events that are tried once more.
    pub redrive: u32,
    /// A stretch of the past.
    pub backfill: u32,
}

impl Default for Shares {
    fn default() -> Self {
        Self { live: 16, redrive: 4, backfill: 1 }
    }
}

/// So many within so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerTime {
    /// How many; of `exec_time`, milliseconds.
    pub max: u64,
    /// Within any stretch of this length.
    pub per: Duration,
}

/// A bucket of points that a request takes from and time fills up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostBucket {
    /// Points in a full bucket.
    pub capacity: u64,
    /// Points that come back in a second.
    pub per_second: u64,
    /// Points of one request.
    pub request: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: DEFAULT_CONCURRENCY as usize,
            rate: None,
            quota: None,
            cost_bucket: None,
            exec_time: None,
            serialize_on: None,
            bulk: 1,
            shares: Shares::default(),
        }
    }
}

/// Reads `limits`.
pub(crate) fn read(report: Report<'_>, fields: &Fields<'_>) -> Option<Limits> {
    const KNOWN: &[&str] =
        &["concurrency", "rate", "quota", "cost_bucket", "exec_time", "serialize_on", "bulk", "shares"];
    let Some(node) = fields.get("limits") else { return Some(Limits::default()) };
    let fields = Fields::open(report, node, KNOWN)?;
    let concurrency = fields.integer("concurrency", 1..=1024, DEFAULT_CONCURRENCY);
    let rate = optional(&fields, "rate", |node| per_time(report, node, Duration::from_secs(1)));
    let quota = optional(&fields, "quota", |node| read_quota(report, node));
    let cost_bucket = optional(&fields, "cost_bucket", |node| read_cost(report, node));
    let exec_time = optional(&fields, "exec_time", |node| read_exec_time(report, node));
    let serialize_on = optional(&fields, "serialize_on", |node| {
        fields.as_text("serialize_on", node).map(|(text, _)| text.to_owned())
    });
    let bulk = fields.integer("bulk", 1..=1024, 1);
    let shares = optional(&fields, "shares", |node| read_shares(report, node));
    Some(Limits {
        concurrency: usize::try_from(concurrency?).ok()?,
        rate: rate?,
        quota: quota?,
        cost_bucket: cost_bucket?,
        exec_time: exec_time?,
        serialize_on: serialize_on?,
        bulk: bulk?,
        shares: shares?.unwrap_or_default(),
    })
}

fn read_shares(report: Report<'_>, node: &Node) -> Option<Shares> {
    let fields = Fields::open(report, node, &["live", "redrive", "backfill"])?;
    let default = Shares::default();
    let live = fields.integer("live", 1..=1_000, default.live);
    let redrive = fields.integer("redrive", 1..=1_000, default.redrive);
    let backfill = fields.integer("backfill", 1..=1_000, default.backfill);
    Some(Shares { live: live?, redrive: redrive?, backfill: backfill? })
}

/// `Some(None)` if the field is absent, `None` if it was there and is wrong.
fn optional<'a, T>(
    fields: &Fields<'a>,
    name: &str,
    read: impl FnOnce(&'a Node) -> Option<T>,
) -> Option<Option<T>> {
    match fields.get(name) {
        Some(node) => read(node).map(Some),
        None => Some(None),
    }
}

fn per_time(report: Report<'_>, node: &Node, default: Duration) -> Option<PerTime> {
    let fields = Fields::open(report, node, &["max", "per"])?;
    let max = required(&fields, "max", 1..=MOST);
    let per = fields.duration("per", STRETCHES, default);
    Some(PerTime { max: u64::from(max?), per: per? })
}

fn read_quota(report: Report<'_>, node: &Node) -> Option<PerTime> {
    let fields = Fields::open(report, node, &["max", "per", "reserve_percent"])?;
    let max = required(&fields, "max", 1..=MOST);
    let per = fields.duration("per", STRETCHES, 24 * HOUR);
    let reserve = fields.integer("reserve_percent", 0..=99, 10);
    let left = u64::from(max?) * u64::from(100 - reserve?) / 100;
    Some(PerTime { max: left.max(1), per: per? })
}

fn read_cost(report: Report<'_>, node: &Node) -> Option<CostBucket> {
    let fields = Fields::open(report, node, &["capacity", "per_second", "request"])?;
    let capacity = required(&fields, "capacity", 1..=MOST);
    let per_second = required(&fields, "per_second", 1..=MOST);
    let request = fields.integer("request", 1..=capacity.unwrap_or(MOST), 1);
    Some(CostBucket {
        capacity: u64::from(capacity?),
        per_second: u64::from(per_second?),
        request: u64::from(request?),
    })
}

fn read_exec_time(report: Report<'_>, node: &Node) -> Option<PerTime> {
    let fields = Fields::open(report, node, &["max", "per"])?;
    let max = fields.require("max").and_then(|_| fields.duration("max", STRETCHES, HOUR));
    let per = fields.duration("per", STRETCHES, Duration::from_secs(300));
    Some(PerTime { max: u64::try_from(max?.as_millis()).ok()?, per: per? })
}

fn required(fields: &Fields<'_>, name: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    fields.require(name).and_then(|_| fields.integer(name, range, 1))
}
