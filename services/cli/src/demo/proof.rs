//! Both sides compared: what the gateway accepted, what the outcome topic says, what the dead-letter topics hold, and
//! what the ERP counted.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use anyhow::Context as _;
use contract::{Outcome, OutcomeStatus};
use sandbox::EffectPage;
use serde::Serialize;

use super::{
    feed::{TENANTS, WITHOUT_MEANS},
    tally::Tally,
    world::World,
};

/// The summary that `--json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Events that the gateway acknowledged.
    pub(crate) accepted: usize,
    /// Of them, applied by the target.
    pub(crate) committed: usize,
    /// Of them, refused by the target and in a dead-letter topic.
    pub(crate) rejected: usize,
    /// Of them, perhaps applied: the target offers no way to know.
    pub(crate) in_doubt: usize,
    /// Of them, overtaken by a newer version and not sent.
    pub(crate) superseded: usize,
    /// Effects at the targets beyond the first of each event, and documents beyond the first of each entity.
    pub(crate) duplicates_at_target: u64,
    /// Effects of an older version after a newer one.
    pub(crate) out_of_order: u64,
    /// Accepted events without an outcome, committed ones without an effect, rejected ones without a dead letter,
    /// others with an effect, and those in doubt where the target offers a way to know.
    pub(crate) lost: usize,
    /// Events of which two outcomes with different statuses were announced.
    pub(crate) contradicted: usize,
    /// How often the sink was killed on the way.
    pub(crate) crashes: usize,
    /// Median from acceptance to outcome, milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile from acceptance to outcome, milliseconds. A killed sink shows here.
    pub(crate) p99_ms: f64,
    /// Accepted events by the time from the first request to the last outcome.
    pub(crate) events_per_second: f64,
    /// A few of what is lost, in words.
    #[serde(skip)]
    pub(crate) examples_of_loss: Vec<String>,
    /// The same by tenant.
    #[serde(skip)]
    pub(crate) tenants: BTreeMap<&'static str, Summary>,
}

impl Summary {
    /// Compares both sides.
    pub(crate) async fn of(world: &World, tally: &Tally, took: Duration) -> anyhow::Result<Self> {
        let books = Books::read(world).await?;
        let mut all = Self::default();
        let mut latencies: HashMap<&str, Vec<f64>> = HashMap::new();
        for (id, accepted, outcome) in tally.events() {
            let tenant = all.tenants.entry(accepted.tenant).or_default();
            let status = outcome.as_ref().map(|o| o.status);
            let accounted = books.accounted_for(accepted.tenant, &id, status);
            tenant.count(outcome.as_ref(), accounted);
            if !accounted && all.examples_of_loss.len() < 10 {
                let effect = books.effects.contains(&id);
                all.examples_of_loss
                    .push(format!("{} {id}: outcome {status:?}, effect {effect}", accepted.tenant));
            }
            if let Some(outcome) = &outcome {
                let ms = (outcome.settled_at - outcome.accepted_at).max(0) as f64 / 1_000.0;
                latencies.entry(accepted.tenant).or_default().push(ms);
            }
        }
        let mut every = Vec::new();
        let sandbox = world.sandbox.summary();
        for (name, tenant) in &mut all.tenants {
            let mut ms = latencies.remove(name).unwrap_or_default();
            (tenant.p50_ms, tenant.p99_ms) = percentiles(&mut ms);
            every.extend(ms);
            if let Some(account) = sandbox.accounts.get(*name) {
                tenant.duplicates_at_target = account.totals.duplicates;
                tenant.out_of_order = account.totals.out_of_order;
            }
            tenant.events_per_second = tenant.accepted as f64 / took.as_secs_f64();
        }
        all.contradicted = tally.contradicted();
        for tenant in all.tenants.clone().values() {
            all.add(tenant);
        }
        (all.p50_ms, all.p99_ms) = percentiles(&mut every);
        all.events_per_second = (all.accepted as f64 / took.as_secs_f64() * 10.0).round() / 10.0;
        Ok(all)
    }

    /// Nothing lost, nothing double, nothing out of order, no outcome taken back.
    pub(crate) fn is_good(&self) -> bool {
        [self.lost, self.contradicted] == [0; 2] && [self.duplicates_at_target, self.out_of_order] == [0; 2]
    }

    fn count(&mut self, outcome: Option<&Outcome>, accounted_for: bool) {
        self.accepted += 1;
        self.lost += usize::from(!accounted_for);
        match outcome.map(|o| o.status) {
            Some(OutcomeStatus::Committed) => self.committed += 1,
            Some(OutcomeStatus::Rejected) => self.rejected += 1,
            Some(OutcomeStatus::InDoubt) => self.in_doubt += 1,
            Some(OutcomeStatus::Superseded) => self.superseded += 1,
            None => {}
        }
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.committed += other.committed;
        self.rejected += other.rejected;
        self.in_doubt += other.in_doubt;
        self.superseded += other.superseded;
        self.lost += other.lost;
        self.duplicates_at_target += other.duplicates_at_target;
        self.out_of_order += other.out_of_order;
    }
}

/// What the other side knows, by event id.
struct Books {
    effects: HashSet<String>,
    dead_letters: HashSet<String>,
}

impl Books {
    async fn read(world: &World) -> anyhow::Result<Self> {
        let mut effects = HashSet::new();
        for tenant in TENANTS {
            effects.extend(effects_of(world, tenant).await?);
        }
        let (settings, region) = (world.kafka.clone(), world.region.clone());
        let dead_letters = tokio::task::spawn_blocking(move || dead_letters(&settings, &region))
            .await
            .context("panicked")??;
        Ok(Self { effects, dead_letters })
    }

    /// Whether the event is where its outcome says.
    fn accounted_for(&self, tenant: &str, id: &str, status: Option<OutcomeStatus>) -> bool {
        let effect = self.effects.contains(id);
        match status {
            None => false,
            Some(OutcomeStatus::Committed) => effect,
            Some(OutcomeStatus::Rejected) => !effect && self.dead_letters.contains(id),
            Some(OutcomeStatus::Superseded) => !effect,
            // Only a target that offers nothing against double effects leaves anything to a person.
            Some(OutcomeStatus::InDoubt) => tenant == WITHOUT_MEANS,
        }
    }
}

async fn effects_of(world: &World, tenant: &str) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut after = 0;
    loop {
        let url = format!("{}/admin/accounts/{tenant}/effects?limit=1000&after={after}", world.sandbox_url);
        let page: EffectPage = reqwest::get(&url).await?.error_for_status()?.json().await?;
        ids.extend(page.effects.into_iter().filter(|row| row.effects > 0).filter_map(|row| row.event_id));
        match page.next {
            Some(next) => after = next,
            None => return Ok(ids),
        }
    }
}

/// The event ids of all dead letters.
fn dead_letters(settings: &kafka::Settings, region: &str) -> anyhow::Result<HashSet<String>> {
    let mut ids = HashSet::new();
    for tenant in TENANTS {
        let topic = topics::names::dlq(region, Some(&tenant.parse()?));
        let reader = kafka::Reader::new(settings, &topic)?;
        let mut left = 0;
        let mut starts = Vec::new();
        for partition in 0..reader.partitions()? {
            let (low, end) = reader.bounds(partition)?;
            left += end - low;
            starts.push((partition, low));
        }
        reader.start(&starts)?;
        while left > 0 {
            let record = reader.next(Duration::from_secs(10))?.context("a dead letter cannot be read")?;
            left -= 1;
            let id = record.headers.iter().find(|(name, _)| name == "cf-event-id");
            ids.extend(id.map(|(_, value)| String::from_utf8_lossy(value).into_owned()));
        }
    }
    Ok(ids)
}

/// Median and 99th percentile, with one decimal.
fn percentiles(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
        values.get(index).map_or(0.0, |ms| (ms * 10.0).round() / 10.0)
    };
    (at(0.5), at(0.99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentiles(&mut values), (50.0, 99.0));
        assert_eq!(percentiles(&mut []), (0.0, 0.0));
        assert_eq!(percentiles(&mut [7.04]), (7.0, 7.0));
    }

    #[test]
    fn good_only_without_loss_doubles_and_disorder() {
        assert!(Summary::default().is_good());
        assert!(!Summary { lost: 1, ..Summary::default() }.is_good());
        assert!(!Summary { duplicates_at_target: 1, ..Summary::default() }.is_good());
        assert!(!Summary { out_of_order: 1, ..Summary::default() }.is_good());
        assert!(!Summary { contradicted: 1, ..Summary::default() }.is_good());
    }

    #[test]
    fn an_event_is_accounted_for_only_where_its_outcome_says() {
        use OutcomeStatus::{Committed, InDoubt, Rejected, Superseded};
        let set = |id: &str| HashSet::from([id.to_owned()]);
        let books = Books { effects: set("effect"), dead_letters: set("letter") };
        let good = |tenant, id, status| books.accounted_for(tenant, id, Some(status));
        assert!(good("acme", "effect", Committed) && !good("acme", "letter", Committed));
        assert!(good("acme", "letter", Rejected) && !good("acme", "effect", Rejected));
        assert!(good("acme", "neither", Superseded) && !good("acme", "effect", Superseded));
        assert!(!books.accounted_for("acme", "effect", None));
        // A key or a look-up always tells.
        assert!(good("initech", "neither", InDoubt) && good("initech", "effect", InDoubt));
        assert!(!good("acme", "neither", InDoubt) && !good("globex", "effect", InDoubt));
    }
}
