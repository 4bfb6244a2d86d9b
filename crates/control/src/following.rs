//! The tenants of the topic, for a task that keeps a service up to date with them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kafka::{ReadError, Settings};
use tenancy::{Live, revision::Files};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, timeout},
};
use tracing::warn;

use crate::{Record, follow, read};

/// How long the topic must be quiet before what came is put in force.
const QUIET: Duration = Duration::from_millis(50);
/// However much comes, what came is put in force after so long.
const AT_MOST: Duration = Duration::from_secs(1);
/// The wait before a topic that cannot be followed is followed again.
const RETRY: Duration = Duration::from_secs(1);

/// Where a service's tenants come from.
#[derive(Debug)]
pub enum Origin {
    /// A folder, read at the start.
    Folder {
        /// What it is called in problems.
        name: String,
        /// What stood in it.
        folders: BTreeMap<String, Files>,
    },
    /// The control topic.
    Control(Box<Live>),
}

/// Why the topic cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// It cannot be read.
    #[error("the control topic `{topic}` cannot be read")]
    Read {
        /// Its name.
        topic: Arc<str>,
        /// Why.
        source: ReadError,
    },
    /// No thread for it.
    #[error("the thread that follows the control topic cannot start")]
    Thread(#[from] std::io::Error),
}

/// Follows the topic for as long as it lives.
#[derive(Debug)]
pub struct Following {
    records: UnboundedReceiver<Record>,
    listening: Arc<AtomicBool>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.listening.store(false, Ordering::Relaxed);
    }
}

impl Following {
    /// Reads the topic whole, and begins to follow it. What cannot be read of it is logged with what is in force.
    ///
    /// # Errors
    /// Where that cannot be done now.
    ///
    /// # Panics
    /// Where reading does.
    pub async fn begin(settings: &Settings, topic: &Arc<str>) -> Result<(Live, Self), FollowError> {
        let (kafka, name) = (settings.clone(), Arc::clone(topic));
        let reading = tokio::task::spawn_blocking(move || read(&kafka, &name, |_| ())).await;
        let read = reading.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
        let (state, next) = read.map_err(|source| FollowError::Read { topic: Arc::clone(topic), source })?;
        // Tenants' records, a few a day: whoever applies them waits for the brokers.
        #[allow(clippy::disallowed_methods)]
        let (sender, records) = unbounded_channel();
        let listening = Arc::new(AtomicBool::new(true));
        let goes_on = Arc::clone(&listening);
        let report = move |record| drop(sender.send(record)); // nobody listens any more: the thread sees it soon
        follow(settings.clone(), Arc::clone(topic), next, move || goes_on.load(Ordering::Relaxed), report)?;
        Ok((state.tenants, Self { records, listening }))
    }

    /// Waits for records, `patience` at most, takes what comes until it is quiet, and says whether tenants have changed; none where
    /// nothing came. Cancelled, it may lose what it has not said.
    pub async fn news(&mut self, live: &mut Live, patience: Duration) -> Option<bool> {
        let first = timeout(patience, self.records.recv()).await.ok()?;
        let Some(first) = first else {
            warn!("the control topic is followed no more");
            tokio::time::sleep(patience.max(RETRY)).await;
            return None;
        };
        let mut changed = live.take(&first.key, first.value.as_deref()).is_some();
        let end = Instant::now() + AT_MOST;
        while Instant::now() < end
            && let Ok(Some(record)) = timeout(QUIET, self.records.recv()).await
        {
            changed |= live.take(&record.key, record.value.as_deref()).is_some();
        }
        Some(changed)
    }
}
