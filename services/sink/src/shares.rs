//! Which part of a connection's limits is ours: as many parts as we own of the partitions that its events are spread over.
//! Together the members of the group have each part once, without asking each other.

use std::sync::Arc;

use ahash::AHashSet;
use delivery::{ConnectionId, Core};
use topics::{Placement, names};

use crate::plan::Plan;

/// A partition: topic and number.
type Place = (Arc<str>, i32);

/// The partitions of the connections that have limits over time.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    connections: Vec<(ConnectionId, Vec<Place>)>,
}

impl Shares {
    /// `topics` are those that are read, with their numbers of partitions.
    pub(crate) fn new(plan: &Plan, region: &str, topics: &[Place]) -> Self {
        let limited = plan.connections().filter(|target| !target.budgets.is_empty());
        let connections = limited.map(|target| {
            let names: Vec<String> = target.objects.iter().map(|o| names::object_topic(region, *o)).collect();
            let read = topics.iter().filter(|(topic, _)| names.iter().any(|name| **name == **topic));
            let partitions = read.flat_map(|(topic, count)| {
                let placement = Placement::new(&target.owner, target.shards, *count);
                placement.partitions().iter().map(|p| (Arc::clone(topic), *p)).collect::<Vec<_>>()
            });
            (target.id, partitions.collect())
        });
        Self { connections: connections.collect() }
    }

    /// We own these partitions now.
    pub(crate) fn apportion<'a>(&self, core: &mut Core, owned: impl Iterator<Item = (&'a Arc<str>, i32)>) {
        if self.connections.is_empty() {
            return;
        }
        let owned: AHashSet<(&str, i32)> = owned.map(|(topic, partition)| (&**topic, partition)).collect();
        for (id, partitions) in &self.connections {
            let ours = partitions.iter().filter(|(topic, p)| owned.contains(&(&**topic, *p))).count();
            core.apportion(*id, ours as u64, partitions.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use delivery::{ConnectionLimits, CoreOptions, Intents};

    use super::*;

    #[test]
    fn what_two_members_own_is_the_whole() {
        let topic: Arc<str> = Arc::from("t");
        let partitions = vec![(Arc::clone(&topic), 1), (Arc::clone(&topic), 3), (Arc::clone(&topic), 4)];
        let shares = Shares { connections: vec![(ConnectionId(0), partitions)] };
        let room = |owned: &[i32]| {
            let mut core = Core::new(CoreOptions {
                epoch: 1,
                window: 1,
                clock_skew_ms: 0,
                intents: Intents::Each,
                in_flight: 1,
                horizon_ms: 1,
            });
            core.connect(ConnectionId(0), ConnectionLimits { concurrency: 1, timeout_ms: 1 });
            core.limit(ConnectionId(0), &[delivery::Limit::Rate { max: 30, per_ms: 1_000 }]);
            shares.apportion(&mut core, owned.iter().map(|p| (&topic, *p)));
            core.room(ConnectionId(0), delivery::Now { mono: 0, wall: 0 })
        };
        assert_eq!((room(&[0, 1, 2]), room(&[3, 4, 5]), room(&[1, 3, 4])), (10, 20, 30));
    }
}
