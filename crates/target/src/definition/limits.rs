//! What the vendor of a system allows every account, in the words of a connection's `limits`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::{DurationText, parse_duration};

/// The most of a number.
const MOST: u64 = 1_000_000_000;
/// Stretches of time that are counted over, milliseconds; 31 days at most.
const STRETCHES: std::ops::RangeInclusive<u64> = 100..=31 * 24 * 3_600_000;

/// What the vendor allows every account. A connection allows itself less, or says why it may have more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "LimitsText")]
pub struct Limits {
    /// The most requests in flight at once.
    pub concurrency: Option<u32>,
    /// Requests within a stretch of time.
    pub rate: Option<PerTime>,
    /// Requests within a long stretch of time.
    pub quota: Option<Quota>,
    /// A bucket of points.
    pub cost_bucket: Option<CostBucket>,
    /// The duration of all requests together, milliseconds, within a stretch of time.
    pub exec_time: Option<PerTime>,
}

/// So many within so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerTime {
    /// How many; of `exec_time`, milliseconds.
    pub max: u64,
    /// Within any stretch of this length, milliseconds.
    pub per_ms: u64,
}

/// Requests within a long stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
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
    /// Points of one request.
    pub request: u64,
}

/// Limits as they stand in the file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsText {
    /// The most requests in flight at once.
    #[schemars(range(min = 1, max = 1024))]
    concurrency: Option<u64>,
    /// Requests within a stretch of time.
    rate: Option<RateText>,
    /// Requests within a long stretch of time.
    quota: Option<QuotaText>,
    /// A bucket of points.
    cost_bucket: Option<CostText>,
    /// How long requests may take together within a stretch of time.
    exec_time: Option<ExecTimeText>,
}

/// Requests within a stretch of time.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RateText {
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    max: u64,
    /// In any stretch of this length; 1s unless said.
    #[schemars(with = "Option<DurationText>")]
    per: Option<String>,
}

/// Requests within a long stretch of time.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QuotaText {
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    max: u64,
    /// In any stretch of this length; 24h unless said.
    #[schemars(with = "Option<DurationText>")]
    per: Option<String>,
    /// What a connection leaves to others who use the account unless it says otherwise; 10.
    #[schemars(range(min = 0, max = 99))]
    reserve_percent: Option<u64>,
}

/// A bucket of points.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CostText {
    /// Points in a full bucket.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    capacity: u64,
    /// Points that come back in a second.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    per_second: u64,
    /// Points of one request; 1 unless said.
    request: Option<u64>,
}

/// How long requests may take together.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExecTimeText {
    /// How long.
    #[schemars(with = "DurationText")]
    max: String,
    /// In any stretch of this length; 5m unless said.
    #[schemars(with = "Option<DurationText>")]
    per: Option<String>,
}

impl TryFrom<LimitsText> for Limits {
    type Error = String;

    fn try_from(text: LimitsText) -> Result<Self, String> {
        let concurrency = text.concurrency.map(|most| within("concurrency", most, 1, 1_024)).transpose()?;
        Ok(Self {
            concurrency: concurrency.map(|most| most as u32),
            rate: text.rate.map(|rate| per_time("rate", rate.max, rate.per.as_deref(), "1s")).transpose()?,
            quota: text.quota.map(quota).transpose()?,
            cost_bucket: text.cost_bucket.map(cost_bucket).transpose()?,
            exec_time: text.exec_time.map(exec_time).transpose()?,
        })
    }
}

fn per_time(of: &str, max: u64, per: Option<&str>, usual: &str) -> Result<PerTime, String> {
    let max = within(&format!("{of}.max"), max, 1, MOST)?;
    Ok(PerTime { max, per_ms: stretch(&format!("{of}.per"), per.unwrap_or(usual))? })
}

fn quota(text: QuotaText) -> Result<Quota, String> {
    let whole = per_time("quota", text.max, text.per.as_deref(), "24h")?;
    let reserve = within("quota.reserve_percent", text.reserve_percent.unwrap_or(10), 0, 99)?;
    Ok(Quota { whole, reserve_percent: reserve as u8 })
}

fn cost_bucket(text: CostText) -> Result<CostBucket, String> {
    let capacity = within("cost_bucket.capacity", text.capacity, 1, MOST)?;
    let per_second = within("cost_bucket.per_second", text.per_second, 1, MOST)?;
    let request = within("cost_bucket.request", text.request.unwrap_or(1), 1, capacity)?;
    Ok(CostBucket { capacity, per_second, request })
}

fn exec_time(text: ExecTimeText) -> Result<PerTime, String> {
    let max = stretch("exec_time.max", &text.max)?;
    Ok(PerTime { max, per_ms: stretch("exec_time.per", text.per.as_deref().unwrap_or("5m"))? })
}

fn within(field: &str, value: u64, least: u64, most: u64) -> Result<u64, String> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(format!("`limits.{field}` must be {least} to {most}, not {value}"))
}

fn stretch(field: &str, text: &str) -> Result<u64, String> {
    let fits = parse_duration(text).filter(|ms| STRETCHES.contains(ms));
    fits.ok_or_else(|| {
        format!("`limits.{field}` must be a duration of 100ms to 31d, for example 10s, not `{text}`")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(yaml: &str) -> Result<Limits, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_is_read_with_the_usual_stretches() {
        let whole = "{concurrency: 5, rate: {max: 60, per: 1m}, quota: {max: 5000, reserve_percent: 0}, \
                     cost_bucket: {capacity: 100, per_second: 50, request: 10}, exec_time: {max: 20m}}";
        let day = PerTime { max: 5_000, per_ms: 86_400_000 };
        let expected = Limits {
            concurrency: Some(5),
            rate: Some(PerTime { max: 60, per_ms: 60_000 }),
            quota: Some(Quota { whole: day, reserve_percent: 0 }),
            cost_bucket: Some(CostBucket { capacity: 100, per_second: 50, request: 10 }),
            exec_time: Some(PerTime { max: 1_200_000, per_ms: 300_000 }),
        };
        assert_eq!(read(whole).unwrap(), expected);
        assert_eq!(read("{rate: {max: 8}}").unwrap().rate, Some(PerTime { max: 8, per_ms: 1_000 }));
        assert_eq!(read("{quota: {max: 8}}").unwrap().quota.unwrap().reserve_percent, 10);
        assert_eq!(read("{}").unwrap(), Limits::default());
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_field() {
        for (yaml, said) in [
            ("{concurrency: 0}", "`limits.concurrency` must be 1 to 1024, not 0"),
            ("{rate: {max: 0}}", "`limits.rate.max` must be 1 to"),
            ("{rate: {max: 1, per: soon}}", "`limits.rate.per` must be a duration"),
            ("{quota: {max: 1, per: 32d}}", "`limits.quota.per` must be a duration"),
            ("{quota: {max: 1, reserve_percent: 100}}", "`limits.quota.reserve_percent` must be 0 to 99"),
            (
                "{cost_bucket: {capacity: 5, per_second: 1, request: 6}}",
                "`limits.cost_bucket.request` must be 1 to 5",
            ),
            ("{exec_time: {max: 1ms}}", "`limits.exec_time.max` must be a duration"),
            ("{exec_time: {per: 5m}}", "max"),
            ("{serialize_on: customer.id}", "serialize_on"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(said), "{yaml}: {error}");
        }
    }
}
