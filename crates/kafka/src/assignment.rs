//! Which partitions a member has, and up to where they are settled.

use std::{collections::HashMap, sync::Arc};

use rdkafka::{Offset, TopicPartitionList};

use crate::consumer::Assigned;

/// Names one assignment of a partition. Never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssignmentId(pub u32);

struct Held {
    id: AssignmentId,
    topic: Arc<str>,
    partition: i32,
    /// The next offset to read after what is settled.
    next: i64,
}

#[derive(Default)]
pub(crate) struct Assignments {
    held: Vec<Held>,
    index: HashMap<Arc<str>, HashMap<i32, AssignmentId>>,
    last: u32,
}

impl Assignments {
    pub(crate) fn add(&mut self, topic: &str, partition: i32, start: i64) -> Assigned {
        self.last += 1;
        let id = AssignmentId(self.last);
        let topic: Arc<str> = match self.index.get_key_value(topic) {
            Some((topic, _)) => Arc::clone(topic),
            None => Arc::from(topic),
        };
        self.index.entry(Arc::clone(&topic)).or_default().insert(partition, id);
        self.held.push(Held { id, topic: Arc::clone(&topic), partition, next: start });
        Assigned { id, topic, partition, start }
    }

    pub(crate) fn remove(&mut self, ids: &[AssignmentId]) {
        for held in self.held.extract_if(.., |h| ids.contains(&h.id)) {
            if let Some(partitions) = self.index.get_mut(&held.topic) {
                partitions.remove(&held.partition);
            }
        }
    }

    pub(crate) fn id(&self, topic: &str, partition: i32) -> Option<AssignmentId> {
        self.index.get(topic)?.get(&partition).copied()
    }

    pub(crate) fn ids(&self, list: &TopicPartitionList) -> Vec<AssignmentId> {
        list.elements().iter().filter_map(|e| self.id(e.topic(), e.partition())).collect()
    }

    pub(crate) fn store(&mut self, id: AssignmentId, offset: i64) {
        if let Some(held) = self.held.iter_mut().find(|h| h.id == id) {
            held.next = held.next.max(offset);
        }
    }

    pub(crate) fn list(&self, id: AssignmentId) -> Option<TopicPartitionList> {
        let held = self.held.iter().find(|h| h.id == id)?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&held.topic, held.partition);
        Some(list)
    }

    pub(crate) fn offsets(&self, ids: &[AssignmentId]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for held in self.held.iter().filter(|h| ids.contains(&h.id)) {
            list.add_partition(&held.topic, held.partition);
        }
        for mut element in list.elements() {
            let next =
                self.held.iter().find(|h| *h.topic == *element.topic() && h.partition == element.partition());
            // A concrete offset is always accepted; an element without one would just not be committed.
            if let Some(Err(error)) = next.map(|h| element.set_offset(Offset::Offset(h.next))) {
                tracing::warn!(%error, "an offset cannot be set");
            }
        }
        list
    }

    pub(crate) fn all(&self) -> (Vec<AssignmentId>, TopicPartitionList) {
        let ids: Vec<AssignmentId> = self.held.iter().map(|h| h.id).collect();
        let offsets = self.offsets(&ids);
        (ids, offsets)
    }

    /// Grows with every assignment.
    pub(crate) fn generation(&self) -> u32 {
        self.last
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
