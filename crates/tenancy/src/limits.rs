//! What a connection's target may be asked for at a time and over time.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    fields::Fields,
    node::{Node, Value},
    problem::{Position, Report, code},
};

/// The limits that the vendor of a system sets too, and that a connection can have raised.
const OF_VENDORS: [&str; 5] = ["concurrency", "rate", "quota", "cost_bucket", "exec_time"];
/// The most requests in flight where nobody says how many.
pub const DEFAULT_CONCURRENCY: usize = 16;
const MOST: u32 = 1_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);
/// Stretches of time that are counted over; 31 days at most.
const STRETCHES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(31 * 24 * 3_600);

/// What a connection says of how much its target may be asked for; its connector's definition says what the vendor allows. Sinks that share a group share all of it but the concurrency, each by its
/// part of the tenant's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most requests in flight at once, of each sink.
    pub concurrency: Option<usize>,
    /// Requests within a stretch of time.
    pub rate: Option<PerTime>,
    /// Requests within a long stretch of time, less what is reserved for others.
    pub quota: Option<RequestQuota>,
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
    /// Limits that may be more than what the vendor allows every account, each with the reason.
    pub raised: BTreeMap<String, String>,
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

/// Requests within a long stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestQuota {
    /// The whole of it.
    pub whole: PerTime,
    /// The part of it that is left to others who use the account.
    pub reserve_percent: u8,
}

/// A bucket of points that a request takes from and time fills up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostBucket {
    /// Points in a full bucket.
    pub capacity: u64,
    /// Points that come back in a second.
    pub per_second: u64,
    /// Points of one request, where it is said.
    pub request: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: None,
            rate: None,
            quota: None,
            cost_bucket: None,
            exec_time: None,
            serialize_on: None,
            bulk: 1,
            shares: Shares::default(),
            raised: BTreeMap::new(),
        }
    }
}

/// Reads `limits`.
pub(crate) fn read(report: Report<'_>, fields: &Fields<'_>) -> Option<Limits> {
    const KNOWN: &[&str] = &[
        "concurrency",
        "rate",
        "quota",
        "cost_bucket",
        "exec_time",
        "serialize_on",
        "bulk",
        "shares",
        "raised",
    ];
    let Some(node) = fields.get("limits") else { return Some(Limits::default()) };
    let fields = Fields::open(report, node, KNOWN)?;
    let concurrency = optional(&fields, "concurrency", |_| fields.integer("concurrency", 1..=1024, 1));
    let rate = optional(&fields, "rate", |node| per_time(report, node, Duration::from_secs(1)));
    let quota = optional(&fields, "quota", |node| read_quota(report, node));
    let cost_bucket = optional(&fields, "cost_bucket", |node| read_cost(report, node));
    let exec_time = optional(&fields, "exec_time", |node| read_exec_time(report, node));
    let serialize_on = optional(&fields, "serialize_on", |node| {
        fields.as_text("serialize_on", node).map(|(text, _)| text.to_owned())
    });
    let bulk = fields.integer("bulk", 1..=1024, 1);
    let shares = optional(&fields, "shares", |node| read_shares(report, node));
    let raised = optional(&fields, "raised", |node| read_raised(&fields, node));
    Some(Limits {
        concurrency: concurrency?.map(|most| most as usize),
        rate: rate?,
        quota: quota?,
        cost_bucket: cost_bucket?,
        exec_time: exec_time?,
        serialize_on: serialize_on?,
        bulk: bulk?,
        shares: shares?.unwrap_or_default(),
        raised: raised?.unwrap_or_default(),
    })
}

/// Where the file gives each limit that the vendor sets too.
pub(crate) fn places(fields: &Fields<'_>) -> BTreeMap<String, Position> {
    let Some(Value::Map(entries)) = fields.get("limits").map(|node| &node.value) else {
        return BTreeMap::new();
    };
    let of_vendors = entries.iter().filter(|(name, ..)| OF_VENDORS.contains(&name.as_str()));
    of_vendors.map(|(name, _, node)| (name.clone(), node.at)).collect()
}

/// Reads the reasons of limits that are more than the vendor's; each limit must be given too.
fn read_raised(limits: &Fields<'_>, node: &Node) -> Option<BTreeMap<String, String>> {
    let fields = Fields::open(limits.report, node, &OF_VENDORS)?;
    let given = OF_VENDORS.iter().filter(|name| fields.get(name).is_some());
    let reasons = given.map(|name| {
        let (reason, at) = fields.text(name)?;
        if limits.get(name).is_none() {
            let message = format!("`raised` has a reason for `{name}`, which `limits` does not give");
            limits.report.add(code::BAD_VALUE, at, message);
            return None;
        }
        Some(((*name).to_owned(), reason.to_owned()))
    });
    reasons.collect()
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

fn read_quota(report: Report<'_>, node: &Node) -> Option<RequestQuota> {
    let fields = Fields::open(report, node, &["max", "per", "reserve_percent"])?;
    let max = required(&fields, "max", 1..=MOST);
    let per = fields.duration("per", STRETCHES, 24 * HOUR);
    let reserve = fields.integer("reserve_percent", 0..=99, 10);
    let whole = PerTime { max: u64::from(max?), per: per? };
    Some(RequestQuota { whole, reserve_percent: reserve? as u8 })
}

fn read_cost(report: Report<'_>, node: &Node) -> Option<CostBucket> {
    let fields = Fields::open(report, node, &["capacity", "per_second", "request"])?;
    let capacity = required(&fields, "capacity", 1..=MOST);
    let per_second = required(&fields, "per_second", 1..=MOST);
    let request =
        optional(&fields, "request", |_| fields.integer("request", 1..=capacity.unwrap_or(MOST), 1));
    Some(CostBucket {
        capacity: u64::from(capacity?),
        per_second: u64::from(per_second?),
        request: request?.map(u64::from),
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
