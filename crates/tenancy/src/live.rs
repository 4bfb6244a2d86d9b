//! The tenants as they are applied on the control topic, while they change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use event::TenantId;

use crate::{
    offline::Offline,
    revision::{self, Files, Revision, UnreadableRevision},
    secret::SecretSource,
    set::TenantSet,
    tenant::Tenant,
    watch::{Asked, Watch},
};

/// Whether a service can work with a tenant; the reason if not.
pub type Fits<'a> = &'a dyn Fn(&Arc<Tenant>) -> Result<(), String>;

/// Every tenant's newest revision, and the newest that could be carried out here.
#[derive(Debug, Default)]
pub struct Live {
    current: BTreeMap<TenantId, Arc<Revision>>,
    good: BTreeMap<TenantId, Arc<Revision>>,
    unreadable: BTreeMap<TenantId, String>,
}

/// Tenants that are in force.
#[derive(Debug, Default)]
pub struct InForce {
    /// All of them, each valid.
    pub set: TenantSet,
    /// Those of `set` to which nothing may be sent: removed ones, and ones whose secrets are not to be had here. Their API keys
    /// and webhook secrets are stand-ins, so nobody may be let in by them.
    pub held: BTreeSet<TenantId>,
    /// What could not be carried out as it is applied, and why: its last good state is in force, if there is one.
    pub troubles: BTreeMap<TenantId, String>,
    /// What the secrets said, hashed: another value means that one was rotated.
    pub secrets: [u8; 32],
    /// The references that were resolved for it: once one of them has changed it is time to build anew.
    pub watch: Watch,
    /// Those of `held` that are removed: nothing will ever be sent to them.
    pub removed: BTreeSet<TenantId>,
}

impl Live {
    /// Takes a record of the control topic in. None if it is not about a tenant's configuration.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Option<Result<(), UnreadableRevision>> {
        let tenant = revision::tenant_of(key)?;
        let taken = match Revision::parse(key, value) {
            Ok(revision) => {
                self.unreadable.remove(&tenant);
                self.current.insert(tenant, Arc::new(revision));
                Ok(())
            }
            Err(error) => {
                self.unreadable.insert(tenant, error_chain(&error));
                Err(error)
            }
        };
        Some(taken)
    }

    /// Takes the place of what was taken in, by one who has read the topic from its beginning. What was in force stays known.
    pub fn renew(&mut self, read: Self) {
        (self.current, self.unreadable) = (read.current, read.unreadable);
    }

    /// The newest revision of a tenant that could be read.
    pub fn current(&self) -> &BTreeMap<TenantId, Arc<Revision>> {
        &self.current
    }

    /// The tenants whose newest record could not be read, and why not.
    pub fn unreadable(&self) -> &BTreeMap<TenantId, String> {
        &self.unreadable
    }

    /// Resolves secrets anew and puts the tenants together. Where a tenant's newest revision cannot be carried out its last good one is
    /// in force; where there is none and only its secrets are missing, it is held.
    pub fn build(&mut self, source: &dyn SecretSource, fits: Fits<'_>) -> InForce {
        let asked = Asked::new(source);
        let mut built = InForce::default();
        // Those that are as they were come first, then those that have changed, so that a newcomer cannot take another's key.
        let mut revisions: Vec<Arc<Revision>> = self.current.values().cloned().collect();
        revisions.sort_by_key(|revision| match self.good.get(&revision.tenant) {
            Some(good) if good == revision => 0,
            Some(_) => 1,
            None => 2,
        });
        for revision in revisions {
            self.add(&mut built, &revision, &asked, fits);
        }
        built.troubles.extend(self.unreadable.iter().map(|(tenant, why)| (tenant.clone(), why.clone())));
        built.watch = asked.finish();
        built.secrets = built.watch.digest();
        built
    }

    fn add(
        &mut self,
        built: &mut InForce,
        revision: &Arc<Revision>,
        source: &dyn SecretSource,
        fits: Fits<'_>,
    ) {
        let tenant = &revision.tenant;
        if revision.removed {
            if built.set.add(tenant.as_str(), &revision.files, &Offline, fits).is_ok() {
                built.held.insert(tenant.clone());
                built.removed.insert(tenant.clone());
            }
            return;
        }
        let Err(why) = built.set.add(tenant.as_str(), &revision.files, source, fits) else {
            self.good.insert(tenant.clone(), Arc::clone(revision));
            return;
        };
        built.troubles.insert(tenant.clone(), why);
        let before = self.good.get(tenant).filter(|good| *good != revision);
        if before.is_some_and(|good| built.set.add(tenant.as_str(), &good.files, source, fits).is_ok()) {
            return;
        }
        if built.set.add(tenant.as_str(), &revision.files, &Offline, fits).is_ok() {
            built.held.insert(tenant.clone());
        }
    }
}

impl InForce {
    /// Without those that are held: for whoever lets tenants in. One that was in force `before` and is in trouble stays as it was,
    /// with the secrets that it had.
    #[must_use]
    pub fn open(mut self, before: &TenantSet) -> Self {
        self.held.iter().for_each(|tenant| self.set.remove(tenant));
        self.held.clear();
        let stays = |tenant: &&TenantId| self.set.tenant(tenant).is_none() && !self.removed.contains(*tenant);
        let mut back: Vec<TenantId> = self.troubles.keys().filter(stays).cloned().collect();
        while let Some(tenant) = back.pop() {
            for other in self.set.put_back(&tenant, before) {
                self.troubles.insert(other.clone(), format!("one of its API keys is tenant `{tenant}`'s"));
                back.push(other);
            }
        }
        self
    }

    /// The tenants of a folder that does not change, with their secrets resolved anew; for the rotation of those.
    ///
    /// # Errors
    /// As [`TenantSet::load`].
    pub fn of_folder(
        name: &str,
        folders: &BTreeMap<String, Files>,
        source: &dyn SecretSource,
    ) -> Result<Self, crate::ConfigErrors> {
        let asked = Asked::new(source);
        let set = TenantSet::from_folders(name, folders, &asked)?;
        let watch = asked.finish();
        Ok(Self { set, secrets: watch.digest(), watch, ..Self::default() })
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
