//! A steady stream of events through the gateway, as sources send it: again and again until it is accepted.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use event::ObjectKind;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{books::Books, class::Class, moments::micros, source::Change, topic::Topics};

/// A batch of each tenant so often.
const EVERY: Duration = Duration::from_millis(100);
/// Entities of a tenant that change over and over.
const ENTITIES: u64 = 60;
/// Every so many batches…
const TWICE: u64 = 7; // …are sent twice, as by a source that missed the answer
const SWAPPED: u64 = 13; // …have two versions of an entity in the wrong order
const REFUSED: u64 = 17; // …have a document that the target refuses
const POISON: u64 = 29; // …are followed by a record that nobody can read
/// How long the gateway may refuse before the campaign gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// For one answer of the gateway.
const ANSWER: Duration = Duration::from_secs(20);

/// Where the feed goes, and where it is written down.
#[derive(Clone)]
pub struct Door {
    pub url: String,
    pub http: reqwest::Client,
    pub books: Arc<Books>,
    pub topics: Topics,
    /// Requests that the gateway has not answered yet.
    pub under_way: Arc<AtomicUsize>,
}

pub struct Feed {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Feed {
    pub fn start(door: &Door) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = |class| tokio::spawn(send(door.clone(), class, Arc::clone(&stop)));
        Self { tasks: Class::ALL.into_iter().map(task).collect(), stop }
    }

    /// Fails if a feed has given up.
    pub async fn check(&mut self) -> anyhow::Result<()> {
        if let Some(ended) = self.tasks.iter().position(JoinHandle::is_finished) {
            self.tasks.swap_remove(ended).await.context("a feed panicked")??;
            bail!("a feed ended too early");
        }
        Ok(())
    }

    /// Ends it. Everything that was sent is accepted.
    pub async fn end(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.context("a feed panicked")??;
        }
        Ok(())
    }
}

async fn send(door: Door, class: Class, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let mut story = Story::new(class);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for batch in 1.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        ticks.tick().await;
        let changes = story.batch(batch);
        let ids = door.deliver(class, &changes).await?;
        if batch % TWICE == 0 {
            let again = door.deliver(class, &changes).await?;
            door.books.with(|pages| {
                pages.resent += ids.len() as u64;
                if again != ids {
                    pages.mistaken.push(format!("{ids:?} became {again:?}"));
                }
            });
        }
        if batch % POISON == 0 {
            door.poison(class, batch).await?;
        }
    }
    Ok(())
}

impl Door {
    /// Sends until all are accepted; no answer, 503 and 429 mean later. The events' ids, in order.
    pub async fn deliver(&self, class: Class, changes: &[Change]) -> anyhow::Result<Vec<String>> {
        let events: Vec<Value> = changes.iter().map(Change::event).collect::<anyhow::Result<_>>()?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            self.under_way.fetch_add(1, Ordering::Relaxed);
            let began = micros();
            let answer = self.post(class, &events).await;
            self.note(began, matches!(answer, Ok((202, _))));
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            match answer {
                Ok((202, ids)) if ids.len() == changes.len() => {
                    for (id, change) in ids.iter().zip(changes) {
                        self.books.accepted(id, class, change);
                    }
                    return Ok(ids);
                }
                Ok((429 | 503, _)) => {}
                Ok((status, ids)) => bail!("the gateway says {status} and takes {ids:?} of {events:?}"),
                // Bytes left, and no answer came: whether it was accepted nobody knows.
                Err(error) if !error.is_connect() => self.books.with(|pages| pages.cut_off += 1),
                Err(_) => {}
            }
            if tokio::time::Instant::now() > deadline {
                bail!("the gateway does not take {events:?}");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn note(&self, began: i64, accepted: bool) {
        let time = (began, micros());
        self.books.with(
            |pages| {
                if accepted { pages.acknowledged.push(time) } else { pages.turned_away.push(time) }
            },
        );
    }

    /// Sends once. What the gateway says: the status, and the ids that it took.
    pub async fn offer(&self, class: Class, changes: &[Change]) -> anyhow::Result<(u16, Vec<String>)> {
        let events: Vec<Value> = changes.iter().map(Change::event).collect::<anyhow::Result<_>>()?;
        self.post(class, &events).await.context("the gateway does not answer")
    }

    async fn post(&self, class: Class, events: &[Value]) -> reqwest::Result<(u16, Vec<String>)> {
        let request = self.http.post(format!("{}/v1/events", self.url)).bearer_auth(class.api_key());
        let answer = request.json(events).timeout(ANSWER).send().await?;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await?;
        let accepted = body["accepted"].as_array().into_iter().flatten();
        let ids = accepted.filter_map(|event| event["event_id"].as_str()).map(str::to_owned);
        Ok((status, ids.collect()))
    }

    /// A record that is not Avro, where the tenant's events are.
    async fn poison(&self, class: Class, batch: u64) -> anyhow::Result<()> {
        let value = format!("not avro at all, {class}, {batch}").into_bytes();
        let key = format!("{class}/customer/POISON-{batch}");
        let poison = self.topics.publish(class, ObjectKind::Customer, key.as_bytes(), value).await?;
        self.books.with(|pages| pages.poison.push(poison));
        Ok(())
    }
}

/// What happens at a tenant, batch by batch.
struct Story {
    class: Class,
    versions: HashMap<u64, u64>,
    next: u64,
}

impl Story {
    fn new(class: Class) -> Self {
        Self { class, versions: HashMap::new(), next: 0 }
    }

    fn batch(&mut self, batch: u64) -> Vec<Change> {
        let mut changes = vec![self.change(), self.change()];
        if batch.is_multiple_of(SWAPPED) && self.class != Class::Neither {
            let (entity, object) = (changes[1].entity.clone(), changes[1].object);
            let number = (self.next - 1) % ENTITIES;
            let version = self.versions.entry(number).or_default();
            *version += 1;
            changes.insert(1, Change::of(object, entity, *version));
        }
        if batch.is_multiple_of(REFUSED) {
            changes.push(Change::refused(format!("CLOSED-{batch}")));
        }
        changes
    }

    /// The target without protection is only given new documents.
    fn change(&mut self) -> Change {
        let number = self.next;
        self.next += 1;
        let (entity, version) = if self.class == Class::Neither {
            (number, 1)
        } else {
            let version = self.versions.entry(number % ENTITIES).or_default();
            *version += 1;
            (number % ENTITIES, *version)
        };
        let object = if entity.is_multiple_of(2) { ObjectKind::Customer } else { ObjectKind::Payment };
        Change::of(object, format!("E-{entity}"), version)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn story(class: Class) -> Vec<Change> {
        let mut story = Story::new(class);
        (1..=400).flat_map(|batch| story.batch(batch)).collect()
    }

    #[test]
    fn no_version_of_an_entity_comes_twice() {
        for class in Class::ALL {
            let changes = story(class);
            let seen: HashSet<_> = changes.iter().map(|c| (c.object.name(), &c.entity, c.version)).collect();
            assert_eq!(seen.len(), changes.len());
            assert!(changes.iter().any(|change| change.refused));
        }
    }

    #[test]
    fn some_versions_come_in_the_wrong_order_but_not_where_each_write_is_a_document() {
        let stale = |class| {
            let mut last = HashMap::new();
            story(class)
                .iter()
                .filter(|c| last.insert((c.object.name(), c.entity.clone()), c.version) > Some(c.version))
                .count()
        };
        assert!(stale(Class::Keyed) > 10 && stale(Class::Upsert) > 10);
        assert_eq!(stale(Class::Neither), 0);
    }
}
