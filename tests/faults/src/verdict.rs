//! From the last fault to the verdict.

use crate::{
    check::{self, Violation},
    evidence::Evidence,
    feed::Feed,
    moments::Moments,
    rest,
    world::World,
};

/// Violations that are printed; a summary counts all.
const SHOWN: usize = 30;

pub struct Verdict {
    pub evidence: Evidence,
    pub violations: Vec<Violation>,
}

/// Ends the feed, waits for rest, drains the sinks, and compares both ends.
pub async fn reach(world: &mut World, feed: Feed, moments: Moments) -> anyhow::Result<Verdict> {
    eprintln!("faults are over, waiting for rest");
    feed.end().await?;
    let rest = rest::rest(world).await?;
    for sink in &mut world.sinks {
        sink.drain().await?;
    }
    let evidence = Box::pin(Evidence::gather(world, rest, moments)).await?;
    let violations = check::violations(&evidence);
    Ok(Verdict { evidence, violations })
}

/// Says what is violated, and where to look.
pub fn tell(seed: u64, violations: &[Violation]) {
    for Violation { id, event, evidence, round } in violations.iter().take(SHOWN) {
        let event = event.as_deref().unwrap_or("-");
        let round = round.map_or_else(|| "-".to_owned(), |round| round.to_string());
        eprintln!("VIOLATED {id} (seed {seed}, round {round}, event {event}): {evidence}");
    }
    if violations.len() > SHOWN {
        eprintln!("… and {} more", violations.len() - SHOWN);
    }
}
