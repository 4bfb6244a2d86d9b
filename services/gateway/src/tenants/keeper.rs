//! Keeps the tenants in force up to date: with what the control topic says of them, and with their secrets.

use std::{sync::Arc, time::Duration};

use control::{Following, Origin, Troubles};
use kafka::Settings;
use mapping::connectors::Connectors;
use service_kit::Check;
use tenancy::{Environment, InForce, Tenant, TenantSet, Watch};
use tracing::{info, warn};

use super::{Served, Tenants};
use crate::{StartError, metrics::GatewayMetrics, objects::chain, setup::check_webhooks_of};

/// How often the secrets behind references are looked at again, and what could not be carried out is tried again.
const LOOK: Duration = Duration::from_secs(5);
/// The wait before brokers are asked again.
const RETRY: Duration = Duration::from_secs(1);

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
    pub(crate) troubles: Troubles,
    /// Whether the folder's secrets could not be read again, which was said.
    pub(crate) failing: bool,
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
        let topic: Arc<str> = Arc::from(topics::names::control(&self.region));
        let mut following = loop {
            match Following::begin(&self.kafka, &topic).await {
                Ok((live, following)) => {
                    self.origin = Origin::Control(Box::new(live));
                    break following;
                }
                Err(error) => check.fail(chain(&error)),
            }
            tokio::time::sleep(RETRY).await;
        };
        self = self.renewed().await;
        check.pass();
        while let Origin::Control(live) = &mut self.origin {
            self = match following.news(live, LOOK).await {
                Some(true) => self.renewed().await,
                Some(false) => self,
                None => self.look_again().await,
            };
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
        self.metrics.troubled(self.troubles.are(troubles));
    }

    fn cannot(&self, error: &StartError) {
        warn!(
            code = "GTW-0054",
            error = chain(error),
            "the tenants cannot be put in force, the former ones stay"
        );
    }
}
