//! A member of a consumer group, polled on a thread of its own (research: a callback that blocks on an async worker
//! deadlocks). It fetches, commits what it is told, and tells what the group does to it; it decides nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::{
    ClientContext, TopicPartitionList,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tracing::{debug, error, info, warn};

use crate::{
    Settings, SettingsError,
    assignment::{AssignmentId, Assignments},
    context,
    label::Label,
    poll_loop::PollLoop,
};

/// How long a question to the brokers may take while the group rebalances.
pub(crate) const ASK: Duration = Duration::from_secs(10);

/// How a member behaves.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The consumer group.
    pub group: String,
    /// The topics to read.
    pub topics: Vec<String>,
    /// How often offsets are committed; each commit also proves that the member is still one.
    pub commit_every: Duration,
    /// How long the group waits for what is in flight when it takes a partition away.
    pub drain: Duration,
    /// Names the topic that keeps what was done with a topic's records, partition by partition, if there is one. Where it
    /// is not empty, the group must have an offset, or nothing may be missing at the beginning.
    pub changelog: Option<fn(&str) -> String>,
}

/// A partition that was given to this member.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// Names this assignment; another one of the same partition has another id.
    pub id: AssignmentId,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The first offset to read.
    pub start: i64,
}

/// A record.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The assignment it was fetched under.
    pub id: AssignmentId,
    /// Its offset.
    pub offset: i64,
    /// Its key, with its headers.
    pub key: Label,
    /// Its value; none is a tombstone.
    pub value: Option<Bytes>,
}

/// What happens to a member.
#[derive(Debug)]
pub enum GroupEvent {
    /// Partitions were given to it, none if there are more members than partitions. Their records come at once.
    Assigned(Vec<Assigned>),
    /// Partitions are taken away. Answer on `done` once nothing of them is in flight; their offsets are committed then.
    Revoking {
        /// Which.
        ids: Vec<AssignmentId>,
        /// They belong to someone else already: nothing can be committed.
        lost: bool,
        /// The rendezvous.
        done: mpsc::SyncSender<()>,
    },
    /// Records, in the order of each partition.
    Records(Vec<Fetched>),
    /// The coordinator confirmed our membership and these assignments, by a commit begun at `since`.
    Confirmed {
        /// Which.
        ids: Vec<AssignmentId>,
        /// When the question was asked.
        since: Instant,
    },
    /// The member cannot go on; the text says why.
    Failed(String),
}

enum Command {
    Pause(AssignmentId),
    Resume(AssignmentId),
    Store(AssignmentId, i64),
    Leave,
}

/// A handle to the member's thread. It leaves the group when [`Member::leave`] is called. Dropped without that, it leaves
/// after a session time-out: as if it had died, since what its holder had under way may still be.
pub struct Member {
    commands: mpsc::Sender<Command>,
    outstanding: Arc<AtomicUsize>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Member {
    /// Joins the group. `report` is called on the member's thread.
    ///
    /// # Errors
    /// Where the settings make no client.
    pub fn join(
        settings: &Settings,
        options: GroupOptions,
        report: impl Fn(GroupEvent) + Send + Sync + 'static,
    ) -> Result<Self, SettingsError> {
        let (config, session) = (settings.consumer_config(&options.group)?, settings.session_timeout());
        let (commands, inbox) = mpsc::channel();
        let context = Context {
            report: Box::new(report),
            assignments: Mutex::new(Assignments::default()),
            inbox: Mutex::new(inbox),
            drain: options.drain,
            changelog: options.changelog,
        };
        let consumer: BaseConsumer<Context> =
            BaseConsumer::from_config_and_context(&config, context).map_err(SettingsError::Client)?;
        let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(SettingsError::Client)?;
        let outstanding = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&outstanding);
        let thread = std::thread::Builder::new()
            .name("kafka-member".into())
            .spawn(move || PollLoop { consumer, options, outstanding: count, session }.run())
            .map_err(|e| SettingsError::Client(KafkaError::ClientCreation(e.to_string())))?;
        Ok(Self { commands, outstanding, thread: Mutex::new(Some(thread)) })
    }

    /// Fetch nothing more of the partition for now.
    pub fn pause(&self, id: AssignmentId) {
        self.tell(Command::Pause(id));
    }

    /// Fetch again.
    pub fn resume(&self, id: AssignmentId) {
        self.tell(Command::Resume(id));
    }

    /// Everything before `offset` is settled and may be committed. `offset` is the next one to read, not the last one read.
    pub fn store(&self, id: AssignmentId, offset: i64) {
        self.tell(Command::Store(id, offset));
    }

    /// `records` of the handed-over records were taken in.
    pub fn taken(&self, records: usize) {
        self.outstanding.fetch_sub(records, Ordering::Relaxed);
    }

    /// Commits and leaves the group. Blocking, for as long as a drain and a commit may take; the events go on meanwhile.
    pub fn leave(&self) {
        self.tell(Command::Leave);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            error!("the consumer's thread panicked");
        }
    }

    fn tell(&self, command: Command) {
        if self.commands.send(command).is_err() {
            warn!("the consumer's thread is gone");
        }
    }
}

/// What a member's holder wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    GoOn,
    Leave,
    /// Nobody holds it any more: whoever did has failed, and someone else must get its partitions.
    Abandoned,
}

pub(crate) struct Context {
    pub(crate) report: Box<dyn Fn(GroupEvent) + Send + Sync>,
    pub(crate) assignments: Mutex<Assignments>,
    inbox: Mutex<mpsc::Receiver<Command>>,
    drain: Duration,
    pub(crate) changelog: Option<fn(&str) -> String>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        warn!(%error, reason, "kafka consumer reports a problem");
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.set_starts(consumer, list),
            Rebalance::Revoke(list) => self.give_back(consumer, list),
            Rebalance::Error(error) => warn!(%error, "group cannot rebalance"),
        }
    }

    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            self.take_over(list);
        }
    }
}

impl Context {
    fn take_over(&self, list: &TopicPartitionList) {
        let mut assignments = self.assignments.lock();
        let assigned: Vec<Assigned> = list
            .elements()
            .iter()
            .map(|e| assignments.add(e.topic(), e.partition(), e.offset().to_raw().unwrap_or(0)))
            .collect();
        drop(assignments);
        info!(partitions = assigned.len(), "partitions assigned");
        (self.report)(GroupEvent::Assigned(assigned));
    }

    /// The rendezvous: the engine lets what is in flight end, then the offsets are committed, then the partitions go.
    fn give_back(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let ids = self.assignments.lock().ids(list);
        if ids.is_empty() {
            return;
        }
        let (done, wait) = mpsc::sync_channel(1);
        (self.report)(GroupEvent::Revoking { ids: ids.clone(), lost, done });
        if !lost && wait.recv_timeout(self.drain).is_err() {
            warn!("requests are still in flight for partitions that are taken away");
        }
        self.obey(consumer);
        let offsets = self.assignments.lock().offsets(&ids);
        if !lost
            && offsets.count() > 0
            && let Err(error) = consumer.commit(&offsets, CommitMode::Sync)
        {
            warn!(%error, "offsets of revoked partitions were not committed, their events are looked up again");
        }
        self.assignments.lock().remove(&ids);
        info!(partitions = ids.len(), lost, "partitions revoked");
    }

    /// Carries out the commands that wait.
    pub(crate) fn obey(&self, consumer: &BaseConsumer<Self>) -> Told {
        let inbox = self.inbox.lock();
        let mut told = Told::GoOn;
        loop {
            let command = match inbox.try_recv() {
                Ok(command) => command,
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) if told == Told::GoOn => return Told::Abandoned,
                Err(mpsc::TryRecvError::Disconnected) => break,
            };
            let result = match command {
                Command::Pause(id) => self.with_list(id, |list| consumer.pause(list)),
                Command::Resume(id) => self.with_list(id, |list| consumer.resume(list)),
                Command::Store(id, offset) => {
                    self.assignments.lock().store(id, offset);
                    Ok(())
                }
                Command::Leave => {
                    told = Told::Leave;
                    Ok(())
                }
            };
            if let Err(error) = result {
                (self.report)(GroupEvent::Failed(format!(
                    "a partition cannot be paused or resumed: {error}"
                )));
            }
        }
        told
    }

    fn with_list(
        &self,
        id: AssignmentId,
        act: impl FnOnce(&TopicPartitionList) -> KafkaResult<()>,
    ) -> KafkaResult<()> {
        match self.assignments.lock().list(id) {
            Some(list) => act(&list),
            None => Ok(()), // revoked meanwhile
        }
    }

    /// Commits what is settled of every assignment, changed or not: the answer renews the lease.
    ///
    /// Synchronously, for a round trip: the client tells nobody of the end of an asynchronous commit.
    pub(crate) fn commit(&self, consumer: &BaseConsumer<Self>) {
        let (ids, offsets) = self.assignments.lock().all();
        if ids.is_empty() {
            return;
        }
        let since = Instant::now();
        match consumer.commit(&offsets, CommitMode::Sync) {
            Ok(()) => (self.report)(GroupEvent::Confirmed { ids, since }),
            // Part of every rebalance: the offsets are committed once the member knows its new generation.
            Err(error)
                if matches!(
                    error.rdkafka_error_code(),
                    Some(RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration)
                ) =>
            {
                debug!(%error, "offsets are committed after the rebalance");
            }
            Err(error) => warn!(%error, "offsets were not committed"),
        }
    }
}
