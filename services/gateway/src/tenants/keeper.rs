//! Keeps the tenants in force up to date: with what the control topic says of them, and with their secrets.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use event::TenantId;
use kafka::Settings;
use mapping::connectors::Connectors;
use service_kit::Check;
use tenancy::{Environment, InForce, Live, Tenant, TenantSet, Watch, revision::Files};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tracing::{info, warn};

use super::{Served, Tenants};
use crate::{StartError, metrics::GatewayMetrics, objects::chain, setup::check_webhooks_of};

/// How often the secrets behind references are looked at again, and what could not be carried out is tried again.
const LOOK: Duration = Duration::from_secs(5);
/// How long the topic must be quiet before what came is put in force.
const QUIET: Duration = Duration::from_millis(50);
/// The wait before brokers are asked again.
const RETRY: Duration = Duration::from_secs(1);

/// Where the tenants come from.
pub(crate) enum Origin {
    /// A folder, read at the start.
    Folder { name: String, folders: BTreeMap<String, Files> },
    /// The control topic.
    Control(Box<Live>),
}

/// Puts tenants in force, for as long as the gateway runs.
pub(crate) struct Keeper {
    pub(crate) origin: Origin,
    pub(crate) kafka: Settings,
    pub(crate) region: String,
    pub(crate) topics: topics::Specs,
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) tenants: Tenants,
    pub(crate) watch: Watch,
    pub(crate) troubles: BTreeMap<TenantId, String>,
    /// Whether the folder's secrets could not be read again, which was said.
    pub(crate) failing: bool,
}

/// Ends the thread that follows the topic.
struct Listening(Arc<AtomicBool>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Keeper {
    /// Never ends by itself. `check` passes once the tenants are known.
    pub(crate) async fn run(mut self, check: Check) {
        if matches!(self.origin, Origin::Folder { .. }) {
            check.pass();
            loop {
                tokio::time::sleep(LOOK).await;
                self = self.look_again().await;
            }
        }
        let (records, _listening) = loop {
            match self.begin().await {
                Ok(begun) => break begun,
                Err(why) => check.fail(why),
            }
            tokio::time::sleep(RETRY).await;
        };
        self = self.renewed().await;
        check.pass();
        self.follow(records).await;
    }

    /// Reads the topic whole, and begins to follow it.
    async fn begin(&mut self) -> Result<(UnboundedReceiver<control::Record>, Listening), String> {
        let topic: Arc<str> = Arc::from(topics::names::control(&self.region));
        let (settings, whole) = (self.kafka.clone(), Arc::clone(&topic));
        // What cannot be read is told with the troubles.
        let read = tokio::task::spawn_blocking(move || control::read(&settings, &whole, |_| ())).await;
        let (state, next) = read.map_err(|panicked| panicked.to_string())?.map_err(|error| chain(&error))?;
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
            move |record| drop(sender.send(record)), // the keeper has ended with the gateway
        )
        .map_err(|error| chain(&error))?;
        Ok((records, Listening(listening)))
    }

    async fn follow(mut self, mut records: UnboundedReceiver<control::Record>) {
        loop {
            let mut news = false;
            let mut patience = LOOK;
            while let Ok(Some(record)) = tokio::time::timeout(patience, records.recv()).await {
                if let Origin::Control(live) = &mut self.origin {
                    news |= live.take(&record.key, record.value.as_deref()).is_some();
                }
                patience = QUIET;
            }
            if news {
                self = self.renewed().await;
            } else if patience == LOOK {
                self = self.look_again().await;
            }
            if records.is_closed() && records.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    async fn look_again(self) -> Self {
        let due = self.failing || !self.troubles.is_empty() || self.watch.has_changed(&Environment);
        if due { self.renewed().await } else { self }
    }

    /// Files are read and programs looked at, so not on a thread that serves others.
    async fn renewed(self) -> Self {
        let renew = move || {
            let mut this = self;
            this.renew();
            this
        };
        match tokio::task::spawn_blocking(renew).await {
            Ok(this) => this,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Resolves secrets anew and puts the tenants in force.
    fn renew(&mut self) {
        let connectors = Arc::clone(&self.connectors);
        let fits =
            |tenant: &Arc<Tenant>| check_webhooks_of(tenant, &connectors).map_err(|error| chain(&error));
        let before = self.tenants.get();
        let (built, revisions) = match &mut self.origin {
            Origin::Control(live) => {
                let nobody = TenantSet::default();
                let before = before.as_deref().map_or(&nobody, |before| &before.set);
                let built = live.build(&Environment, &fits).open(before);
                let revisions = live.current().iter().map(|(t, revision)| (t.clone(), revision.revision));
                (built, revisions.collect())
            }
            Origin::Folder { name, folders } => match InForce::of_folder(name, folders, &Environment) {
                Ok(built) => (built, Vec::new()),
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        warn!(code = "GTW-0053", %error, "secrets cannot be read again, the former ones stay in force");
                    }
                    return;
                }
            },
        };
        self.failing = false;
        let rotated = self.watch.has_changed(&Environment);
        let InForce { set, troubles, watch, .. } = built;
        match Served::new(set, (&self.region, &self.topics), revisions.into_iter(), before.as_deref()) {
            Ok(served) => self.tenants.put(served),
            Err(error) => return self.cannot(&error),
        }
        if rotated {
            info!("a secret was rotated");
        }
        self.watch = watch;
        self.complain(troubles);
    }

    fn cannot(&self, error: &StartError) {
        warn!(
            code = "GTW-0054",
            error = chain(error),
            "the tenants cannot be put in force, the former ones stay"
        );
    }

    fn complain(&mut self, troubles: BTreeMap<TenantId, String>) {
        for (tenant, why) in &troubles {
            if self.troubles.get(tenant) != Some(why) {
                warn!(code = "GTW-0054", %tenant, why, "a tenant's configuration cannot be put in force here");
            }
        }
        for tenant in self.troubles.keys().filter(|tenant| !troubles.contains_key(*tenant)) {
            info!(%tenant, "the tenant's configuration is in force");
        }
        self.metrics.troubled(troubles.len());
        self.troubles = troubles;
    }
}
