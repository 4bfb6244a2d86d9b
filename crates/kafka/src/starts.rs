//! Where a member begins to read its partitions.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use tracing::warn;

use crate::{
    GroupEvent,
    consumer::{ASK, Context},
};

/// The wait before brokers that answered with an error are asked again.
const PAUSE: Duration = Duration::from_millis(200);

impl Context {
    /// Puts explicit offsets into the assignment: the committed one, or the beginning of a partition never read. Without
    /// this, `auto.offset.reset` would decide, and it must not: a committed offset that is gone has to stop us.
    pub(crate) fn set_starts(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        if list.count() == 0 {
            return;
        }
        let committed = committed(consumer, list);
        for mut element in list.elements() {
            let found = committed.find_partition(element.topic(), element.partition()).map(|e| e.offset());
            let start = match found {
                Some(Offset::Offset(offset)) => offset,
                _ => self.beginning(consumer, element.topic(), element.partition()),
            };
            if let Err(error) = element.set_offset(Offset::Offset(start)) {
                (self.report)(GroupEvent::Failed(format!("a start offset cannot be set: {error}")));
            }
        }
    }

    /// Where to begin a partition that the group has no offset of: at the first record that the topic keeps. If the
    /// partition's changelog is not empty, though, the group had an offset (the first commit comes before the first entry),
    /// and it is gone. Then nobody knows what became of records that the topic has lost as well: the answer is 0, which is
    /// gone like any other offset that the topic no longer has, also once it is committed.
    fn beginning(&self, consumer: &BaseConsumer<Self>, topic: &str, partition: i32) -> i64 {
        let (low, _) = watermarks(consumer, topic, partition);
        let changelog = self.changelog.filter(|_| low > 0).map(|name| name(topic));
        if changelog.is_none_or(|changelog| watermarks(consumer, &changelog, partition).1 == 0) {
            return low;
        }
        (self.report)(GroupEvent::Failed(format!(
            "the group has no offset of {topic}/{partition}, though events of it were delivered before, and the topic has \
             lost its records before offset {low}: some of them may not have been delivered"
        )));
        0
    }
}

/// The group's offsets; none where it never had one. Asks until every partition is answered for: an error is not "none".
fn committed(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) -> TopicPartitionList {
    loop {
        let answer = consumer.committed_offsets(list.clone(), ASK).and_then(|committed| {
            committed.elements().iter().try_for_each(|e| e.error())?;
            Ok(committed)
        });
        match answer {
            Ok(committed) => return committed,
            Err(error) => warn!(%error, "committed offsets cannot be read, asking again"),
        }
        std::thread::sleep(PAUSE);
    }
}

fn watermarks(consumer: &BaseConsumer<Context>, topic: &str, partition: i32) -> (i64, i64) {
    loop {
        match consumer.fetch_watermarks(topic, partition, ASK) {
            Ok(bounds) => return bounds,
            Err(error) => {
                warn!(%error, topic, partition, "bounds of the partition are not known, asking again");
            }
        }
        std::thread::sleep(PAUSE);
    }
}
