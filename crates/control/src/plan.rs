//! What applying a folder would change in a region.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use event::TenantId;
use sha2::{Digest, Sha256};
use tenancy::{
    Change, Offline, Revision, Tenant, TenantSet, What, changes,
    revision::{Digests, Files, hash_of},
};

use crate::State;

/// Every tenant's newest revision.
type Current = BTreeMap<TenantId, Arc<Revision>>;

/// The tenants of one region as a folder has them, each valid.
#[derive(Debug, Default)]
pub struct Desired {
    tenants: BTreeMap<TenantId, (Files, Arc<Tenant>)>,
    /// The connectors that the folder was looked at with.
    connectors: Digests,
}

/// What becomes of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new, or was removed before.
    Added,
    /// Its files differ.
    Changed,
    /// The folder does not have it any more.
    Removed,
    /// Nothing.
    Unchanged,
}

/// One tenant of a plan.
#[derive(Clone, Debug)]
pub struct TenantPlan {
    /// Which.
    pub tenant: TenantId,
    /// What becomes of it.
    pub kind: Kind,
    /// Its newest revision, even if that is its removal.
    pub before: Option<Arc<Revision>>,
    /// Its files in the folder.
    pub after: Option<Files>,
    /// The connectors that its routes use, as the folder was looked at with.
    pub connectors: Digests,
    /// How they differ, in words; none where all of it is new or gone.
    pub changes: Vec<Change>,
    /// What its newest revision says, where this build finds it valid.
    pub was: Option<Arc<Tenant>>,
    /// What the folder says.
    pub is: Option<Arc<Tenant>>,
}

/// What applying a folder would change. The same state and the same folder make the same plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Hash of what the region has now: each tenant's revision and files.
    pub base: String,
    /// Hash of what it would have.
    pub result: String,
    /// Every tenant that there is or would be, by id.
    pub tenants: Vec<TenantPlan>,
}

impl Desired {
    /// The tenants of `set` that live in `region`, with the texts that they were read from.
    pub fn new(set: &TenantSet, folders: &BTreeMap<String, Files>, region: &str) -> Self {
        let of_region = set.iter().filter(|tenant| tenant.region == region);
        let with_files = of_region.filter_map(|tenant| {
            let files = folders.get(tenant.id.as_str())?.clone();
            Some((tenant.id.clone(), (files, Arc::clone(tenant))))
        });
        Self { tenants: with_files.collect(), connectors: Digests::new() }
    }

    /// The same, looked at with these connectors: one that says something else is a change of every tenant whose routes use it.
    #[must_use]
    pub fn with(self, connectors: Digests) -> Self {
        Self { connectors, ..self }
    }

    fn connectors_of(&self, tenant: &Tenant) -> Digests {
        let names = tenant.routes.iter().map(|route| &route.connection.connector);
        names.filter_map(|name| Some((name.clone(), self.connectors.get(name)?.clone()))).collect()
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &TenantId> {
        self.tenants.keys()
    }
}

impl Plan {
    /// Compares what is applied with what a folder has.
    pub fn new(state: &State, desired: &Desired) -> Self {
        let current = state.tenants.current();
        let ids: BTreeSet<&TenantId> = current.keys().chain(desired.ids()).collect();
        let tenants = ids.into_iter().map(|id| TenantPlan::new(id, current, desired)).collect();
        Self { base: base(current), result: result(desired), tenants }
    }

    /// What an apply must be given. Another one once the region's state has changed, or the folder.
    pub fn hash(&self) -> String {
        hash([self.base.as_str(), self.result.as_str()])
    }

    /// The tenants of which something changes.
    pub fn pending(&self) -> impl Iterator<Item = &TenantPlan> {
        self.tenants.iter().filter(|tenant| tenant.kind != Kind::Unchanged)
    }

    /// How many tenants there are and stay as they are.
    pub fn unchanged(&self) -> usize {
        let stay = |tenant: &&TenantPlan| tenant.kind == Kind::Unchanged && tenant.after.is_some();
        self.tenants.iter().filter(stay).count()
    }

    /// Whether the region has what the folder has.
    pub fn is_empty(&self) -> bool {
        self.pending().next().is_none()
    }
}

impl TenantPlan {
    fn new(id: &TenantId, current: &Current, desired: &Desired) -> Self {
        let before = current.get(id);
        let (after, is) = desired.tenants.get(id).map(|(files, tenant)| (files, tenant)).unzip();
        let connectors = is.map(|tenant| desired.connectors_of(tenant)).unwrap_or_default();
        let kind = match (before.map(|before| (before.removed, before)), after) {
            (Some((true, _)), None) => Kind::Unchanged,
            (_, None) => Kind::Removed,
            (None | Some((true, _)), Some(_)) => Kind::Added,
            (Some((false, before)), Some(after))
                if before.files == *after && before.connectors == connectors =>
            {
                Kind::Unchanged
            }
            (Some((false, _)), Some(_)) => Kind::Changed,
        };
        let changes = match (before, after) {
            (Some(before), Some(after)) => {
                let of_files = changes(&before.files, after);
                of_files.into_iter().chain(of_connectors(&before.connectors, &connectors)).collect()
            }
            _ => Vec::new(),
        };
        let was = before.filter(|_| kind != Kind::Unchanged).and_then(|before| read(before));
        let (before, after, is) = (before.cloned(), after.cloned(), is.cloned());
        Self { tenant: id.clone(), kind, before, after, connectors, changes, was, is }
    }

    /// The number that its next revision has.
    pub fn next_revision(&self) -> u64 {
        self.before.as_ref().map_or(1, |before| before.revision + 1)
    }
}

/// Connectors whose definition or mappings are others now. Ones that come or go are told of by the tenant's own files.
fn of_connectors(before: &Digests, after: &Digests) -> Vec<Change> {
    const SHOWN: usize = 12;
    let shown = |digest: &String| digest.get(..SHOWN).unwrap_or(digest).to_owned();
    let change = |(name, digest): (&String, &String)| {
        let known = before.get(name);
        let field = "definition and mappings".to_owned();
        let what = What::Field { field, before: known.map(shown), after: Some(shown(digest)) };
        (known != Some(digest)).then(|| Change { part: format!("connector {name}"), what })
    };
    after.iter().filter_map(change).collect()
}

/// An applied tenant, without its secrets. A build that checks more than the one that applied it may not find it valid.
fn read(revision: &Revision) -> Option<Arc<Tenant>> {
    let folders = BTreeMap::from([(revision.tenant.to_string(), revision.files.clone())]);
    TenantSet::from_folders("applied", &folders, &Offline).ok()?.tenant(&revision.tenant).cloned()
}

fn base(current: &Current) -> String {
    let told = current.values().flat_map(|revision| {
        let removed = if revision.removed { "removed" } else { "" };
        [revision.tenant.to_string(), revision.revision.to_string(), revision.hash.clone(), removed.into()]
    });
    hash(told)
}

fn result(desired: &Desired) -> String {
    let tenants = desired.tenants.iter();
    hash(tenants.flat_map(|(id, (files, tenant))| {
        [id.to_string(), hash_of(files), hash_of(&desired.connectors_of(tenant))]
    }))
}

/// SHA-256 over texts, each with its length, in hexadecimal.
fn hash(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        let text = text.as_ref().as_bytes();
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
