//! Where each tenant's events go, worked out once.

use std::{collections::HashMap, sync::Arc};

use event::{ObjectKind, TenantId};
use tenancy::TenantSet;
use topics::{Placement, Specs, names};

use crate::StartError;

/// The topic of one object, and a tenant's partitions on it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The tenant's partitions.
    pub placement: Arc<Placement>,
}

/// The places of every tenant of this region, by object.
#[derive(Debug)]
pub struct Places(HashMap<TenantId, Vec<Place>>);

impl Places {
    /// Works out the places of the tenants that live in `region`.
    ///
    /// # Errors
    /// When the region cannot stand in a topic name, or an object has no topic.
    pub fn new(region: &str, tenants: &TenantSet, specs: &Specs) -> Result<Self, StartError> {
        names::check_region(region)?;
        let topics = topics_of(region, specs)?;
        let mut all = HashMap::new();
        for tenant in tenants.iter().filter(|tenant| tenant.region == region) {
            let mut by_partitions = HashMap::new();
            let mut place = |(topic, partitions): &(Arc<str>, i32)| {
                let new = || Arc::new(Placement::new(&tenant.id, tenant.shards as usize, *partitions));
                Place {
                    topic: topic.clone(),
                    placement: by_partitions.entry(*partitions).or_insert_with(new).clone(),
                }
            };
            all.insert(tenant.id.clone(), topics.iter().map(&mut place).collect());
        }
        Ok(Self(all))
    }

    /// The place of an object's events; none for a tenant of another region.
    pub fn of(&self, tenant: &TenantId, object: ObjectKind) -> Option<&Place> {
        self.0.get(tenant)?.get(object as usize)
    }

    /// Whether the tenant lives in this region.
    pub fn serves(&self, tenant: &TenantId) -> bool {
        self.0.contains_key(tenant)
    }
}

/// Name and partition count of every object's topic, in the order of [`ObjectKind::ALL`].
pub(crate) fn topics_of(region: &str, specs: &Specs) -> Result<Vec<(Arc<str>, i32)>, StartError> {
    let topic = |object: ObjectKind| {
        let spec = specs.object(object).ok_or(topics::TopicsError::MissingObject(object))?;
        Ok((names::object_topic(region, object).into(), spec.partitions.unwrap_or(1)))
    };
    ObjectKind::ALL.into_iter().map(topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places are looked up by the enumeration's number.
    #[test]
    fn objects_are_numbered_in_the_order_of_all() {
        for (index, object) in ObjectKind::ALL.into_iter().enumerate() {
            assert_eq!(object as usize, index);
        }
    }
}
