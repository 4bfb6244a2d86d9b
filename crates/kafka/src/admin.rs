//! Questions and orders to the cluster: what topics it has, a plan carried out, where partitions end and groups stand.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic,
        OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
    },
    client::Client,
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    metadata::{Metadata, MetadataPartition, MetadataTopic},
    topic_partition_list::TopicPartitionListElem,
    types::{RDKafkaErrorCode, RDKafkaRespErr},
};
use topics::{ActualTopic, Alteration, Plan, TopicPlan};

use crate::{AdminError, Settings, SettingsError, context::LogContext, patience::patiently};

/// How long the cluster has for each answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How often a change is looked for.
const SETTLE_POLL: Duration = Duration::from_millis(100);
/// Topics in one request, so that a cluster of many tenants is not asked for everything at once.
const CHUNK: usize = 100;
/// The prefix of all topics of ours.
const PREFIX: &str = "cf.";

/// A cluster as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Brokers that are up.
    pub brokers: usize,
    /// The topics whose names begin with `cf.`.
    pub topics: Vec<ActualTopic>,
}

/// What the cluster has: its brokers, and our topics with their configuration.
///
/// # Errors
/// Where the cluster does not answer or does not let us see; the embedded broker cannot be asked.
pub async fn describe(settings: &Settings) -> Result<Cluster, AdminError> {
    let admin = admin(settings)?;
    let (admin, brokers, mut topics) = blocking(move || {
        let metadata = metadata(admin.inner(), None)?;
        let ours = metadata.topics().iter().filter(|t| t.name().starts_with(PREFIX) && t.error().is_none());
        let topics: Vec<ActualTopic> = ours.map(without_configs).collect();
        let brokers = metadata.brokers().len();
        Ok((admin, brokers, topics))
    })
    .await?;
    for chunk in topics.chunks_mut(CHUNK) {
        describe_configs(&admin, chunk).await?;
    }
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Cluster { brokers, topics })
}

/// Carries a plan out: creates topics, alters configurations, and waits until the brokers show the result. What is
/// already done when it fails stays done, and a new plan shows the rest.
///
/// # Errors
/// [`AdminError::Plan`] before anything is touched where the plan holds a refused change; otherwise the first failure.
pub async fn apply(settings: &Settings, plan: &Plan) -> Result<(), AdminError> {
    plan.check()?;
    let admin = admin(settings)?;
    for chunk in plan.create.chunks(CHUNK) {
        create(&admin, chunk).await?;
    }
    for chunk in plan.alter.chunks(CHUNK) {
        alter(&admin, chunk).await?;
    }
    // The controller answers before the brokers have heard of it; who sends now would meet unknown topics.
    let start = Instant::now();
    while !is_done(plan, &describe(settings).await?.topics) {
        if start.elapsed() > TIMEOUT {
            return Err(AdminError::Unavailable(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut)));
        }
        tokio::time::sleep(SETTLE_POLL).await;
    }
    Ok(())
}

/// Who has a partition, by the brokers' ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicas {
    /// Who leads it; none while nobody does.
    pub leader: Option<i32>,
    /// Who has all of it, the leader included.
    pub in_sync: BTreeSet<i32>,
}

/// Who has each partition of `topic`, as the broker that answers first knows it.
///
/// # Errors
/// As [`end_offsets`].
pub async fn replicas(settings: &Settings, topic: &str) -> Result<BTreeMap<i32, Replicas>, AdminError> {
    let consumer = consumer(settings, "")?;
    let topic = topic.to_owned();
    blocking(move || {
        let metadata = metadata(consumer.client(), Some(&topic))?;
        let replicas = |p: &MetadataPartition| {
            let leader = Some(p.leader()).filter(|id| *id >= 0);
            (p.id(), Replicas { leader, in_sync: p.isr().iter().copied().collect() })
        };
        let found = metadata.topics().iter().find(|t| t.name() == topic && !t.partitions().is_empty());
        let found = found.ok_or(AdminError::UnknownTopic(topic))?;
        Ok(found.partitions().iter().map(replicas).collect())
    })
    .await
}

/// The end of each partition of `topic`: the offset that the next record gets.
///
/// # Errors
/// Where there is no such topic or the cluster does not answer.
pub async fn end_offsets(settings: &Settings, topic: &str) -> Result<BTreeMap<i32, i64>, AdminError> {
    let offsets = watermarks(settings, topic).await?;
    Ok(offsets.into_iter().map(|(partition, range)| (partition, range.end)).collect())
}

/// The first offset that each partition of `topic` still has, and its end.
///
/// # Errors
/// As [`end_offsets`].
pub async fn watermarks(settings: &Settings, topic: &str) -> Result<BTreeMap<i32, Range<i64>>, AdminError> {
    let consumer = consumer(settings, "")?;
    let topic = topic.to_owned();
    blocking(move || {
        let watermarks = |partition| {
            let (low, high) = patiently(TIMEOUT, || consumer.fetch_watermarks(&topic, partition, TIMEOUT))
                .map_err(AdminError::Unavailable)?;
            Ok((partition, low..high))
        };
        partitions(consumer.client(), &topic)?.into_iter().map(watermarks).collect()
    })
    .await
}

/// What `group` has committed on each partition of `topic`: the next offset that it would read, none where it never did.
///
/// # Errors
/// As [`end_offsets`].
pub async fn committed(
    settings: &Settings,
    group: &str,
    topic: &str,
) -> Result<BTreeMap<i32, Option<i64>>, AdminError> {
    let consumer = consumer(settings, group)?;
    let topic = topic.to_owned();
    blocking(move || {
        let mut asked = TopicPartitionList::new();
        for partition in partitions(consumer.client(), &topic)? {
            asked.add_partition(&topic, partition);
        }
        let committed = |element: &TopicPartitionListElem<'_>| {
            element.error()?;
            let offset = if let Offset::Offset(offset) = element.offset() { Some(offset) } else { None };
            Ok((element.partition(), offset))
        };
        patiently(TIMEOUT, || {
            let answer = consumer.committed_offsets(asked.clone(), TIMEOUT)?;
            answer.elements().iter().map(committed).collect()
        })
        .map_err(AdminError::Unavailable)
    })
    .await
}

type Admin = AdminClient<LogContext>;

async fn create(admin: &Admin, topics: &[TopicPlan]) -> Result<(), AdminError> {
    let topics: Vec<NewTopic<'_>> = topics.iter().map(new_topic).collect();
    for result in admin.create_topics(&topics, &options()).await.map_err(AdminError::Unavailable)? {
        result.map_err(|(topic, code)| refused("create", &topic, code))?;
    }
    Ok(())
}

async fn alter(admin: &Admin, alterations: &[Alteration]) -> Result<(), AdminError> {
    let configs: Vec<AlterConfig<'_>> = alterations.iter().map(alter_config).collect();
    for result in admin.alter_configs(&configs, &options()).await.map_err(AdminError::Unavailable)? {
        result.map_err(|(resource, code)| refused("alter", &topic_of(&resource), code))?;
    }
    Ok(())
}

/// Whether `actual` shows what the plan asked for.
fn is_done(plan: &Plan, actual: &[ActualTopic]) -> bool {
    let shows = |topic: &str, partitions: Option<i32>, configs: &BTreeMap<String, String>| {
        actual.iter().any(|t| {
            t.name == topic
                && partitions.is_none_or(|n| n == t.partitions)
                && configs.iter().all(|(name, value)| t.configs.get(name) == Some(value))
        })
    };
    plan.create.iter().all(|t| shows(&t.name, Some(t.partitions), &t.configs))
        && plan.alter.iter().all(|a| shows(&a.topic, None, &a.full))
}

impl ConsumerContext for LogContext {}

fn admin(settings: &Settings) -> Result<Admin, AdminError> {
    let config = settings.admin_config()?;
    Ok(Admin::from_config_and_context(&config, LogContext).map_err(SettingsError::Client)?)
}

/// A consumer that never joins its group.
fn consumer(settings: &Settings, group: &str) -> Result<BaseConsumer<LogContext>, AdminError> {
    let mut config = settings.admin_config()?;
    if !group.is_empty() {
        config.set("group.id", group);
    }
    Ok(config.create_with_context(LogContext).map_err(SettingsError::Client)?)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn metadata<C: ClientContext>(client: &Client<C>, topic: Option<&str>) -> Result<Metadata, AdminError> {
    client.fetch_metadata(topic, TIMEOUT).map_err(AdminError::Unavailable)
}

fn partitions<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Vec<i32>, AdminError> {
    let metadata = metadata(client, Some(topic))?;
    let found = metadata.topics().iter().find(|t| t.name() == topic);
    match found.map(|t| (t, t.error())) {
        Some((topic, None)) => Ok(topic.partitions().iter().map(|p| p.id()).collect()),
        Some((_, Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART))) | None => {
            Err(AdminError::UnknownTopic(topic.to_owned()))
        }
        Some((_, Some(error))) => Err(refused("describe", topic, error.into())),
    }
}

fn without_configs(topic: &MetadataTopic) -> ActualTopic {
    let partitions = topic.partitions();
    let replication = partitions.first().map_or(0, |p| p.replicas().len());
    ActualTopic {
        name: topic.name().to_owned(),
        partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        replication: i32::try_from(replication).unwrap_or(i32::MAX),
        configs: BTreeMap::new(),
        overridden: Default::default(),
    }
}

async fn describe_configs(admin: &Admin, topics: &mut [ActualTopic]) -> Result<(), AdminError> {
    let names: Vec<String> = topics.iter().map(|t| t.name.clone()).collect();
    let asked: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let answers = admin.describe_configs(&asked, &options()).await.map_err(AdminError::Unavailable)?;
    // The answers come in the order of the questions; a failed one does not say whose it is.
    for (topic, answer) in topics.iter_mut().zip(answers) {
        let resource = answer.map_err(|code| refused("describe", &topic.name, code))?;
        take_configs(topic, resource);
    }
    Ok(())
}

fn take_configs(topic: &mut ActualTopic, resource: ConfigResource) {
    for entry in resource.entries {
        let Some(value) = entry.value else { continue };
        if entry.source == ConfigSource::DynamicTopic {
            topic.overridden.insert(entry.name.clone());
        }
        topic.configs.insert(entry.name, value);
    }
}

fn new_topic(topic: &TopicPlan) -> NewTopic<'_> {
    let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication));
    topic.configs.iter().fold(new, |new, (name, value)| new.set(name, value))
}

fn alter_config(alteration: &Alteration) -> AlterConfig<'_> {
    let entries = alteration.full.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    AlterConfig { specifier: ResourceSpecifier::Topic(&alteration.topic), entries }
}

fn topic_of(resource: &OwnedResourceSpecifier) -> String {
    match resource {
        OwnedResourceSpecifier::Topic(name) | OwnedResourceSpecifier::Group(name) => name.clone(),
        OwnedResourceSpecifier::Broker(id) => id.to_string(),
    }
}

fn refused(operation: &'static str, topic: &str, code: RDKafkaErrorCode) -> AdminError {
    AdminError::Refused { operation, topic: topic.to_owned(), source: KafkaError::AdminOp(code) }
}

/// Runs blocking calls of librdkafka, away from the async workers.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, AdminError> + Send + 'static,
) -> Result<T, AdminError> {
    tokio::task::spawn_blocking(call).await?
}
