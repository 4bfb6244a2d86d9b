//! What answers tell of a limit: how much of it is left.

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Request,
    value::{DurationText, parse_duration},
};
use crate::path::JsonPath;

/// How often a probe asks unless it is said.
const EVERY_MS: u64 = 600_000;
/// How often it may ask.
const OFTEN: std::ops::RangeInclusive<u64> = 1_000..=86_400_000;

/// Where answers tell how much of a limit of the whole account is left.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "SignalText")]
pub struct Signal {
    pub(crate) limit: SignalLimit,
    pub(crate) place: SignalPlace,
    /// The stretch of time that the limit counts in, milliseconds; none for a bucket that does not say.
    pub(crate) per_ms: Option<u64>,
    /// What others keep, in percent of the whole.
    pub(crate) reserve: u8,
    /// The question that is answered by it, where other answers do not tell it.
    pub(crate) probe: Option<Probe>,
}

/// A question for what is left, which is asked now and then.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) request: Request,
    pub(crate) every_ms: u64,
}

/// Where the numbers stand.
#[derive(Clone, Debug)]
pub(crate) enum SignalPlace {
    /// A header with what is left; others with the whole, and with the seconds until all of it is there again.
    Remaining { header: HeaderName, max: Option<HeaderName>, reset: Option<HeaderName> },
    /// A header with `used/max`, behind a prefix.
    Pair { header: HeaderName, prefix: String },
    /// A number in the body with what is left, and one with the whole.
    Body { path: JsonPath, max: Option<JsonPath> },
}

/// A signal as it stands in the file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalText {
    /// Which kind of limit it tells of. With `per`, it is the one that a connection sets for the same stretch of time.
    limit: SignalLimit,
    /// Where it stands.
    kind: SignalKind,
    /// The header, of `remaining_header` and `usage_pair_header`.
    header: Option<String>,
    /// What stands before `used/max` in the header, for example `api-usage=`; of `usage_pair_header`.
    prefix: Option<String>,
    /// The path to what is left, of `body_path` and `probe`.
    path: Option<String>,
    /// Where the whole stands: a header of `remaining_header`, a path of `body_path` and `probe`.
    max: Option<String>,
    /// The request whose answer tells it, of `probe`; it must change nothing.
    request: Option<Request>,
    /// How often that is asked while something is sent, of `probe`; 10m unless said.
    #[schemars(with = "Option<DurationText>")]
    every: Option<String>,
    /// The header with the seconds until all of it is there again, of `remaining_header`.
    reset: Option<String>,
    /// The stretch of time that the limit counts in. Of a `cost_bucket`: how long to wait when it is empty.
    #[schemars(with = "Option<DurationText>")]
    per: Option<String>,
    /// What is left for others, of the whole, for example `10%`. The whole must be told.
    #[schemars(extend("pattern" = "^[0-9]{1,2}%$"))]
    reserve: Option<String>,
}

/// The kinds of limits that answers tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalLimit {
    /// Requests within a short stretch of time.
    Rate,
    /// Requests within a long one.
    Quota,
    /// Points in a bucket.
    CostBucket,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SignalKind {
    /// A header with what is left.
    RemainingHeader,
    /// A header with `used/max`.
    UsagePairHeader,
    /// A number in the body with what is left.
    BodyPath,
    /// The same, in the answer to a request that asks for it.
    Probe,
}

impl TryFrom<SignalText> for Signal {
    type Error = String;

    fn try_from(text: SignalText) -> Result<Self, String> {
        let (place, probe) = (text.place()?, text.probe()?);
        let per_ms = text.per.as_deref().map(duration).transpose()?;
        if per_ms.is_none() && text.limit != SignalLimit::CostBucket {
            return Err("a signal of a `rate` or a `quota` needs `per`, for example 24h".to_owned());
        }
        let reserve = text.reserve.as_deref().map_or(Ok(0), percent)?;
        let whole = match &place {
            SignalPlace::Remaining { max, .. } => max.is_some(),
            SignalPlace::Pair { .. } => true,
            SignalPlace::Body { max, .. } => max.is_some(),
        };
        if reserve > 0 && !whole {
            return Err("`reserve` is a part of the whole: say in `max` where that stands".to_owned());
        }
        Ok(Self { limit: text.limit, place, per_ms, reserve, probe })
    }
}

impl SignalText {
    fn place(&self) -> Result<SignalPlace, String> {
        match self.kind {
            SignalKind::RemainingHeader => {
                self.has_no("remaining_header", &[("path", &self.path), ("prefix", &self.prefix)])?;
                let (max, reset) = (self.max.as_deref(), self.reset.as_deref());
                Ok(SignalPlace::Remaining {
                    header: name(needed(&self.header, "header")?)?,
                    max: max.map(name).transpose()?,
                    reset: reset.map(name).transpose()?,
                })
            }
            SignalKind::UsagePairHeader => {
                let others = [("path", &self.path), ("max", &self.max), ("reset", &self.reset)];
                self.has_no("usage_pair_header", &others)?;
                let prefix = self.prefix.clone().unwrap_or_default();
                // What can stand in no header would never be found.
                if HeaderValue::from_str(&prefix).is_err() || prefix.contains([',', ';']) {
                    return Err(format!("`prefix: {prefix}` cannot stand in a header, or ends a part of it"));
                }
                Ok(SignalPlace::Pair { header: name(needed(&self.header, "header")?)?, prefix })
            }
            SignalKind::BodyPath | SignalKind::Probe => {
                let others = [("header", &self.header), ("prefix", &self.prefix), ("reset", &self.reset)];
                let kind = if self.kind == SignalKind::Probe { "probe" } else { "body_path" };
                self.has_no(kind, &others)?;
                let max = self.max.as_deref().map(path).transpose()?;
                Ok(SignalPlace::Body { path: path(needed(&self.path, "path")?)?, max })
            }
        }
    }

    fn probe(&self) -> Result<Option<Probe>, String> {
        let every = self.every.as_deref();
        match (&self.request, self.kind) {
            (None, SignalKind::Probe) => Err("a signal of kind `probe` needs `request`".to_owned()),
            (Some(request), SignalKind::Probe) => {
                let every_ms = every.map_or(Some(EVERY_MS), parse_duration).filter(|ms| OFTEN.contains(ms));
                let every_ms = every_ms.ok_or("`every` must be a duration of 1s to 24h, for example 10m")?;
                Ok(Some(Probe { request: request.clone(), every_ms }))
            }
            (None, _) if every.is_none() => Ok(None),
            _ => Err("only a signal of kind `probe` takes `request` and `every`".to_owned()),
        }
    }

    fn has_no(&self, kind: &str, others: &[(&str, &Option<String>)]) -> Result<(), String> {
        match others.iter().find(|(_, value)| value.is_some()) {
            Some((other, _)) => Err(format!("a signal of kind `{kind}` takes no `{other}`")),
            None => Ok(()),
        }
    }
}

fn needed<'a>(value: &'a Option<String>, field: &str) -> Result<&'a str, String> {
    value.as_deref().ok_or_else(|| format!("a signal of this kind needs `{field}`"))
}

fn name(text: &str) -> Result<HeaderName, String> {
    text.parse().map_err(|_| format!("`{text}` is no name of a header"))
}

fn path(text: &str) -> Result<JsonPath, String> {
    JsonPath::parse(text).ok_or_else(|| format!("`{text}` is no path, write for example $.cost.left"))
}

fn duration(text: &str) -> Result<u64, String> {
    let ms = parse_duration(text).filter(|ms| *ms > 0);
    ms.ok_or_else(|| format!("`per: {text}` is no duration, write for example 24h"))
}

fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').and_then(|number| number.parse().ok()).filter(|n| *n < 100);
    number.ok_or_else(|| format!("`reserve: {text}` is no share below 100%, write for example 10%"))
}
