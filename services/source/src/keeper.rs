//! Keeps the polls what the tenants' configuration says: that of the control topic as it changes, and secrets that are rotated
//! (docs/adr/0021).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use control::{Following, Origin, Troubles};
use event::TenantId;
use kafka::Settings;
use service_kit::Check;
use telemetry::IntGauge;
use tenancy::{Environment, InForce, Tenant, Watch};
use tracing::warn;

use crate::{
    maker::Maker,
    polls::{Polls, Wanted},
};

/// How often the secrets behind references are looked at again, and what could not be carried out is tried again.
const LOOK: Duration = Duration::from_secs(5);
/// The wait before brokers are asked again.
const RETRY: Duration = Duration::from_secs(1);

/// Puts polls in the place of others, for as long as the source runs.
pub(crate) struct Keeper {
    origin: Origin,
    kafka: Settings,
    region: String,
    maker: Arc<Maker>,
    polls: Polls,
    troubled: IntGauge,
    watch: Watch,
    troubles: Troubles,
    /// Whether something has to be tried again.
    behind: bool,
}

impl Keeper {
    pub(crate) fn new(
        origin: Origin,
        (kafka, region): (Settings, String),
        maker: Arc<Maker>,
        polls: Polls,
        troubled: IntGauge,
    ) -> Self {
        let (watch, troubles) = (Watch::default(), Troubles::new("SRC-0007"));
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
        let topic: Arc<str> = Arc::from(topics::names::control(&self.region));
        let mut following = loop {
            match Following::begin(&self.kafka, &topic).await {
                Ok((live, following)) => {
                    self.origin = Origin::Control(Box::new(live));
                    break following;
                }
                Err(error) => check.fail(chain(error)),
            }
            tokio::time::sleep(RETRY).await;
        };
        self.renew().await;
        check.pass();
        while let Origin::Control(live) = &mut self.origin {
            match following.news(live, LOOK).await {
                Some(true) => self.renew().await,
                Some(false) => {}
                None => self.look_again().await,
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
        self.troubled.set(self.troubles.are(troubles) as i64);
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
}

fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}
