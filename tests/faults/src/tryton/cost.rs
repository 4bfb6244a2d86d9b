//! What a posting takes undisturbed, beside what Tryton takes for the same calls when nothing stands between.

use std::{collections::VecDeque, time::Duration};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;
use testkit::tryton::Client;
use tokio::time::Instant;

use super::{company::Bill, world::World};

/// The two are measured in turn, so often at most, so that the machine's other work meets both.
const TURNS: usize = 10;
/// The most postings of a turn.
const MOST: usize = 4;
/// For the postings of a turn.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the references of invoices begin with that are no events.
const RAW: &str = "RAW-";

/// What a posting may add to the calls, in percent: less than that.
const LIMIT: f64 = 10.0;
/// So many postings must be measured before the figure says anything.
const ENOUGH: usize = 40;

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Postings that were measured, and as many invoices that were posted by hand.
    pub measured: usize,
    /// Tryton's own calls for an invoice, one after the other: look the reference up, create, post.
    pub raw_ms: f64,
    /// From the first request to the outcome, one posting after the other.
    pub posting_ms: f64,
    /// What the posting adds to the calls.
    pub added_percent: f64,
}

impl Cost {
    /// Whether a posting adds too much. A run that measures fewer than 40 says nothing about it.
    pub fn is_too_much(&self) -> bool {
        self.measured >= ENOUGH && self.added_percent >= LIMIT
    }
}

/// Whether an invoice is one of those that were posted by hand.
pub fn is_raw(reference: &str) -> bool {
    reference.starts_with(RAW)
}

/// Takes a fifth of the events, at most, and posts them in peace.
pub async fn measure(world: &mut World, bills: &mut VecDeque<Bill>) -> anyhow::Result<Cost> {
    let turns = (bills.len() / 10).clamp(2, TURNS);
    let each = (bills.len() / 5 / turns).clamp(1, MOST);
    let client = Client::new(&world.through_proxy(), world.company.tryton.key())?;
    // neither pays for what is only done once: imports, caches, connections, schemas
    by_hand(world, &client, "warm").await?;
    let warm: Vec<Bill> = bills.drain(..1).collect();
    through(world, &warm).await?;
    let (mut raw, mut posted) = (Duration::ZERO, Duration::ZERO);
    for turn in 0..turns {
        for n in 0..each {
            raw += by_hand(world, &client, &format!("{turn}-{n}")).await?;
        }
        let batch: Vec<Bill> = bills.drain(..each.min(bills.len())).collect();
        posted += through(world, &batch).await?;
    }
    let measured = turns * each;
    let per = |sum: Duration| sum.as_secs_f64() * 1_000.0 / measured as f64;
    let added = (per(posted) / per(raw) - 1.0) * 100.0;
    let tenth = |figure: f64| (figure * 10.0).round() / 10.0;
    Ok(Cost {
        measured,
        raw_ms: tenth(per(raw)),
        posting_ms: tenth(per(posted)),
        added_percent: tenth(added),
    })
}

/// What a posting asks of Tryton, and nothing else.
async fn by_hand(world: &World, client: &Client, name: &str) -> anyhow::Result<Duration> {
    let reference = format!("{RAW}{name}");
    let invoice = world.company.books.invoice_of(&reference, world.company.customer, 3);
    let fields = ["state", "number", "invoice_date", "total_amount"];
    let domain = json!([["reference", "=", reference], ["type", "=", "out"]]);
    let begun = Instant::now();
    let found = client.search("account.invoice", &domain, &fields).await?;
    anyhow::ensure!(found.is_empty(), "{reference} is there already");
    let id = client.create("account.invoice", &invoice).await?;
    let state = client.press("account.invoice", id, "post").await?;
    let took = begun.elapsed();
    anyhow::ensure!(state == "posted", "{reference} is {state}");
    Ok(took)
}

/// Sends the events, and waits for their outcomes: from the first request of them to the last outcome.
async fn through(world: &mut World, batch: &[Bill]) -> anyhow::Result<Duration> {
    world.deliver(batch).await?;
    let total = world.company.issued().len();
    let outcomes = world.rest(total, PATIENCE).await?;
    let of_batch = || outcomes.iter().filter(|o| batch.iter().any(|bill| bill.reference == o.entity));
    let first = of_batch().filter_map(|outcome| outcome.first_attempt_at).min();
    let last = of_batch().map(|outcome| outcome.settled_at).max();
    let span = first.zip(last).map(|(first, last)| last - first).context("an event has no outcome")?;
    anyhow::ensure!(of_batch().count() == batch.len(), "an event has no outcome");
    Ok(Duration::from_micros(span.try_into().context("an outcome before its request")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_percent_is_too_much_where_enough_was_measured() {
        let cost =
            |measured, added_percent| Cost { measured, raw_ms: 100.0, posting_ms: 110.0, added_percent };
        assert!(cost(40, 10.0).is_too_much() && cost(400, 31.5).is_too_much());
        assert!(!cost(40, 9.9).is_too_much() && !cost(40, -3.0).is_too_much());
        assert!(!cost(39, 50.0).is_too_much(), "the small run of the tests measures two");
    }
}
