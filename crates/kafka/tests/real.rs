//! Topics planned, created and altered on a real Kafka; what the embedded broker cannot answer.
#![allow(clippy::unwrap_used)]

use kafka::{Producer, Settings, admin};
use topics::{ActualTopic, Specs, TopicPlan, names, plan};

/// A region of this process and test alone, since the cluster may be one that lasts.
fn region(test: &str) -> String {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
    format!("t{since}-{test}")
}

async fn settings() -> anyhow::Result<Settings> {
    let broker = tokio::task::spawn_blocking(testkit::kafka::shared).await??;
    Ok(Settings::new(broker.bootstrap()))
}

/// One object's topic, its ledger, outcomes and dead letters, for a cluster of one broker.
fn desired(region: &str) -> Vec<TopicPlan> {
    let topics = Specs::embedded().unwrap().with_replication(1).all_for(region, &[]).unwrap();
    let order = names::object_topic(region, event::ObjectKind::Order);
    let wanted = [names::ledger(&order), order, names::outcome(region), names::dlq(region, None)];
    topics.into_iter().filter(|t| wanted.contains(&t.name)).collect()
}

async fn actual(settings: &Settings, region: &str) -> anyhow::Result<Vec<ActualTopic>> {
    let prefix = format!("cf.{region}.");
    let cluster = admin::describe(settings).await?;
    assert!(cluster.brokers >= 1);
    Ok(cluster.topics.into_iter().filter(|t| t.name.starts_with(&prefix)).collect())
}

#[tokio::test]
async fn a_plan_is_applied_and_then_empty() -> anyhow::Result<()> {
    let (settings, region) = (settings().await?, region("plan"));
    let desired = desired(&region);
    let first = plan(&desired, &actual(&settings, &region).await?);
    assert_eq!(first.create, desired);
    admin::apply(&settings, &first).await?;
    let second = plan(&desired, &actual(&settings, &region).await?);
    assert!(second.is_empty() && second.drift.is_empty() && second.unchanged == desired.len(), "{second}");
    let again = admin::apply(&settings, &first).await.unwrap_err();
    assert_eq!(again.code(), "TOP-0107", "a stale plan is refused by the cluster: {again}");
    Ok(())
}

#[tokio::test]
async fn an_alteration_keeps_what_others_have_set() -> anyhow::Result<()> {
    let (settings, region) = (settings().await?, region("alter"));
    let mut desired = desired(&region);
    let mut created = desired.clone();
    for topic in &mut created {
        topic.configs.insert("segment.bytes".into(), "2097152".into());
    }
    admin::apply(&settings, &plan(&created, &[])).await?;
    desired[0].configs.insert("max.message.bytes".into(), "3000000".into());
    let change = plan(&desired, &actual(&settings, &region).await?);
    assert_eq!(change.alter.len(), 1, "{change}");
    admin::apply(&settings, &change).await?;
    let after = actual(&settings, &region).await?;
    assert!(plan(&desired, &after).is_empty());
    let altered = after.iter().find(|t| t.name == desired[0].name).unwrap();
    assert_eq!(altered.configs["segment.bytes"], "2097152");
    assert!(altered.overridden.contains("segment.bytes"));
    Ok(())
}

#[tokio::test]
async fn another_partition_count_is_refused_before_anything_happens() -> anyhow::Result<()> {
    let (settings, region) = (settings().await?, region("grow"));
    let mut desired = desired(&region);
    let last = desired.pop().unwrap();
    admin::apply(&settings, &plan(&desired, &[])).await?;
    desired[0].partitions += 1;
    desired.push(last);
    let refused = plan(&desired, &actual(&settings, &region).await?);
    let error = admin::apply(&settings, &refused).await.unwrap_err();
    assert_eq!(error.code(), "TOP-0003");
    assert_eq!(actual(&settings, &region).await?.len(), desired.len() - 1, "nothing was created");
    Ok(())
}

#[tokio::test]
async fn records_are_acknowledged_and_counted() -> anyhow::Result<()> {
    let (settings, region) = (settings().await?, region("send"));
    admin::apply(&settings, &plan(&desired(&region), &[])).await?;
    let topic = names::object_topic(&region, event::ObjectKind::Order);
    let producer = Producer::new(&settings)?;
    for offset in 0..3 {
        let position = producer.send(&topic, 11, b"acme/order/1", b"v", &[("h", b"1")]).await?;
        assert_eq!((position.partition, position.offset), (11, offset));
    }
    let ends = admin::end_offsets(&settings, &topic).await?;
    assert_eq!((ends.len(), ends[&11], ends[&0]), (12, 3, 0));
    let replicas = admin::replicas(&settings, &topic).await?;
    let led = |r: &admin::Replicas| r.leader.is_some_and(|leader| r.in_sync.contains(&leader));
    assert!(replicas.len() == 12 && replicas.values().all(led), "{replicas:?}");
    let unknown = admin::replicas(&settings, &format!("cf.{region}.no.such.v1")).await.unwrap_err();
    assert_eq!(unknown.code(), "TOP-0104", "{unknown:?}");
    let committed = admin::committed(&settings, &format!("{region}-group"), &topic).await?;
    assert!(committed.len() == 12 && committed.values().all(Option::is_none));
    let large = vec![0; 2 << 20];
    let mut plain = settings.clone();
    plain.producer.insert("compression.codec".into(), "none".into());
    let error = Producer::new(&plain)?.send(&topic, 0, b"k", &large, &[]).await.unwrap_err();
    assert_eq!(error.code(), "TOP-0103", "{error:?}");
    let error = producer.send(&format!("cf.{region}.no.such.v1"), 0, b"k", b"v", &[]).await.unwrap_err();
    assert_eq!(error.code(), "TOP-0104", "{error:?}");
    Ok(())
}
