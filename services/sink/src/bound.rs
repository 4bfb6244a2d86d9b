//! Whether tenants are delivered with the connectors that were looked at when they were applied (docs/adr/0031).

use std::collections::BTreeMap;

use event::TenantId;
use tenancy::{Live, revision::Digests};
use tracing::{info, warn};

use crate::plan::Plan;

/// The connectors that tenants were applied with, where that is known.
pub(crate) fn applied(live: &Live) -> BTreeMap<TenantId, Digests> {
    let bound = live.current().values().filter(|now| !now.removed && !now.connectors.is_empty());
    bound.map(|now| (now.tenant.clone(), now.connectors.clone())).collect()
}

/// Tenants that are delivered with other connectors than they were applied with: which ones.
#[derive(Debug, Default)]
pub(crate) struct Others(BTreeMap<TenantId, Vec<String>>);

impl Others {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says what is different now. Their events go on.
    pub(crate) fn compare(&mut self, plan: &Plan, applied: &BTreeMap<TenantId, Digests>) {
        let others: BTreeMap<TenantId, Vec<String>> = applied
            .iter()
            .filter_map(|(tenant, applied)| {
                Some((tenant.clone(), differing(plan.connectors_of(tenant)?, applied)?))
            })
            .collect();
        for (tenant, names) in others.iter().filter(|(tenant, names)| self.0.get(*tenant) != Some(*names)) {
            let connectors = names.join(", ");
            warn!(
                code = "SNK-0047",
                %tenant,
                connectors, "a tenant is delivered with other connectors than it was applied with"
            );
        }
        for tenant in self.0.keys().filter(|tenant| !others.contains_key(*tenant)) {
            info!(%tenant, "the tenant's connectors are those that it was applied with");
        }
        self.0 = others;
    }
}

/// The connectors that are not what was applied; none if all are.
fn differing(ours: &Digests, applied: &Digests) -> Option<Vec<String>> {
    let differs = |(name, digest): &(&String, &String)| ours.get(*name).is_some_and(|own| own != *digest);
    let names: Vec<String> = applied.iter().filter(differs).map(|(name, _)| name.clone()).collect();
    (!names.is_empty()).then_some(names)
}
