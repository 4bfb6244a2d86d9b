//! One topic specification: a file of topics/.

use std::collections::BTreeMap;

use event::ObjectKind;
use serde::Deserialize;

use crate::{TopicsError, names};

/// The largest partition count that a specification may ask for; more is surely a slip.
const MAX_PARTITIONS: i32 = 1_000;
/// The largest record that a specification may allow, in bytes. The producers' own limit is set to it.
pub const MAX_MESSAGE_BYTES: u32 = 8 << 20;

/// A topic, or a family of topics, as a file of topics/ specifies it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The topic's name with `{region}`, and `{tenant}` or `{input}` where the placement has one topic for each.
    pub topic: String,
    /// The canonical object whose events it carries, if it carries one object's.
    #[serde(default)]
    pub object: Option<ObjectKind>,
    /// The team that answers for its contents.
    pub owner: String,
    /// What its records mean.
    pub description: String,
    /// What its record keys are.
    pub key: String,
    /// The registry subject of its values; none where the values are not Avro.
    #[serde(default)]
    pub subject: Option<String>,
    /// How many topics the specification stands for.
    pub placement: PlacementKind,
    /// Partitions; absent for `per_input`, which has as many as its input.
    #[serde(default)]
    pub partitions: Option<i32>,
    /// Replicas of each partition.
    pub replication: i32,
    /// Replicas that must have a record before it is acknowledged.
    pub min_insync_replicas: i32,
    /// How old records leave.
    pub cleanup: Cleanup,
    /// How long records stay.
    pub retention: Retention,
    /// The largest record batch, in bytes.
    pub max_message_bytes: u32,
}

/// How many topics a specification stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacementKind {
    /// One topic that all tenants share.
    Pooled,
    /// One topic for each tenant, and one for the unknown tenant.
    PerTenant,
    /// One topic for each object topic.
    PerInput,
}

/// How old records leave a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cleanup {
    /// By age.
    Delete,
    /// The last record of each key stays.
    Compact,
}

/// How long records stay: `forever`, or a number with the unit `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Retention {
    /// Until compaction takes them, or always.
    Forever,
    /// This many milliseconds.
    Millis(i64),
}

impl TryFrom<String> for Retention {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("retention `{text}` is neither `forever` nor a number with the unit m, h or d");
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let unit = match text.as_bytes().last() {
            Some(b'm') => 60_000,
            Some(b'h') => 3_600_000,
            Some(b'd') => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        if number == 0 { Err(wrong()) } else { Ok(Self::Millis(i64::from(number) * unit)) }
    }
}

impl Spec {
    /// Reads and checks one specification; `file` is for messages.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, TopicsError> {
        let spec: Self = serde_saphyr::from_str(text)
            .map_err(|source| TopicsError::Syntax { file: file.to_owned(), source: Box::new(source) })?;
        match spec.broken_rule() {
            Some((field, reason)) => Err(TopicsError::Rule { file: file.to_owned(), field, reason }),
            None => Ok(spec),
        }
    }

    /// The topic configuration that the brokers are given.
    pub(crate) fn configs(&self) -> BTreeMap<String, String> {
        let (cleanup, retention) = match (self.cleanup, self.retention) {
            (Cleanup::Compact, _) => ("compact", -1),
            (Cleanup::Delete, Retention::Forever) => ("delete", -1),
            (Cleanup::Delete, Retention::Millis(ms)) => ("delete", ms),
        };
        [
            ("cleanup.policy", cleanup.to_owned()),
            ("retention.ms", retention.to_string()),
            ("min.insync.replicas", self.min_insync_replicas.to_string()),
            ("max.message.bytes", self.max_message_bytes.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// The first rule that the specification breaks: the field and the reason.
    fn broken_rule(&self) -> Option<(&'static str, String)> {
        self.naming_rule().or_else(|| self.figures_rule())
    }

    fn naming_rule(&self) -> Option<(&'static str, String)> {
        let must = match (self.object, self.placement) {
            (Some(object), PlacementKind::Pooled) => names::object_topic("{region}", object),
            (Some(_), _) => return Some(("placement", "must be `pooled` for an object's topic".into())),
            (None, PlacementKind::Pooled) if self.topic == names::control("{region}") => self.topic.clone(),
            (None, PlacementKind::Pooled) => names::outcome("{region}"),
            (None, PlacementKind::PerTenant) => "cf.{region}.dlq.{tenant}.v1".into(),
            (None, PlacementKind::PerInput) => names::ledger("{input}"),
        };
        if self.topic != must {
            return Some(("topic", format!("must be `{must}` by the naming standard")));
        }
        let subject = names::subject(&self.topic);
        match &self.subject {
            Some(given) if *given != subject => Some(("subject", format!("must be `{subject}`"))),
            None if self.object.is_some() => Some(("subject", format!("must be given: `{subject}`"))),
            _ if self.object.is_some() && self.key != "tenant/object/entity" => {
                Some(("key", "must be `tenant/object/entity` for an object's topic".into()))
            }
            _ if self.owner.trim().is_empty() => Some(("owner", "must name a team".into())),
            _ => None,
        }
    }

    fn figures_rule(&self) -> Option<(&'static str, String)> {
        let per_input = self.placement == PlacementKind::PerInput;
        match self.partitions {
            Some(_) if per_input => {
                return Some(("partitions", "must be absent: the topic has as many as its input".into()));
            }
            None if !per_input => return Some(("partitions", "must be given".into())),
            Some(n) if !(1..=MAX_PARTITIONS).contains(&n) => {
                return Some(("partitions", format!("must be 1 to {MAX_PARTITIONS}, not {n}")));
            }
            _ => {}
        }
        if !(1..=i32::from(i16::MAX)).contains(&self.replication) {
            return Some(("replication", "must be at least 1".into()));
        }
        if !(1..=self.replication).contains(&self.min_insync_replicas) {
            return Some(("min_insync_replicas", format!("must be 1 to {} (replication)", self.replication)));
        }
        if !(1_024..=MAX_MESSAGE_BYTES).contains(&self.max_message_bytes) {
            return Some(("max_message_bytes", format!("must be 1024 to {MAX_MESSAGE_BYTES}")));
        }
        let compacted = self.cleanup == Cleanup::Compact;
        if compacted && self.retention != Retention::Forever {
            return Some(("retention", "must be `forever` where cleanup is `compact`".into()));
        }
        if !compacted && self.topic == names::control("{region}") {
            return Some(("cleanup", "must be `compact`: the last command for a subject holds".into()));
        }
        if per_input && !compacted {
            return Some(("cleanup", "must be `compact` for a changelog".into()));
        }
        None
    }
}
