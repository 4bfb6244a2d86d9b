//! The tenants in force, whose secrets may be rotated while the gateway runs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::RwLock;
use tenancy::{Environment, InForce, TenantSet, revision::Files};

/// How often the secrets behind references are read again.
const REREAD: Duration = Duration::from_secs(5);

/// The tenants in force. Clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Tenants(Arc<RwLock<Arc<TenantSet>>>);

impl Tenants {
    /// These, until others are put in their place.
    pub fn new(set: Arc<TenantSet>) -> Self {
        Self(Arc::new(RwLock::new(set)))
    }

    /// Those in force now. A request keeps to the ones that it began with.
    pub fn get(&self) -> Arc<TenantSet> {
        Arc::clone(&self.0.read())
    }

    fn put(&self, set: TenantSet) {
        *self.0.write() = Arc::new(set);
    }
}

/// The files that the tenants were read from at the start: references are resolved anew, nothing else changes without a restart.
pub(crate) struct Rotation {
    pub(crate) name: String,
    pub(crate) folders: BTreeMap<String, Files>,
}

impl Rotation {
    /// Puts rotated secrets in force, for as long as the gateway runs. Where one cannot be read the former ones stay.
    pub(crate) async fn run(self, tenants: Tenants) {
        let (mut last, mut failing) = (None, false);
        let mut ticks = tokio::time::interval(REREAD);
        let this = Arc::new(self);
        loop {
            ticks.tick().await;
            let rotation = Arc::clone(&this);
            let read = move || InForce::of_folder(&rotation.name, &rotation.folders, &Environment);
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok(read)) => {
                    if last.is_some_and(|last| last != read.secrets) {
                        tracing::info!("a secret was rotated");
                    }
                    if last != Some(read.secrets) {
                        tenants.put(read.set);
                    }
                    (last, failing) = (Some(read.secrets), false);
                }
                Ok(Err(error)) if !failing => {
                    failing = true;
                    tracing::warn!(code = "GTW-0053", %error, "secrets cannot be read again, the former ones stay in force");
                }
                Ok(Err(_)) => {}
                Err(panicked) => tracing::warn!(%panicked, "reading secrets again failed"),
            }
        }
    }
}
