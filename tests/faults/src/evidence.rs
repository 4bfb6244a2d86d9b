//! Both ends, read when all is at rest.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Context as _;
use bytes::Bytes;
use contract::Outcome;
use kafka::ReadRecord;
use sandbox::{EffectRow, EntityRow, RequestRow, Requests};

use crate::{
    admin::{self, Series},
    books::{Issued, Poison},
    changelog::Intents,
    class::Class,
    moments::Moments,
    rest::Rest,
    topic::{Behind, Origin, originals, positions},
    world::World,
};

/// A dead letter.
#[derive(Clone, Debug)]
pub struct Letter {
    pub origin: Origin,
    pub code: String,
    /// None: the record could not be read.
    pub event_id: Option<String>,
    pub value: Bytes,
}

/// Everything that the checks look at.
#[derive(Default)]
pub struct Evidence {
    pub issued: HashMap<String, Issued>,
    pub poison: Vec<Poison>,
    /// Resends that became other events.
    pub mistaken: Vec<String>,
    /// Requests at the gateway that were cut off.
    pub cut_off: u64,
    /// Requests that the gateway accepted, and that it did not: when each began and ended.
    pub acknowledged: Vec<(i64, i64)>,
    pub turned_away: Vec<(i64, i64)>,
    pub outcomes: HashMap<String, Vec<Outcome>>,
    pub effects: Vec<(Class, EffectRow)>,
    pub entities: Vec<(Class, EntityRow)>,
    pub requests: Vec<(Class, RequestRow)>,
    pub counts: BTreeMap<Class, Requests>,
    pub letters: Vec<Letter>,
    pub originals: BTreeMap<Origin, Bytes>,
    /// Where each event stands first.
    pub positions: HashMap<String, Origin>,
    /// Every Intent that was in the changelogs, if they were followed.
    pub intents: Option<Intents>,
    /// Sinks wrote an Intent before each attempt, whatever the class.
    pub each_intent: bool,
    pub canaries: HashSet<String>,
    pub behind: Vec<Behind>,
    pub moments: Moments,
    /// What all sinks counted.
    pub counted: Series,
    /// How sinks ended that nobody had told to, and what panicked.
    pub unexpected: Vec<String>,
    pub restored_from_empty: u64,
    pub distrusted: u64,
    /// Everything that the sinks printed.
    pub log: String,
}

impl Evidence {
    /// Reads all there is.
    pub async fn gather(world: &World, rest: Rest, moments: Moments) -> anyhow::Result<Self> {
        let mut evidence = Self {
            outcomes: world.outcomes.by_event(),
            originals: originals(&world.topics).await?,
            canaries: rest.canaries.into_iter().collect(),
            behind: rest.behind,
            moments,
            each_intent: world.each_intent,
            ..Self::default()
        };
        if let Some(changelog) = &world.changelog {
            evidence.intents = Some(changelog.intents(&world.topics).await?);
            evidence.positions = positions(&evidence.originals, &world.cluster.registry).await?;
        }
        world.books.with(|pages| {
            evidence.issued.clone_from(&pages.issued);
            evidence.poison.clone_from(&pages.poison);
            evidence.mistaken.clone_from(&pages.mistaken);
            evidence.cut_off = pages.cut_off;
            evidence.acknowledged.clone_from(&pages.acknowledged);
            evidence.turned_away.clone_from(&pages.turned_away);
        });
        for class in Class::ALL {
            let of = |row| (class, row);
            evidence.effects.extend(world.erp.effects(class).await?.into_iter().map(of));
            evidence.entities.extend(world.erp.entities(class).await?.into_iter().map(|row| (class, row)));
            evidence.requests.extend(world.erp.requests(class).await?.into_iter().map(|row| (class, row)));
            evidence.counts.insert(class, world.erp.counts(class).await?);
        }
        for tenant in Class::ALL.map(Some).into_iter().chain([None]) {
            let tenant = tenant.map(Class::tenant).transpose()?;
            for record in world.topics.dead_letters(tenant.as_ref()).await? {
                evidence.letters.push(letter(&record)?);
            }
        }
        for sink in &world.sinks {
            admin::add(&mut evidence.counted, &sink.counted());
            evidence.unexpected.extend(sink.ended_by_itself.iter().cloned());
            evidence.restored_from_empty += sink.restored_from_empty;
            evidence.distrusted += sink.distrusted;
            evidence.log += &sink.log();
        }
        let panics: Vec<String> = panics(&evidence.log).map(str::to_owned).collect();
        evidence.unexpected.extend(panics);
        Ok(evidence)
    }

    /// The outcome that stands: what a contradiction is about is told by LED-1.
    pub fn outcome(&self, id: &str) -> Option<&Outcome> {
        self.outcomes.get(id).and_then(|all| all.last())
    }

    /// How often an event had an effect.
    pub fn effects_by_event(&self) -> HashMap<&str, u64> {
        let mut effects = HashMap::new();
        for (_, row) in &self.effects {
            *effects.entry(row.event_id.as_deref().unwrap_or_default()).or_default() += row.effects;
        }
        effects
    }
}

/// Panics in what sinks printed. A store may panic over files in which bits were flipped: the ledger catches that, says so,
/// and sets the files aside.
fn panics(log: &str) -> impl Iterator<Item = &str> {
    let caught = log.contains("the store panicked on its own files");
    let of_store = |line: &str| ["/sled-", "/redb-"].iter().any(|store| line.contains(store));
    log.lines().filter(|line| line.contains("panicked at")).filter(move |line| !(caught && of_store(line)))
}

fn letter(record: &ReadRecord) -> anyhow::Result<Letter> {
    let header = |name: &str| {
        let found = record.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let number = |name: &str| {
        header(name)
            .and_then(|text| text.parse().ok())
            .with_context(|| format!("a dead letter without {name}"))
    };
    let topic = header("cf-origin-topic").context("a dead letter without its topic")?;
    let partition: i64 = number("cf-origin-partition")?;
    Ok(Letter {
        origin: (topic, i32::try_from(partition)?, number("cf-origin-offset")?),
        code: header("cf-code").unwrap_or_default(),
        event_id: header("cf-event-id"),
        value: record.value.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_counts_unless_a_store_had_it_and_the_ledger_caught_it() {
        let of_store = "thread 'a' panicked at /x/sled-0.34.7/src/serialization.rs:662:18:";
        let ours = "thread 'a' panicked at services/sink/src/engine.rs:1:1:";
        let caught = "ledger store is damaged reason=\"the store panicked on its own files\"";
        assert_eq!(panics(&format!("{of_store}\n{caught}\n")).count(), 0);
        assert_eq!(panics(of_store).count(), 1);
        assert_eq!(panics(&format!("{ours}\n{of_store}\n{caught}\n")).collect::<Vec<_>>(), [ours]);
    }
}
