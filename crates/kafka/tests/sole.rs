//! One writer at a time, all or nothing, on a real Kafka.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use kafka::{Producer, RangeReader, Settings, SoleError, SoleWriter, admin};
use testkit::kafka::{Kafka, Options};
use topics::{Specs, names, plan};

/// A region of this process and test alone, since the cluster may be one that lasts.
fn region(test: &str) -> String {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
    format!("t{since}-{test}")
}

/// A cluster with a control topic of `test`.
async fn topic(test: &str) -> anyhow::Result<(Settings, String)> {
    topic_on(tokio::task::spawn_blocking(testkit::kafka::shared).await??, test).await
}

async fn topic_on(broker: &Kafka, test: &str) -> anyhow::Result<(Settings, String)> {
    let (settings, region) = (Settings::new(broker.bootstrap()), region(test));
    let topic = names::control(&region);
    let all = Specs::embedded()?.with_replication(1).all_for(&region, &[])?;
    let wanted: Vec<_> = all.into_iter().filter(|t| t.name == topic).collect();
    admin::apply(&settings, &plan(&wanted, &[])).await?;
    Ok((settings, topic))
}

fn records(of: &str, keys: &[&str]) -> Vec<(Vec<u8>, Vec<u8>)> {
    keys.iter().map(|key| (key.as_bytes().to_vec(), of.as_bytes().to_vec())).collect()
}

/// `key=value` of every record, in the topic's order.
fn read(settings: &Settings, topic: &str) -> anyhow::Result<Vec<String>> {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let (topic, mut read) = (Arc::from(topic), Vec::new());
    RangeReader::new(settings)?.read_all(&topic, 0, Duration::from_secs(10), |record| {
        read.push(format!("{}={}", text(record.key), text(record.value)));
    })?;
    Ok(read)
}

/// The blocking part of a test, away from the async workers.
async fn beside(test: &str, body: fn(&Settings, &str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (settings, topic) = topic(test).await?;
    tokio::task::spawn_blocking(move || body(&settings, &topic)).await?
}

#[tokio::test]
async fn the_writer_who_came_last_writes_and_the_one_before_writes_nothing() -> anyhow::Result<()> {
    beside("fenced", |settings, topic| {
        let first = SoleWriter::claim(settings, topic)?;
        let second = SoleWriter::claim(settings, topic)?;
        let error = first.write(topic, 0, &records("first", &["a", "b"])).unwrap_err();
        assert!(matches!(error, SoleError::Fenced(_)), "{error:?}");
        second.write(topic, 0, &records("second", &["a", "b"]))?;
        assert_eq!(read(settings, topic)?, ["a=second", "b=second"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_records_that_do_not_all_go_none_is_seen() -> anyhow::Result<()> {
    beside("none", |settings, topic| {
        let mut plain = settings.clone();
        plain.producer.insert("compression.codec".into(), "none".into());
        let mut all = records("torn", &["a", "b"]);
        all.push((b"large".to_vec(), vec![b'x'; 2 << 20]));
        let error = SoleWriter::claim(&plain, topic)?.write(topic, 0, &all).unwrap_err();
        let SoleError::NotWritten(why) = &error else { panic!("{error:?}") };
        assert_eq!(why.code(), "TOP-0103", "{error:?}");
        assert_eq!(read(settings, topic)?, Vec::<String>::new());
        let (_, end) = RangeReader::new(settings)?.bounds(&Arc::from(topic), 0)?;
        assert!(end >= 2, "the small ones were on the topic, and were undone: {end}");
        SoleWriter::claim(settings, topic)?.write(topic, 0, &records("whole", &["a"]))?;
        assert_eq!(read(settings, topic)?, ["a=whole"]);
        Ok(())
    })
    .await
}

/// Pauses are written without a transaction, by whoever has to.
#[tokio::test]
async fn other_producers_go_on_writing_beside_it() -> anyhow::Result<()> {
    let (settings, topic) = topic("beside").await?;
    let (held, name) = (settings.clone(), topic.clone());
    let writer = tokio::task::spawn_blocking(move || SoleWriter::claim(&held, &name)).await??;
    Producer::new(&settings)?.send(&topic, 0, b"pause", b"now", &[]).await?;
    tokio::task::spawn_blocking(move || {
        assert_eq!(read(&settings, &topic)?, ["pause=now"]);
        writer.write(&topic, 0, &records("later", &["a"]))?;
        assert_eq!(read(&settings, &topic)?, ["pause=now", "a=later"]);
        Ok(())
    })
    .await?
}

#[tokio::test]
async fn brokers_that_are_away_are_no_writer_and_no_doubt() {
    let settings = Settings::new(format!("127.0.0.1:{}", testkit::free_port().unwrap()));
    let claimed = tokio::task::spawn_blocking(move || SoleWriter::claim(&settings, "nobody").map(drop));
    let error = claimed.await.unwrap().unwrap_err();
    assert!(matches!(&error, SoleError::NotWritten(why) if why.code() == "TOP-0101"), "{error:?}");
}

/// Whoever comes next ends what was left open, and is not held up by it.
#[tokio::test]
async fn brokers_that_fall_silent_leave_nothing_behind() -> anyhow::Result<()> {
    let broker = tokio::task::spawn_blocking(|| Kafka::start(&Options::owned())).await??;
    let (settings, topic) = topic_on(&broker, "silent").await?;
    tokio::task::spawn_blocking(move || {
        let writer = SoleWriter::claim(&settings, &topic)?;
        broker.pause()?;
        let error = writer.write(&topic, 0, &records("lost", &["a", "b"])).unwrap_err();
        assert!(matches!(&error, SoleError::NotWritten(why) if why.code() == "TOP-0101"), "{error:?}");
        broker.resume()?;
        let next = SoleWriter::claim(&settings, &topic)?;
        assert_eq!(read(&settings, &topic)?, Vec::<String>::new());
        next.write(&topic, 0, &records("next", &["a"]))?;
        assert_eq!(read(&settings, &topic)?, ["a=next"]);
        Ok(())
    })
    .await?
}
