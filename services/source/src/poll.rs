//! One object of one connection, read round after round.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use mapping::Program;
use secrecy::SecretString;
use serde_json::{Value, json};
use service_kit::Shutdown;
use target::{Change, Client, Endpoint, Place, WalkError};
use telemetry::{IntCounterVec, IntGaugeVec};

use crate::{SourceError, cursor::Cursor, gateway::Gateway};

/// The longest wait after a failure.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The most records within the overlap of which it is remembered that they were told.
const MOST_REMEMBERED: usize = 100_000;
/// How often a round walks in all, where the list moves while it is walked.
const WALKS: usize = 4;

/// What all polls count.
#[derive(Clone)]
pub(crate) struct Counters {
    /// Records that were told, by poll.
    pub(crate) told: IntCounterVec,
    /// Rounds that failed, by poll and code.
    pub(crate) failed: IntCounterVec,
    /// 1 for a poll whose last round failed.
    pub(crate) stuck: IntGaugeVec,
}

/// One object of one connection.
pub(crate) struct Poll {
    /// `tenant/connection/object`.
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) api_key: Arc<SecretString>,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) client: Client,
    pub(crate) endpoint: Endpoint,
    pub(crate) overlap_us: i64,
    pub(crate) program: Program,
    pub(crate) gateway: Gateway,
    pub(crate) cursor: Cursor,
    /// What was told within the overlap since this process began, with a print of each record: where moments are whole seconds, one can
    /// change again and bear the moment that it was told with.
    pub(crate) recent: BTreeMap<Place, u64>,
    pub(crate) counters: Counters,
}

impl Poll {
    /// Round after round, until shutdown. A failed round is begun again where the last acknowledgement left it.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        let mut failures = 0_u32;
        let stuck = self.counters.stuck.with_label_values(&[&self.name]);
        loop {
            let round = tokio::select! {
                () = shutdown.triggered() => return,
                round = self.round() => round,
            };
            let wait = match round {
                Ok(()) => {
                    failures = 0;
                    stuck.set(0);
                    self.every
                }
                Err(error) => {
                    failures += 1;
                    stuck.set(1);
                    self.counters.failed.with_label_values(&[self.name.as_str(), error.code()]).inc();
                    let error_chain = anyhow::Error::new(error);
                    tracing::warn!(poll = %self.name, failures, "nothing is passed over: {error_chain:#}");
                    self.every.max(Duration::from_millis(250 << failures.min(8))).min(MAX_WAIT)
                }
            };
            tokio::select! {
                () = shutdown.triggered() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// From a little before the place that was acknowledged to the end; once more from there where the list has moved meanwhile.
    async fn round(&mut self) -> Result<(), SourceError> {
        let mut walks = 1;
        loop {
            match self.walk().await {
                Err(SourceError::System(WalkError::Moved(what))) if walks < WALKS => {
                    tracing::debug!(poll = %self.name, walks, what, "walked once more");
                    walks += 1;
                }
                walked => {
                    self.forget();
                    return walked;
                }
            }
        }
    }

    /// Page by page. Only what is acknowledged moves the place on.
    async fn walk(&mut self) -> Result<(), SourceError> {
        let Some(mut walk) = self.endpoint.walk(self.begin()) else { return Ok(()) };
        loop {
            let page = self.client.page(&self.endpoint, &mut walk, self.timeout).await;
            let Some(page) = page.map_err(SourceError::System)? else { return Ok(()) };
            self.tell(page.changes).await?;
            if let Some(place) = page.read_to {
                self.cursor.advance(place)?;
            }
        }
    }

    /// The moment at which a round begins: what is committed late bears an earlier one than what was told already.
    fn begin(&self) -> i64 {
        self.cursor.place().map_or(0, |place| place.modified_us.saturating_sub(self.overlap_us).max(0))
    }

    /// Brings what was not told yet, and waits for the acknowledgement.
    async fn tell(&mut self, mut page: Vec<Change>) -> Result<(), SourceError> {
        page.retain(|change| self.recent.get(&change.place) != Some(&print(&change.record)));
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(()) };
        let ids = (&first.place.id, &last.place.id);
        let mut events = Vec::new();
        for change in &page {
            events.extend(self.events(change)?);
        }
        if !events.is_empty() {
            self.gateway.bring(&self.api_key, &events, ids).await?;
        }
        self.counters.told.with_label_values(&[&self.name]).inc_by(page.len() as u64);
        self.recent.extend(page.into_iter().map(|change| (change.place, print(&change.record))));
        while self.recent.len() > MOST_REMEMBERED {
            self.recent.pop_first();
        }
        Ok(())
    }

    fn events(&self, change: &Change) -> Result<Vec<Value>, SourceError> {
        let Place { modified_us, id } = &change.place;
        let input = json!({
            "headers": self.endpoint.webhook().unwrap_or(&BTreeMap::new()),
            "body": change.record,
            "source": self.source,
            "modified": modified_us,
            "with": self.endpoint.with(),
        });
        self.program.run(input).map_err(|source| SourceError::Record { id: id.clone(), source })
    }

    /// What is older than the next round's beginning is never seen again; a double of what is forgotten does no harm.
    fn forget(&mut self) {
        self.recent = self.recent.split_off(&Place::before(self.begin()));
    }
}

fn print(record: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
