//! The difference between the topics that should be and those that are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sha2::{Digest, Sha256};

use crate::{TopicPlan, TopicsError};

/// A topic as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActualTopic {
    /// The topic's name.
    pub name: String,
    /// Partitions.
    pub partitions: i32,
    /// Replicas of its first partition.
    pub replication: i32,
    /// Every configuration in force, by Kafka's names.
    pub configs: BTreeMap<String, String>,
    /// The names of those that were set on this very topic; the others are the cluster's or Kafka's defaults.
    pub overridden: BTreeSet<String>,
}

/// A topic whose configuration changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alteration {
    /// The topic.
    pub topic: String,
    /// What changes: name, value now, value then.
    pub changes: Vec<(String, Option<String>, String)>,
    /// All that must be sent. Kafka's AlterConfigs resets what is left out, so this repeats what others have set.
    pub full: BTreeMap<String, String>,
}

/// A change that is never made in place: it would move keys to other partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The topic.
    pub topic: String,
    /// Partitions that it has.
    pub actual: i32,
    /// Partitions that are specified.
    pub desired: i32,
}

/// A topic with another number of replicas than specified. It is reported; moving replicas is the cluster operator's job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationDrift {
    /// The topic.
    pub topic: String,
    /// Replicas that it has.
    pub actual: i32,
    /// Replicas that are specified.
    pub desired: i32,
}

/// What would be done to a cluster. Its `Display` is the diff that a person reads before applying it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// Topics to create.
    pub create: Vec<TopicPlan>,
    /// Topics whose configuration changes.
    pub alter: Vec<Alteration>,
    /// Changes that are refused; while there are any, nothing is applied.
    pub refused: Vec<Refusal>,
    /// Topics with another number of replicas than specified.
    pub drift: Vec<ReplicationDrift>,
    /// Topics of this region that nothing specifies. They are left alone.
    pub unknown: Vec<String>,
    /// How many topics are as they should be.
    pub unchanged: usize,
}

/// Compares what should be with what is. Topics of other prefixes than `cf.<region>.` are nobody's business here.
pub fn plan(desired: &[TopicPlan], actual: &[ActualTopic]) -> Plan {
    let by_name: BTreeMap<&str, &ActualTopic> = actual.iter().map(|t| (t.name.as_str(), t)).collect();
    let mut plan = Plan::default();
    for want in desired {
        match by_name.get(want.name.as_str()) {
            Some(have) => plan.compare(want, have),
            None => plan.create.push(want.clone()),
        }
    }
    let names: BTreeSet<&str> = desired.iter().map(|t| t.name.as_str()).collect();
    let prefixes: BTreeSet<&str> = names.iter().filter_map(|name| region_prefix(name)).collect();
    let ours =
        |name: &str| region_prefix(name).is_some_and(|p| prefixes.contains(p)) && !names.contains(name);
    plan.unknown = by_name.into_keys().filter(|name| ours(name)).map(str::to_owned).collect();
    plan
}

/// `cf.<region>.`
fn region_prefix(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("cf.")?;
    rest.find('.').map(|dot| &name[..=dot + 3])
}

impl Plan {
    /// Whether the cluster is as it should be.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.alter.is_empty() && self.refused.is_empty()
    }

    /// Whether the plan may be applied.
    ///
    /// # Errors
    /// [`TopicsError::PartitionCount`] of the first refused change.
    pub fn check(&self) -> Result<(), TopicsError> {
        match self.refused.first() {
            Some(Refusal { topic, actual, desired }) => {
                Err(TopicsError::PartitionCount { topic: topic.clone(), actual: *actual, desired: *desired })
            }
            None => Ok(()),
        }
    }

    /// SHA-256 of the printed plan, in hexadecimal: the same text, the same hash. Who applies gives the hash of the plan
    /// that was read, so that a plan gone stale is noticed.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.to_string().as_bytes()))
    }

    fn compare(&mut self, want: &TopicPlan, have: &ActualTopic) {
        let topic = || want.name.clone();
        if want.partitions != have.partitions {
            self.refused.push(Refusal { topic: topic(), actual: have.partitions, desired: want.partitions });
            return;
        }
        if want.replication != have.replication {
            let (actual, desired) = (have.replication, want.replication);
            self.drift.push(ReplicationDrift { topic: topic(), actual, desired });
        }
        let changes: Vec<_> = want
            .configs
            .iter()
            .map(|(name, value)| (name.clone(), have.configs.get(name).cloned(), value.clone()))
            .filter(|(_, now, then)| now.as_ref() != Some(then))
            .collect();
        if changes.is_empty() {
            self.unchanged += 1;
            return;
        }
        let kept = have.configs.iter().filter(|(name, _)| have.overridden.contains(*name));
        let full = kept.chain(&want.configs).map(|(name, value)| (name.clone(), value.clone())).collect();
        self.alter.push(Alteration { topic: topic(), changes, full });
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for topic in &self.create {
            let TopicPlan { name, partitions, replication, configs } = topic;
            write!(f, "+ {name}: {partitions} partitions, {replication} replicas")?;
            configs.iter().try_for_each(|(config, value)| write!(f, ", {config}={value}"))?;
            writeln!(f)?;
        }
        for Alteration { topic, changes, .. } in &self.alter {
            writeln!(f, "~ {topic}")?;
            for (name, now, then) in changes {
                writeln!(f, "    {name}: {} -> {then}", now.as_deref().unwrap_or("unset"))?;
            }
        }
        for Refusal { topic, actual, desired } in &self.refused {
            writeln!(f, "! {topic}: {actual} -> {desired} partitions is refused (TOP-0003)")?;
        }
        for ReplicationDrift { topic, actual, desired } in &self.drift {
            writeln!(
                f,
                "! {topic}: {actual} replicas, {desired} specified; reassign them with Kafka's own tools"
            )?;
        }
        for topic in &self.unknown {
            writeln!(f, "? {topic}: not specified, left alone")?;
        }
        let (create, alter, refused) = (self.create.len(), self.alter.len(), self.refused.len());
        write!(f, "{create} to create, {alter} to alter, {refused} refused, {} unchanged", self.unchanged)
    }
}
