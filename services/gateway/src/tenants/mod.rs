//! The tenants in force, with all that is worked out from them. They come, change and go while the gateway runs (docs/adr/0021).

mod keeper;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use event::TenantId;
use parking_lot::RwLock;
use tenancy::{Quotas, TenantSet};

use crate::{StartError, placement::Places};

pub(crate) use keeper::Keeper;

/// For how long events say under which state of their tenant they were let in: until the sinks must have read of it.
const FRESH: Duration = Duration::from_secs(60);

/// Tenants, their places and their quotas, of one moment.
pub struct Served {
    /// The tenants.
    pub set: TenantSet,
    /// Where their events go.
    pub places: Places,
    /// What each may send, and what it has sent.
    pub quotas: Quotas,
    /// The state of each tenant, and since when it is in force.
    revisions: HashMap<TenantId, (u64, Instant)>,
}

impl Served {
    /// These tenants in `region`, in the place of `before`: what is used of a quota stays used.
    ///
    /// # Errors
    /// As [`Places::new`].
    pub fn new(
        set: TenantSet,
        (region, topics): (&str, &topics::Specs),
        revisions: impl Iterator<Item = (TenantId, u64)>,
        before: Option<&Self>,
    ) -> Result<Self, StartError> {
        let places = Places::new(region, &set, topics)?;
        let quotas = match before {
            Some(before) => before.quotas.renewed(&set),
            None => Quotas::new(&set),
        };
        let now = Instant::now();
        let since = |tenant: &TenantId, revision| {
            let known = before.and_then(|before| before.revisions.get(tenant));
            known.filter(|(known, _)| *known == revision).map_or(now, |(_, since)| *since)
        };
        let revisions = revisions
            .map(|(tenant, revision)| {
                let since = since(&tenant, revision);
                (tenant, (revision, since))
            })
            .collect();
        Ok(Self { set, places, quotas, revisions })
    }

    /// The state of the tenant that its events must say they were let in under; none once every sink has read of it.
    pub fn fresh(&self, tenant: &TenantId) -> Option<u64> {
        let (revision, since) = self.revisions.get(tenant)?;
        (since.elapsed() < FRESH).then_some(*revision)
    }
}

/// The tenants in force, once they are known. Clones are handles to the same.
#[derive(Clone, Default)]
pub struct Tenants(Arc<RwLock<Option<Arc<Served>>>>);

impl Tenants {
    /// These, until others are put in their place.
    pub fn new(served: Served) -> Self {
        Self(Arc::new(RwLock::new(Some(Arc::new(served)))))
    }

    /// Those in force now; none until they were read for the first time. A request keeps to the ones that it began with.
    pub fn get(&self) -> Option<Arc<Served>> {
        self.0.read().clone()
    }

    fn put(&self, served: Served) {
        *self.0.write() = Some(Arc::new(served));
    }
}
