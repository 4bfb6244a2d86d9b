//! Tenants on the control topic.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering},
};

use event::TenantId;
use sink::Options;
use tenancy::{Offline, Revision, TenantSet, TenantsFrom, revision::Files};

use super::{REGION, World};

static MOMENT: AtomicI64 = AtomicI64::new(1);

pub fn id(tenant: &str) -> TenantId {
    tenant.parse().unwrap()
}

/// The options of a sink that reads its tenants there.
pub fn live(world: &World) -> Options {
    Options { tenants_from: TenantsFrom::Control, ..world.options() }
}

/// What was applied last, as whoever applies knows it.
#[derive(Default)]
pub struct Applied(pub BTreeMap<String, Revision>);

impl Applied {
    pub async fn apply(&mut self, world: &World, tenant: &str, files: Files) {
        let at = MOMENT.fetch_add(1, Ordering::Relaxed);
        let next = Revision::after(self.0.get(tenant), id(tenant), files, "ann".into(), at);
        self.write(world, next).await;
    }

    /// The files of before, looked at with the connectors as this folder has them.
    pub async fn bind(&mut self, world: &World, tenant: &str, connectors: &std::path::Path) {
        let at = MOMENT.fetch_add(1, Ordering::Relaxed);
        let before = &self.0[tenant];
        let folder = BTreeMap::from([(tenant.to_owned(), before.files.clone())]);
        let set = TenantSet::from_folders("applied", &folder, &Offline).unwrap();
        let examined = sink::examine(&set, "applied", Some(connectors));
        assert!(examined.problems.is_empty(), "{:?}", examined.problems);
        let next =
            Revision::after(Some(before), before.tenant.clone(), before.files.clone(), "ann".into(), at);
        self.write(world, next.bound_to(examined.connectors)).await;
    }

    pub async fn remove(&mut self, world: &World, tenant: &str) {
        let removal = self.0[tenant].removal("ann".into(), MOMENT.fetch_add(1, Ordering::Relaxed));
        self.write(world, removal).await;
    }

    pub async fn write(&mut self, world: &World, revision: Revision) {
        let topic = topics::names::control(REGION);
        let (key, value) = (revision.key(), revision.value().unwrap());
        world.producer.send(&topic, 0, &key, &value, &[]).await.unwrap();
        self.0.insert(revision.tenant.to_string(), revision);
    }
}
