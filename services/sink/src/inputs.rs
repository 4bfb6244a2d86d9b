//! The topics that are read, and what must be there before they are.

use event::ObjectKind;
use kafka::{RangeReader, ReadError};

use crate::{plan::Plan, start_error::StartError};

/// A topic to read.
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) partitions: i32,
}

/// Why the topics cannot be read yet, or at all.
pub(crate) enum TopicProblem {
    /// The brokers may answer, or the topic may be created, later.
    Waiting(String),
    /// It will never fit as it is.
    Wrong(StartError),
}

/// The topics of these objects. Each must have a changelog of as many partitions, and each tenant a dead-letter topic. Blocking.
pub(crate) fn check_topics(
    settings: &kafka::Settings,
    region: &str,
    plan: &Plan,
    objects: &[ObjectKind],
) -> Result<Vec<Topic>, TopicProblem> {
    let waiting = |error: ReadError| TopicProblem::Waiting(crate::restore::chain(&error));
    let known = RangeReader::new(settings).and_then(|r| r.topics()).map_err(waiting)?;
    let partitions = |topic: &str| {
        known
            .get(topic)
            .copied()
            .ok_or_else(|| TopicProblem::Waiting(format!("topic `{topic}` does not exist")))
    };
    partitions(&topics::names::outcome(region))?;
    partitions(&topics::names::control(region))?;
    // Without its topic a tenant's first refusal could not be kept, and would stop everybody's events.
    for tenant in std::iter::once(None).chain(plan.tenants().map(Some)) {
        partitions(&topics::names::dlq(region, tenant))?;
    }
    let mut all = Vec::new();
    for object in objects {
        let topic = topics::names::object_topic(region, *object);
        let changelog = topics::names::ledger(&topic);
        let (have, want) = (partitions(&changelog)?, partitions(&topic)?);
        if have != want {
            // Another count would send an event and its ledger entry to different owners.
            let what = format!("has {have} partitions, `{topic}` has {want}: they must be equal");
            return Err(TopicProblem::Wrong(StartError::Topic { topic: changelog, what }));
        }
        all.push(Topic { name: topic, partitions: have as i32 });
    }
    Ok(all)
}
