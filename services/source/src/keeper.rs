//! Keeps the polls what the tenants' configuration says: that of the control topic as it changes, and secrets that are rotated
//! (docs/adr/0021).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use event::TenantId;
use kafka::Settings;
use service_kit::Check;
use telemetry::IntGauge;
use tenancy::{Environment, InForce, Live, Tenant, Watch, revision::Files};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tracing::{info, warn};

use crate::{
    maker::Maker,
    polls::{Polls, Wanted},
};

/// How often the secrets behind references are looked at again, and what could not be carried out is tried again.
const LOOK: Duration = Duration::from_secs(5);
/// How long the topic must be quiet before what came is put in force.
const QUIET: Duration = Duration::from_millis(50);
/// The wait before brokers are asked again.
const RETRY: Duration = Duration::from_secs(1);

/// Where the tenants come from.
pub(crate) enum Origin {
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

/// Puts polls in the place of others, for as long as the source runs.
pub(crate) struct Keeper {
    origin: Origin,
    kafka: Settings,
    region: String,
    maker: Arc<Maker>,
    polls: Polls,
    troubled: IntGauge,
    watch: Watch,
    troubles: BTreeMap<TenantId, String>,
    /// Whether something has to be tried again.
    behind: bool,
}

/// Ends the thread that follows the topic.
struct Listening(Arc<AtomicBool>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Keeper {
    pub(crate) fn new(
        origin: Origin,
        (kafka, region): (Settings, String),
        maker: Arc<Maker>,
        polls: Polls,
        troubled: IntGauge,
    ) -> Self {
        let (watch, troubles) = (Watch::default(), BTreeMap::new());
        Self { origin, kafka, region, maker, polls, troubled, watch, troubles, behind: false }
    }

    /// Polls until `stopping` ends. `check` passes once the tenants are known.
    pub(crate) async fn run(mut self, check: &Check, stopping: impl Future<Output = ()>) {
        tokio::select! {
            () = stopping => {}
            () = self.keep(check) => {}
        }
        self.polls.end().await;
    }

    /// Never ends by itself.
    async fn keep(&mut self, check: &Check) {
        if matches!(self.origin, Origin::Folder { .. }) {
            self.renew().await;
            check.pass();
            loop {
                tokio::time::sleep(LOOK).await;
                self.look_again().await;
            }
        }
        let (records, _listening) = loop {
            match self.begin().await {
                Ok(begun) => break begun,
                Err(why) => check.fail(why),
            }
            tokio::time::sleep(RETRY).await;
        };
        self.renew().await;
        check.pass();
        self.follow(records).await;
    }

    /// Reads the topic whole, and begins to follow it.
    async fn begin(&mut self) -> Result<(UnboundedReceiver<control::Record>, Listening), String> {
        let topic: Arc<str> = Arc::from(topics::names::control(&self.region));
        let (settings, whole) = (self.kafka.clone(), Arc::clone(&topic));
        // What cannot be read is told with the troubles.
        let read = tokio::task::spawn_blocking(move || control::read(&settings, &whole, |_| ())).await;
        let (state, next) = read.map_err(|panicked| panicked.to_string())?.map_err(chain)?;
        self.origin = Origin::Control(Box::new(state.tenants));
        // Tenants' records, a few a day: whoever applies them waits for the brokers.
        #[allow(clippy::disallowed_methods)]
        let (sender, records) = unbounded_channel();
        let listening = Arc::new(AtomicBool::new(true));
        let goes_on = Arc::clone(&listening);
        control::follow(
            self.kafka.clone(),
            topic,
            next,
            move || goes_on.load(Ordering::Relaxed),
            move |record| drop(sender.send(record)), // the keeper has ended with the source
        )
        .map_err(chain)?;
        Ok((records, Listening(listening)))
    }

    async fn follow(&mut self, mut records: UnboundedReceiver<control::Record>) {
        loop {
            let (mut news, mut patience) = (false, LOOK);
            while let Ok(Some(record)) = tokio::time::timeout(patience, records.recv()).await {
                if let Origin::Control(live) = &mut self.origin {
                    news |= live.take(&record.key, record.value.as_deref()).is_some();
                }
                patience = QUIET;
            }
            if news {
                self.renew().await;
            } else if patience == LOOK {
                self.look_again().await;
            }
            if records.is_closed() && records.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    async fn look_again(&mut self) {
        if self.behind || !self.troubles.is_empty() || self.watch.has_changed(&Environment) {
            self.renew().await;
        }
    }

    /// Resolves secrets anew, and changes the polls to what is in force.
    async fn renew(&mut self) {
        let Some((built, revisions)) = tokio::task::block_in_place(|| self.build()) else { return };
        let InForce { set, held, removed, mut troubles, watch, .. } = built;
        self.watch = watch;
        let ours = set.iter().filter(|tenant| self.maker.serves(tenant) && !held.contains(&tenant.id));
        let mut wanted = Vec::new();
        for tenant in ours {
            let revision = revisions.get(&tenant.id).copied().unwrap_or_default();
            match self.maker.polls(tenant) {
                Ok(polls) => wanted.extend(polls.into_iter().map(|(name, poll)| {
                    let print = (revision, poll.secrets);
                    Wanted { name, print, poll }
                })),
                Err(error) => drop(troubles.insert(tenant.id.clone(), chain(error))),
            }
        }
        // Whoever is in trouble goes on as it was, with the secrets that it had.
        let troubled = troubles.keys().chain(&held).filter(|tenant| !removed.contains(*tenant));
        let kept: BTreeSet<String> = troubled.map(ToString::to_string).collect();
        self.behind = !self.polls.change_to(wanted, &kept).await;
        self.complain(troubles);
    }

    /// What is in force, and the revisions of the tenants; none where it cannot be told, so that all stays as it was.
    fn build(&mut self) -> Option<(InForce, BTreeMap<TenantId, u64>)> {
        let maker = Arc::clone(&self.maker);
        let fits = |tenant: &Arc<Tenant>| maker.polls(tenant).map(drop).map_err(chain);
        match &mut self.origin {
            Origin::Control(live) => {
                let built = live.build(&Environment, &fits);
                let revisions = live.current().iter().map(|(t, revision)| (t.clone(), revision.revision));
                Some((built, revisions.collect()))
            }
            Origin::Folder { name, folders } => match InForce::of_folder(name, folders, &Environment) {
                Ok(built) => Some((built, BTreeMap::new())),
                Err(error) => {
                    if !std::mem::replace(&mut self.behind, true) {
                        warn!(code = "SRC-0007", %error, "secrets cannot be read again, the former ones stay in force");
                    }
                    None
                }
            },
        }
    }

    fn complain(&mut self, troubles: BTreeMap<TenantId, String>) {
        for (tenant, why) in &troubles {
            if self.troubles.get(tenant) != Some(why) {
                warn!(code = "SRC-0007", %tenant, why, "a tenant's configuration cannot be put in force here");
            }
        }
        for tenant in self.troubles.keys().filter(|tenant| !troubles.contains_key(*tenant)) {
            info!(%tenant, "the tenant's configuration is in force");
        }
        self.troubled.set(troubles.len() as i64);
        self.troubles = troubles;
    }
}

fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}
